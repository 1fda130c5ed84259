"""Things to make through the OCI SDK."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import oci
import pytest
from oci.os_management_hub import models

from stationmaster.hub.db import schema


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


@pytest.fixture
def api(live_hub: Any) -> Api:
    """A hub on SQLite."""
    return api_of(live_hub)


@pytest.fixture
def postgres_api(live_postgres_hub: Any) -> Api:
    """A hub on PostgreSQL."""
    return api_of(live_postgres_hub)
