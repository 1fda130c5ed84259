"""The description of our own API: every operation is in it, and what the hub answers is what it says."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stationmaster.api_client import session
from stationmaster.hub import wiring
from stationmaster.hub.api import openapi
from stationmaster.hub.api.routes import OWN
from stationmaster.model import protocol

Seen = list[tuple[str, str, int, bytes]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Whatever is asked of the hub, and what it answers."""
    found: Seen = []
    asked = session.Session.request

    def request(self: Any, method: str, path: str, **others: Any) -> session.Answer:
        answer = asked(self, method, path, **others)
        found.append((method.lower(), path.partition("?")[0], answer.status, answer.body))
        return answer

    monkeypatch.setattr(session.Session, "request", request)
    return found


def signing_request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def use_everything(fleet: Any, group: Any) -> None:
    """Each operation of our own API at least once, on a group that has something to show."""
    for _ in range(3):
        fleet.tick()
        group.beat()
        for one in (group.a, group.b):
            one.held[group.source.id] = ["g1"]
    agent = fleet.register_agent(group.profile.id)
    agent.check_in()
    ask, name = fleet.person.request, {"hostname": "lb.example.com"}
    for path in ("health", "openapi.json", "ca", "compartments", "events", "groups"):
        ask("GET", f"{OWN}/{path}")
    ask("PUT", f"{OWN}/groups/balancers", body={**name, "addresses": ["10.0.0.9"], "node": "lb1"})
    for path in ("balancer", "doctor", "instanceSetupScript", "ports"):
        ask("GET", f"{OWN}/groups/{path}", query=name)
    ask("POST", f"{OWN}/compartments", body={"name": "other"})
    ask("POST", f"{OWN}/groups/certificate", body={**name, "request": signing_request()})
    ask("POST", f"{OWN}/groups/changePorts", body={**name, "proxy": 26080, "http": 27080, "https": 27443})
    ask("GET", f"{OWN}/groups", query=name)
    station = f"{OWN}/stations/{group.b.id}"
    for path in ("drain", "undrain"):
        ask("POST", f"{station}/{path}")
    ask("GET", f"{station}/setupScript")
    group.b.post(f"{station}/certificate", protocol.CertificateRequest(request=signing_request()))
    look_first(fleet, group, agent)
    agent.post(f"{OWN}/managedInstances/{agent.answer.managed_instance_id}/leave")


def look_first(fleet: Any, group: Any, agent: Any) -> None:
    ask, first = fleet.person.request, f"{OWN}/consequences/20220901"
    station, profile = f"{first}/managementStations/{group.b.id}", f"{first}/profiles/{group.profile.id}"
    instance = f"{first}/managedInstances/{agent.answer.managed_instance_id}"
    body = {
        "compartmentId": fleet.compartment_id,
        "displayName": "C",
        "hostname": "10.9.9.9",
        "proxy": {"isEnabled": True, "port": "1"},
        "mirror": {"directory": "/mnt/m", "port": "2", "sslport": "3"},
    }
    ask("POST", f"{first}/managementStations", body=body)
    ask("PUT", station, body={"displayName": "B"})
    ask("POST", f"{station}/actions/changeCompartment", body={"compartmentId": fleet.compartment_id})
    ask("DELETE", station)
    sources, named = {"softwareSources": [group.source.id]}, {"managementStationId": group.a.id}
    for action, details in (
        ("attachManagementStation", {"managementStationId": group.b.id}),
        ("detachManagementStation", named),
        ("detachSoftwareSources", sources),
    ):
        ask("POST", f"{profile}/actions/{action}", body=details)
    ask("DELETE", profile)
    ask("PUT", instance, body={"description": "x"})
    ask("POST", f"{instance}/actions/detachSoftwareSources", body=sources)
    ask("POST", f"{instance}/actions/detachProfile")


def test_every_operation_is_described_and_answers_as_it_says(fleet: Any, seen: Seen, request: Any) -> None:
    group = request.getfixturevalue("group")
    use_everything(fleet, group)
    described = json.loads(next(body for _, path, _, body in seen if path.endswith("openapi.json")))
    used: set[tuple[str, str]] = set()
    for method, path, status, body in seen:
        template = find(described, path)
        if template is None:
            continue
        operation = described["paths"][template][method]
        used.add((method, template))
        assert str(status) in operation["responses"], (method, path, status)
        content = operation["responses"][str(status)].get("content", {})
        for kind, one in content.items():
            value = json.loads(body) if kind == "application/json" else body.decode()
            schema = {**one["schema"], "components": described["components"]}
            jsonschema.Draft202012Validator(schema).validate(value)
        assert bool(content) == bool(body), (method, path)
    own = {(one.method.lower(), one.path) for one in wiring.route_table().routes if one.path.startswith(f"{OWN}/")}
    assert {(method, path) for path, methods in described["paths"].items() for method in methods} == own == used


def find(described: Any, path: str) -> str | None:
    """The described path that fits; one without parameters first."""
    for template in sorted(described["paths"], key=lambda one: one.count("{")):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return str(template)
    return None


def test_the_order_of_routes_changes_nothing_and_each_says_what_it_is() -> None:
    routes = wiring.route_table().routes
    made = openapi.document(routes)
    assert made == openapi.document(tuple(reversed(routes)))
    names = [one["operationId"] for methods in made["paths"].values() for one in methods.values()]
    assert len(set(names)) == len(names) > 30
    assert all(one["summary"] for methods in made["paths"].values() for one in methods.values())
