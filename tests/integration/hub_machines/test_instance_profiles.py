"""Profiles attached to registered instances, and what follows for them and for the mirror list of their group (I3)."""

from __future__ import annotations

from typing import Any

import oci
import pytest

models = oci.os_management_hub.models
OWN = "/stationmaster/v1"


def attach(fleet: Any, agent: Any, profile_id: str, **options: str) -> None:
    details = models.AttachProfileToManagedInstanceDetails(profile_id=profile_id)
    fleet.instances.attach_profile_to_managed_instance(agent.answer.managed_instance_id, details, **options)


def detach(fleet: Any, agent: Any) -> None:
    fleet.instances.detach_profile_from_managed_instance(agent.answer.managed_instance_id)


def needs(fleet: Any) -> dict[str, list[tuple[str, str]]]:
    """What `ha why` says: for each source the reasons, with the station through which they count."""
    (found,) = fleet.person.request("GET", f"{OWN}/groups?hostname=lb.example.com").json()["items"]
    return {
        source["id"]: sorted((one["stationId"], f"{one['kind']} {one['id']}") for one in source["needs"])
        for source in found["sources"]
    }


def mirrored(station: Any) -> set[str]:
    station.beat()
    return {one.source_id for one in station.desired.sources}


def sources_of(agent: Any) -> set[str]:
    return {one.source_id for one in agent.check_in().desired.sources}


def test_an_attached_profile_acts_as_a_registration_by_it_would(fleet: Any, group: Any) -> None:
    agent = fleet.register_agent(group.profile.id)
    own = agent.answer.managed_instance_id
    by_hand, other = fleet.make_source("by-hand"), fleet.make_source("other")
    second = fleet.make_profile(group.b.id, [other.id], name="db")
    details = models.AttachSoftwareSourcesToManagedInstanceDetails(software_sources=[by_hand.id])
    fleet.instances.attach_software_sources_to_managed_instance(own, details)
    attach(fleet, agent, second.id)
    shown = fleet.instances.get_managed_instance(own).data
    assert (shown.profile, shown.profile_version) == (second.id, "1")
    assert shown.primary_management_station_id == group.b.id
    assert {one.id for one in shown.software_sources} == {by_hand.id, other.id}, "the former profile's went"
    assert sources_of(agent) == {by_hand.id, other.id}
    assert any(
        "got profile db: 1 sources came, 1 went" in one["message"] for one in fleet.events("INSTANCE_RE_POINTED")
    )
    detach(fleet, agent)
    shown = fleet.instances.get_managed_instance(own).data
    assert (shown.profile, shown.profile_version) == (None, None)
    assert shown.primary_management_station_id == group.b.id, "the agent reaches the hub by it"
    assert sources_of(agent) == {by_hand.id}
    assert fleet.instances.list_managed_instances(is_profile_attached=False, display_name=["web01"]).data.items


def test_what_the_profile_was_when_it_acted_counts_not_what_it_became(fleet: Any, group: Any) -> None:
    agent, later = fleet.register_agent(group.profile.id), fleet.make_source("later")
    onboarding = fleet.client(oci.os_management_hub.OnboardingClient)
    change = models.AttachSoftwareSourcesToProfileDetails(software_sources=[later.id])
    onboarding.attach_software_sources_to_profile(group.profile.id, change)
    assert sources_of(agent) == {group.source.id}
    details = models.AttachSoftwareSourcesToManagedInstanceDetails(software_sources=[later.id])
    fleet.instances.attach_software_sources_to_managed_instance(agent.answer.managed_instance_id, details)
    detach(fleet, agent)
    assert sources_of(agent) == {later.id}, "attached by hand, though the profile has it now"
    attach(fleet, agent, group.profile.id)
    assert sources_of(agent) == {group.source.id, later.id}
    shown = fleet.instances.get_managed_instance(agent.answer.managed_instance_id).data
    assert shown.profile_version == "2"


def test_i3_the_mirror_list_grows_at_once_and_why_names_the_instance(fleet: Any, group: Any) -> None:
    agent = fleet.register_agent(group.profile.id)
    other = fleet.make_source("other")
    elsewhere = fleet.register_station(fleet.make_station("StationC", "elsewhere.example.com"))
    second = fleet.make_profile(elsewhere.id, [other.id], name="db")
    attach(fleet, agent, second.id)
    body = models.UpdateManagedInstanceDetails(primary_management_station_id=group.b.id)
    fleet.instances.update_managed_instance(agent.answer.managed_instance_id, body)
    assert mirrored(group.a) == mirrored(group.b) == {group.source.id, other.id}
    assert needs(fleet)[other.id] == [(group.b.id, f"instance {agent.answer.managed_instance_id}")]
    # Its sync starts by itself: one of the two is given the lease, and nothing of it is visible yet.
    fleet.tick()
    group.beat()
    assert sorted((one.leads(other.id) > 0) for one in (group.a, group.b)) == [False, True]


def test_i3_a_list_that_shrinks_keeps_the_data(fleet: Any, group: Any) -> None:
    agent, other = fleet.register_agent(group.profile.id), fleet.make_source("other")
    second = fleet.make_profile(group.a.id, [other.id], name="db")
    attach(fleet, agent, second.id)
    for _ in range(3):
        group.beat()
        fleet.tick()
        for one in (group.a, group.b):
            one.held[other.id] = ["g5"]
    assert any(one.source_id == other.id for one in group.a.beat().visible)
    detach(fleet, agent)
    fleet.client(oci.os_management_hub.OnboardingClient).delete_profile(second.id)
    fleet.tick()
    assert mirrored(group.a) == mirrored(group.b) == {group.source.id}
    fleet.tick(86400)
    for one in (group.a, group.b):
        assert one.beat().retained.get(other.id) == ["g5"], "for the retention time"


def test_profiles_that_cannot_act_are_refused(fleet: Any, group: Any) -> None:
    agent = fleet.register_agent(group.profile.id)
    empty = fleet.make_profile(group.a.id, [], name="empty")
    unregistered = fleet.make_profile(fleet.make_station("StationC", "c.example.com").id, [group.source.id], name="c")
    own = fleet.stations.get_management_station(group.a.id).data
    for profile_id, status, words in (
        (empty.id, 409, "has no content"),
        (unregistered.id, 409, "has not registered yet"),
        (own.profile_id, 409, "registers a station"),
        ("ocid1.osmhprofile.oc1..unknown", 404, "Unknown profile"),
        ("nonsense", 400, "profileId"),
    ):
        with pytest.raises(oci.exceptions.ServiceError, match=words) as caught:
            attach(fleet, agent, profile_id)
        assert caught.value.status == status
    assert sources_of(agent) == {group.source.id}
    with pytest.raises(oci.exceptions.ServiceError) as stale:
        attach(fleet, agent, group.profile.id, if_match="stale")
    assert stale.value.status == 412
    detach(fleet, agent)
    with pytest.raises(oci.exceptions.ServiceError, match="no profile attached"):
        detach(fleet, agent)
    with pytest.raises(oci.exceptions.ServiceError, match="is a management station itself"):
        fleet.instances.detach_profile_from_managed_instance(own.managed_instance_id)
