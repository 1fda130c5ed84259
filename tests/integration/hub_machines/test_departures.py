"""A station that goes: its peers get what only it holds first, and somebody else leads."""

import contextlib
from typing import Any

import oci
import pytest


def settle(fleet: Any, group: Any, rounds: int = 2) -> None:
    for _ in range(rounds):
        group.beat()
        fleet.tick(2)
    group.beat()


def delete(fleet: Any, station: Any) -> None:
    fleet.stations.delete_management_station(station.id)


def lead(fleet: Any, group: Any) -> None:
    """A leads and shows what only it holds; B lacks it."""
    settle(fleet, group)
    group.a.held[group.source.id] = group.b.held[group.source.id] = ["g1"]
    settle(fleet, group)
    assert group.a.leads(group.source.id)
    group.b.held[group.source.id] = []
    settle(fleet, group, 1)


@pytest.fixture
def unreferenced(fleet: Any, group: Any) -> Any:
    """The group with its profile on the station that stays."""
    client = fleet.client(oci.os_management_hub.OnboardingClient)
    client.delete_profile(group.profile.id)
    fleet.make_profile(group.b.id, [group.source.id], "kept")
    return group


def test_the_only_holder_stays_until_another_has_it(fleet: Any, unreferenced: Any) -> None:
    group = unreferenced
    lead(fleet, group)
    delete(fleet, group.a)
    assert fleet.stations.get_management_station(group.a.id).data.lifecycle_state == "DELETING"
    (event,) = fleet.events("STATION_LEAVES_WITH_DATA")
    assert "only one in touch that holds generation g1 of app" in event["message"]
    settle(fleet, group, 1)
    assert [one.holders for one in group.b.last.copies] == [[group.a.id]]
    assert group.a.last.leases == []
    group.b.held[group.source.id] = ["g1"]
    group.beat()
    fleet.tick()
    with pytest.raises(oci.exceptions.ServiceError):
        fleet.stations.get_management_station(group.a.id)
    for _ in range(6):
        fleet.tick(2)
        group.b.beat()
    assert group.b.leads(group.source.id)


def test_it_does_not_wait_for_ever_and_not_twice(fleet: Any, unreferenced: Any) -> None:
    group = unreferenced
    lead(fleet, group)
    delete(fleet, group.a)
    delete(fleet, group.a)
    with pytest.raises(oci.exceptions.ServiceError):
        fleet.stations.get_management_station(group.a.id)


def test_it_goes_when_the_lag_limit_is_over(fleet: Any, unreferenced: Any) -> None:
    group = unreferenced
    lead(fleet, group)
    delete(fleet, group.a)
    for _ in range(9):
        with contextlib.suppress(Exception):
            group.a.beat()
        group.b.beat()
        fleet.tick(7)
    with pytest.raises(oci.exceptions.ServiceError):
        fleet.stations.get_management_station(group.a.id)


def test_one_whose_data_others_hold_goes_at_once(fleet: Any, unreferenced: Any) -> None:
    group = unreferenced
    lead(fleet, group)
    group.b.held[group.source.id] = ["g1"]
    group.beat()
    delete(fleet, group.a)
    assert fleet.events("STATION_LEAVES_WITH_DATA") == []
    with pytest.raises(oci.exceptions.ServiceError):
        fleet.stations.get_management_station(group.a.id)


def test_what_one_that_left_lacks_waits_until_balancers_saw_it_go(fleet: Any, group: Any) -> None:
    """R2: it is taken for ready for a moment; found by the exploration."""
    lead(fleet, group)
    group.b.held[group.source.id] = ["g1"]
    settle(fleet, group)
    group.a.held[group.source.id] = ["g1", "g2"]
    settle(fleet, group, 1)
    delete(fleet, group.b)
    for _ in range(4):
        fleet.tick(2)
        assert [one.generation for one in group.a.beat().visible] == ["g1"]
    for _ in range(2):
        fleet.tick(2)
        group.a.beat()
    assert [one.generation for one in group.a.visible] == ["g2"]
