"""Stations added, renamed, moved and deleted: all others know with their next heartbeat, and who asks is warned."""

from __future__ import annotations

import json
from typing import Any

import oci
import pytest

from stationmaster.api_client import session
from stationmaster.model import errors

OWN = "/stationmaster/v1"
API = "/20220901/managementStations"


def servers(fleet: Any, hostname: str = "lb.example.com") -> set[str]:
    found = fleet.person.request("GET", f"{OWN}/groups/balancer", query={"hostname": hostname}).json()
    return {one["displayName"] for one in found["servers"]}


def known(station: Any) -> tuple[set[str], set[str]]:
    """Names of its peers and ids of its sources, as of one heartbeat from now."""
    station.beat()
    return {one.display_name for one in station.desired.peers}, {one.source_id for one in station.desired.sources}


def warnings(answer: Any) -> list[str]:
    return list(json.loads(answer.headers.get("stationmaster-warnings", "[]")))


def update(fleet: Any, station_id: str, **fields: Any) -> Any:
    details = oci.os_management_hub.models.UpdateManagementStationDetails(**fields)
    return fleet.stations.update_management_station(station_id, details)


def compartment(fleet: Any, name: str) -> str:
    answer = fleet.person.request("POST", f"{OWN}/compartments", body={"name": name})
    return str(answer.json()["id"])


def test_a_station_that_is_added_is_known_with_the_next_heartbeat(fleet: Any, group: Any) -> None:
    third = fleet.register_station(fleet.make_station("StationC"))
    both = {"StationA", "StationB"}
    assert known(third) == (both, {group.source.id})
    assert known(group.a)[0] == {"StationB", "StationC"}
    assert servers(fleet) == both | {"StationC"}


def test_a_station_that_is_renamed_leaves_with_what_only_it_needed(fleet: Any, group: Any) -> None:
    other = fleet.make_source("other")
    fleet.make_profile(group.b.id, [other.id], "second")
    assert known(group.a) == ({"StationB"}, {group.source.id, other.id})
    answer = update(fleet, group.b.id, hostname="stb.example.com")
    assert warnings(answer) == [
        "StationB leaves the group of lb.example.com, where StationA stay.",
        "StationA is then the only station of lb.example.com: when it fails, instances get no updates.",
        "The group of lb.example.com no longer mirrors other; what its volumes hold of it stays for 3 days.",
    ]
    assert known(group.a) == (set(), {group.source.id})
    assert known(group.b) == (set(), {other.id})
    assert (servers(fleet), servers(fleet, "stb.example.com")) == ({"StationA"}, {"StationB"})
    assert warnings(update(fleet, group.b.id, hostname="lb.example.com")) == []
    assert known(group.a) == ({"StationB"}, {group.source.id, other.id})


def test_a_station_that_is_moved_leaves_too(fleet: Any, group: Any) -> None:
    details = oci.os_management_hub.models.ChangeManagementStationCompartmentDetails(
        compartment_id=compartment(fleet, "elsewhere")
    )
    answer = fleet.stations.change_management_station_compartment(group.b.id, details)
    found = warnings(answer)
    assert "StationB leaves the group of lb.example.com, where StationA stay." in found
    assert "lb.example.com is in use in another compartment; stations here are another group." in found
    assert known(group.a)[0] == set() == known(group.b)[0]


def test_a_station_that_is_deleted_is_gone_with_the_next_heartbeat(fleet: Any, group: Any) -> None:
    answer = fleet.stations.delete_management_station(group.b.id)
    assert "StationB leaves the group of lb.example.com, where StationA stay." in warnings(answer)
    assert known(group.a) == (set(), {group.source.id})
    assert servers(fleet) == {"StationA"}
    with pytest.raises(session.HubRefusedError):
        group.b.beat()


def test_an_only_holder_that_is_deleted_is_said_in_the_answer(fleet: Any, group: Any) -> None:
    fleet.tick()
    group.beat()
    for held in (["g1"], ["g1", "g2"]):
        group.a.held[group.source.id] = group.b.held[group.source.id] = held[:1]
        group.b.held[group.source.id] = held
        for _ in range(3):
            group.beat()
            fleet.tick()
    group.a.held[group.source.id] = []
    group.beat()
    answer = fleet.stations.delete_management_station(group.b.id)
    first = warnings(answer)[0]
    assert first == "It is the only one in touch that holds generation g1 of app."


def test_a_look_first_changes_nothing_and_refuses_as_the_change_would(fleet: Any, group: Any) -> None:
    before, told = fleet.stations.get_management_station(group.b.id), len(fleet.events("STATION_LEFT_GROUP"))
    body = {"hostname": "lb.exmaple.com", "mirror": {"directory": "/srv/m", "port": "17080", "sslport": "17443"}}
    asked = fleet.person.request("PUT", f"{OWN}/consequences{API}/{group.b.id}", body=body)
    found = asked.json()["warnings"]
    assert "StationB leaves the group of lb.example.com, where StationA stay." in found
    assert "lb.exmaple.com makes a group of its own; lb.example.com is another one." in found
    assert "lb.exmaple.com does not resolve on the hub's host; clients and stations must know it." in found
    after = fleet.stations.get_management_station(group.b.id)
    assert (after.data, after.headers["etag"]) == (before.data, before.headers["etag"])
    assert len(fleet.events("STATION_LEFT_GROUP")) == told
    body = {"mirror": {"directory": "/mnt/mirror", "port": "9000", "sslport": "17443"}}
    with pytest.raises(errors.StationmasterError, match=r"mirror\.port 9000 differs from 17080 of the peer"):
        fleet.person.request("PUT", f"{OWN}/consequences{API}/{group.b.id}", body=body)
    gone = fleet.person.request("DELETE", f"{OWN}/consequences{API}/{group.b.id}").json()["warnings"]
    assert "StationA is then the only station of lb.example.com: when it fails, instances get no updates." in gone
    assert servers(fleet) == {"StationA", "StationB"}


def test_what_shrinks_the_mirror_list_is_said(fleet: Any, group: Any) -> None:
    expected = ["The group of lb.example.com no longer mirrors app; what its volumes hold of it stays for 3 days."]
    profile = f"/20220901/profiles/{group.profile.id}"
    assert fleet.person.request("DELETE", f"{OWN}/consequences{profile}").json() == {"warnings": expected}
    agent = fleet.register_agent(group.profile.id)
    onboarding = fleet.client(oci.os_management_hub.OnboardingClient)
    assert warnings(onboarding.delete_profile(group.profile.id)) == []  # an instance needs it still
    models = oci.os_management_hub.models
    details = models.DetachSoftwareSourcesFromManagedInstanceDetails(software_sources=[group.source.id])
    answer = fleet.instances.detach_software_sources_from_managed_instance(agent.answer.managed_instance_id, details)
    assert warnings(answer) == expected
    assert known(group.a)[1] == set()


def test_directories_that_differ_are_warned_of_and_accepted(fleet: Any, group: Any) -> None:
    models = oci.os_management_hub.models
    mirror = models.UpdateMirrorConfigurationDetails(directory="/srv/mirror", port="17080", sslport="17443")
    (found,) = warnings(update(fleet, group.b.id, mirror=mirror))
    assert found.startswith("Stations of lb.example.com then keep their mirrors in different directories (/mnt/mirror")
    group.b.beat()
    assert group.b.desired.mirror_directory == "/srv/mirror"
