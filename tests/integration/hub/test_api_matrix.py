"""Every operation of the route table, whoever wrote it: who may not come in, and what unknown and malformed give."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from stationmaster.hub import wiring
from stationmaster.hub.api import routes
from stationmaster.model import signing

TABLE = wiring.route_table().routes
SIGNED = [route for route in TABLE if route.access is not routes.Access.ANYONE]
UNSIGNED = {f"/stationmaster/v1/{name}" for name in ("health", "ca", "registrations", "openapi.json")}
MACHINE = "ocid1.managementagent.oc1..machine"


def path_of(route: Any, ocid: Any = "ocid1.osmhthing.oc1..unknown") -> Any:
    return re.sub(r"\{\w+\}", ocid, route.path)


def as_machine(wire: Any, key: Any) -> Any:
    fingerprint = wire.live.add_principal("MACHINE", MACHINE, key)
    return dataclasses.replace(wire, key=key, key_id=signing.KeyId(wire.live.root_id, MACHINE, fingerprint))


def content_of(route: Any) -> Any:
    return b"{}" if route.method in signing.BODY_METHODS else b""


def test_only_these_are_unsigned() -> None:
    assert {route.path for route in TABLE if route.access is routes.Access.ANYONE} <= UNSIGNED


def test_unsigned_requests_are_refused_everywhere(wire: Any) -> None:
    for route in SIGNED:
        headers = {"host": "x", "content-length": str(len(content_of(route)))}
        got = wire.send(route.method, path_of(route), content_of(route), headers)
        assert (got.status, got.code) == (401, "NotAuthenticated"), route.path


def test_a_strangers_key_is_refused_everywhere(wire: Any, stranger_key: Any) -> None:
    stranger = dataclasses.replace(wire, key=stranger_key[0])
    for route in SIGNED:
        got = stranger.send(route.method, path_of(route), content_of(route))
        assert (got.status, got.code) == (401, "NotAuthenticated"), route.path


def test_machines_and_people_do_not_reach_each_others_operations(wire: Any, stranger_key: Any) -> None:
    machine = as_machine(wire, stranger_key[0])
    for route in SIGNED:
        outsider = machine if route.access is routes.Access.PEOPLE else wire
        got = outsider.send(route.method, path_of(route), content_of(route))
        assert (got.status, got.code) == (404, "NotAuthorizedOrNotFound"), route.path


def test_malformed_ids_in_paths_are_bad_requests(wire: Any, stranger_key: Any) -> None:
    machine = as_machine(wire, stranger_key[0])
    for route in SIGNED:
        if re.search(r"\{\w+Id\}", route.path):
            insider = wire if route.access is routes.Access.PEOPLE else machine
            got = insider.send(route.method, path_of(route, "no-ocid"), content_of(route))
            assert (got.status, got.code) == (400, "InvalidParameter"), route.path


def test_unknown_ids_in_paths_are_not_found_or_the_body_is_refused_first(wire: Any, stranger_key: Any) -> None:
    machine = as_machine(wire, stranger_key[0])
    for route in SIGNED:
        if "{" in route.path:
            insider = wire if route.access is routes.Access.PEOPLE else machine
            got = insider.send(route.method, path_of(route), content_of(route))
            if route.body is not None and got.status == 400:
                assert got.code in ("MissingParameter", "InvalidParameter"), route.path
            else:
                assert (got.status, got.code) == (404, "NotAuthorizedOrNotFound"), (route.path, got.body)


def test_malformed_json_is_refused_wherever_a_body_is_taken(wire: Any, stranger_key: Any) -> None:
    machine = as_machine(wire, stranger_key[0])
    for route in TABLE:
        if route.body is not None:
            sender = machine if route.access is routes.Access.MACHINES else wire
            got = sender.send(route.method, path_of(route), b'{"half": ')
            assert (got.status, got.code) == (400, "CannotParseRequest"), route.path


def test_unknown_parameters_are_refused_by_every_operation(wire: Any, stranger_key: Any) -> None:
    machine = as_machine(wire, stranger_key[0])
    for route in SIGNED:
        insider = wire if route.access is routes.Access.PEOPLE else machine
        got = insider.send("GET" if route.method == "GET" else route.method, f"{path_of(route)}?colour=red")
        assert got.status == 400, route.path
