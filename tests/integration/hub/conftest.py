"""Things to make through the OCI SDK."""

from __future__ import annotations

import dataclasses
import datetime
import email.utils
import http.client
import json
import pathlib
from typing import Any

import oci
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from oci.os_management_hub import models

from stationmaster.api_client import keys
from stationmaster.hub.db import schema
from stationmaster.model import signing


@dataclasses.dataclass
class Api:
    """Clients of one hub, and short ways to make resources with them."""

    live: Any
    stations: Any
    profiles: Any
    sources: Any

    @property
    def root(self) -> str:
        return str(self.live.root_id)

    def station_details(self, name: str = "StationA", **changes: Any) -> Any:
        """As in the HA guide; ``changes`` replace arguments of the model."""
        arguments = {
            "compartment_id": self.root,
            "display_name": name,
            "description": "Station in HA config",
            "hostname": "loadbalancer.example.com",
            "proxy": models.CreateProxyConfigurationDetails(is_enabled=True, hosts=["10.0.0.0/8"], port="16080"),
            "mirror": models.CreateMirrorConfigurationDetails(directory="/mnt/mirror", port="17080", sslport="17443"),
            **changes,
        }
        return models.CreateManagementStationDetails(**arguments)

    def station(self, name: str = "StationA", **changes: Any) -> Any:
        return self.stations.create_management_station(self.station_details(name, **changes)).data

    def source(self, name: str = "repo", **changes: Any) -> Any:
        arguments = {
            "compartment_id": self.root,
            "display_name": name,
            "os_family": "ORACLE_LINUX_9",
            "arch_type": "X86_64",
            "url": "http://127.0.0.1:9/repo/",
            **changes,
        }
        details = models.CreatePrivateSoftwareSourceDetails(**arguments)
        return self.sources.create_software_source(details).data

    def profile(self, name: str = "profile", **changes: Any) -> Any:
        arguments = {
            "compartment_id": self.root,
            "display_name": name,
            "vendor_name": "ORACLE",
            "os_family": "ORACLE_LINUX_9",
            "arch_type": "X86_64",
            **changes,
        }
        return self.profiles.create_profile(models.CreateSoftwareSourceProfileDetails(**arguments)).data

    def register(self, station_id: str) -> str:
        """As if a host had registered as the station; its managed instance id."""
        instance_id, now = f"ocid1.managementagent.oc1..{station_id[-12:]}", datetime.datetime.now(datetime.UTC)
        with self.live.hub.store.write() as tx:
            tx.execute(
                schema.managed_instances.insert().values(
                    id=instance_id,
                    compartment_id=self.root,
                    display_name="host",
                    location="ON_PREMISE",
                    host_name="host",
                    agent_version="1",
                    lifecycle_state="ACTIVE",
                    is_management_station=True,
                    are_sources_managed=True,
                    is_reboot_required=False,
                    installed_packages=0,
                    updates_available=0,
                    desired_digest="",
                    applied_digest="",
                    problems=[],
                    time_created=now,
                    time_updated=now,
                    revision=1,
                )
            )
            tx.execute(
                schema.stations.update()
                .where(schema.stations.c.id == station_id)
                .values(managed_instance_id=instance_id)
            )
        return instance_id


def api_of(live: Any) -> Api:
    """Clients of all kinds."""
    hub = oci.os_management_hub
    return Api(
        live,
        live.client(hub.ManagementStationClient),
        live.client(hub.OnboardingClient),
        live.client(hub.SoftwareSourceClient),
    )


@dataclasses.dataclass(frozen=True)
class Got:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error body, which has nothing beside code and message."""
        error = json.loads(self.body)
        assert set(error) == {"code", "message"}
        return str(error["code"])

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


@dataclasses.dataclass
class Wire:
    """Requests made by hand, signed as a test says."""

    live: Any
    key_id: signing.KeyId
    key: rsa.RSAPrivateKey

    def headers(self, method: str, target: str, body: bytes = b"", **changes: str | None) -> dict[str, str]:
        """Signed headers; ``changes`` (underscores for dashes) are made before signing, None leaves one out."""
        found = {
            "host": self.live.endpoint.removeprefix("http://"),
            "date": email.utils.format_datetime(datetime.datetime.now(datetime.UTC), usegmt=True),
        }
        if method in signing.BODY_METHODS:
            found |= {
                "content-type": "application/json",
                "content-length": str(len(body)),
                "x-content-sha256": signing.body_digest(body),
            }
        for name, value in changes.items():
            found.pop(name.replace("_", "-"), None)
            if value is not None:
                found[name.replace("_", "-")] = value
        names = tuple(name for name in signing.signed_headers(method) if name in found or name.startswith("("))
        return self.sign(method, target, found, names)

    def sign(self, method: str, target: str, headers: dict[str, str], names: tuple[str, ...]) -> dict[str, str]:
        signature = keys.sign(self.key, signing.signing_string(method, target, headers, names))
        return headers | {"authorization": signing.format_authorization(self.key_id, names, signature)}

    def send(self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Got:
        """Exactly these headers; those of a signed request when none are given."""
        wanted = self.headers(method, target, body) if headers is None else headers
        connection = http.client.HTTPConnection(self.live.endpoint.removeprefix("http://"), timeout=20)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in wanted.items():
                connection.putheader(name, value)
            connection.endheaders(body if method in signing.BODY_METHODS else None)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Got(answer.status, named, answer.read())
        finally:
            connection.close()


def wire_of(live: Any) -> Wire:
    """Signs as the administrator."""
    config = oci.config.from_file(str(live.oci_config))
    key_id = signing.KeyId(config["tenancy"], config["user"], config["fingerprint"])
    return Wire(live, key_id, keys.load_private_key(pathlib.Path(config["key_file"])))


@pytest.fixture
def wire(live_hub: Any) -> Wire:
    """Requests by hand to a hub on SQLite."""
    return wire_of(live_hub)


@pytest.fixture
def api(live_hub: Any) -> Api:
    """A hub on SQLite."""
    return api_of(live_hub)


@pytest.fixture
def postgres_api(live_postgres_hub: Any) -> Api:
    """A hub on PostgreSQL."""
    return api_of(live_postgres_hub)
