"""Volumes over groups: leases to remove, sharing proved by nonces, copies for a volume, and what must stay (R10)."""

from typing import Any

import pytest

from stationmaster.model import protocol


def share(group: Any) -> None:
    """Both stations see one volume, and each reads the other's nonce."""
    nonces = {group.a.id: "na", group.b.id: "nb"}
    for station, nonce in ((group.a, "na"), (group.b, "nb")):
        station.volume_id, station.nonce, station.nonces = "shared", nonce, nonces


def settle(fleet: Any, group: Any, rounds: int = 1) -> None:
    for _ in range(rounds):
        group.beat()
        fleet.tick(2)
    group.beat()


def hold(group: Any, *generations: str) -> None:
    for station in (group.a, group.b):
        station.held[group.source.id] = list(generations)


def test_each_volume_is_looked_after_by_its_station(fleet: Any, group: Any) -> None:
    settle(fleet, group)
    for station in (group.a, group.b):
        assert station.last.volume_lease == protocol.VolumeLease(volume_id=f"volume of {station.id}", token=1)


def test_one_station_of_a_volume_may_remove(fleet: Any, group: Any) -> None:
    share(group)
    group.a.writer_token = 7
    settle(fleet, group)
    assert (group.a.last.volume_lease.token, group.b.last.volume_lease) == (8, None)
    for _ in range(6):
        fleet.tick(2)
        group.b.beat()
    assert group.b.last.volume_lease.token == 9
    group.a.beat()
    assert group.a.last.volume_lease is None
    assert len(fleet.events("VOLUME_LEASE_MOVED")) == 1


def test_a_sync_on_shared_storage_is_one_sync(fleet: Any, group: Any) -> None:
    share(group)
    settle(fleet, group)
    hold(group, "g1")
    settle(fleet, group, 2)
    assert group.a.last.copies == group.b.last.copies == []
    assert [one.generation for one in group.b.visible] == ["g1"]
    for station in (group.a, group.b):
        (mirror,) = fleet.stations.list_mirrors(station.id).data.items
        assert (mirror.state, mirror.percentage) == ("SYNCED", 100)


def test_a_copied_id_is_refused_to_the_younger_and_told(fleet: Any, group: Any) -> None:
    group.a.volume_id = "seed"
    settle(fleet, group, 3)
    group.b.volume_id, group.b.nonces = "seed", {group.b.id: "n1", group.a.id: "of long ago"}
    settle(fleet, group)
    assert group.b.last.volume_problem is None, "a nonce takes its time"
    settle(fleet, group, 6)
    assert group.a.last.volume_problem is None
    assert group.b.last.volume_problem.code == "VolumeCopied"
    assert "take-volume --new-id" in group.b.last.volume_problem.message
    assert (group.a.last.volume_lease.token, group.b.last.volume_lease) == (1, None)
    (event,) = fleet.events("SHARING_BROKEN")
    assert event["resourceId"] == group.b.id
    group.b.volume_id = ""
    settle(fleet, group, 2)
    assert group.b.last.volume_problem is None
    assert group.b.last.volume_lease is not None


def test_what_any_group_shows_must_stay_on_the_volume(fleet: Any, group: Any) -> None:
    settle(fleet, group)
    source = group.source.id
    for generation in ("g1", "g2", "g3", "g4"):
        held = group.a.held.get(source, [])
        hold(group, *held, generation)
        settle(fleet, group, 3)
        if generation == "g1":
            continue
    assert [one.generation for one in group.a.visible] == ["g4"]
    assert group.a.last.retained == {source: ["g1", "g2", "g3", "g4"]}
    for _ in range(2):
        fleet.live.clock.shift += 3 * 86400
        settle(fleet, group, 8)
    assert group.a.last.retained == {source: ["g3", "g4"]}, "the newest and the one before stay"


def test_what_a_silent_station_may_show_stays(fleet: Any, group: Any) -> None:
    settle(fleet, group)
    hold(group, "g1")
    settle(fleet, group, 3)
    group.a.held[group.source.id] = ["g1"]
    for generation in ("g2", "g3", "g4"):
        group.a.held[group.source.id] = [*group.a.held[group.source.id], generation]
        for _ in range(8):
            fleet.tick(2)
            group.a.beat()
    assert [one.generation for one in group.a.visible] == ["g4"]
    fleet.live.clock.shift += 10 * 86400
    for _ in range(8):
        fleet.tick(2)
        group.a.beat()
    assert "g1" in group.a.last.retained[group.source.id], "the one that was cut off may still show it"
    assert set(group.a.last.retained[group.source.id]) == {"g1", "g2", "g3", "g4"}


@pytest.fixture(autouse=True)
def _long_running(fleet: Any) -> None:
    fleet.live.hub.settling.assume(fleet.live.clock.monotonic() - 60)
