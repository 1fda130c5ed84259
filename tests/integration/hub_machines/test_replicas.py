"""R8, R9: replicas with wall clocks minutes apart on one PostgreSQL, and a database that is replaced by its backup."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import oci
import pytest

from stationmaster.host import clock
from stationmaster.hub.db import schema
from stationmaster.hub.jobs import loop


class WallClock(clock.SystemClock):
    """Set by somebody, while the monotonic clock runs on."""

    def __init__(self, off: float) -> None:
        self.off = off

    def now(self) -> datetime.datetime:
        return super().now() + datetime.timedelta(seconds=self.off)


@dataclasses.dataclass
class Replica:
    live: Any
    wall: WallClock
    scheduler: loop.Scheduler

    def heard(self, station: Any) -> Any:
        """A heartbeat of ``station`` that this replica receives."""
        by = dataclasses.replace(station, live=self.live)
        answer = by.beat()
        station.desired, station.digest, station.visible, station.last = by.desired, by.digest, by.visible, by.last
        return answer


@pytest.fixture
def replicas(new_replica: Any) -> tuple[Replica, Replica]:
    """One is twelve minutes ahead, the other seven behind; both have run for a while."""
    found = []
    for off in (720.0, -420.0):
        wall = WallClock(off)
        live = new_replica(wall)
        live.hub.settling.assume(wall.monotonic() - 60)
        found.append(Replica(live, wall, loop.Scheduler(live.hub)))
    return found[0], found[1]


def ask(fleet: Any, group: Any) -> None:
    """Let the leader look what the upstream has."""
    details = oci.os_management_hub.models.SynchronizeMirrorsDetails(software_source_list=[group.source.id])
    fleet.stations.synchronize_mirrors(group.a.id, details)


def rounds(replicas: Any, group: Any, count: int = 1) -> None:
    """Each station is heard by each replica in turn, and each looks at the groups."""
    for number in range(count):
        for one, station in zip(replicas, (group.a, group.b)[:: 1 if number % 2 else -1], strict=True):
            one.heard(station)
        for one in replicas:
            one.scheduler.tick()


def test_wall_clocks_minutes_apart_change_nothing(fleet: Any, group: Any, replicas: Any) -> None:
    fleet.tick()
    rounds(replicas, group, 2)
    for generation in ("g1", "g2"):
        for station in (group.a, group.b):
            station.held[group.source.id] = [generation]
        if generation == "g2":
            ask(fleet, group)
        rounds(replicas, group, 6)
        assert [one.generation for one in group.a.visible] == [generation]
        for one in replicas:
            one.wall.off *= -1  # and they jump, too
    tokens = [one.token for station in (group.a, group.b) for one in station.last.leases]
    assert tokens == [1], "one leads, as from the beginning"
    assert (fleet.events("STATION_LEFT_ROTATION"), fleet.events("LEASE_MOVED")) == ([], [])
    truth = datetime.datetime.now(datetime.UTC)
    for one in replicas:
        assert abs((one.heard(group.a).time_received - truth).total_seconds()) < 5
        assert one.live.hub.is_settled
    with fleet.live.hub.store.read() as tx:
        for row in tx.execute(schema.station_reports.select()):
            assert abs((row.time_received - truth).total_seconds()) < 10


def test_a_station_that_one_replica_hears_is_silent_to_none(fleet: Any, group: Any, replicas: Any) -> None:
    """Only the one ahead hears; the one behind, which decides, counts by the same clock."""
    fleet.tick()
    ahead, behind = replicas
    for _ in range(3):
        for station in (group.a, group.b):
            station.held[group.source.id] = ["g1"]
            ahead.heard(station)
        behind.scheduler.tick()
    assert [one.generation for one in ahead.heard(group.b).visible] == ["g1"]
    assert {one["data"]["healthState"] for one in fleet.events("STATION_HEALTH_CHANGED")} == {"HEALTHY"}


def test_what_was_visible_stays_when_the_database_goes_back(fleet: Any, group: Any, replicas: Any) -> None:
    """R8: as if restored from a backup that was made when g1 had just become visible."""
    fleet.tick()
    kept = (schema.visible, schema.source_leases, schema.candidates, schema.sync_requests, schema.source_generations)

    def show(generation: str) -> None:
        for station in (group.a, group.b):
            station.held[group.source.id] = [generation]
        rounds(replicas, group, 6)

    show("g1")
    with fleet.live.hub.store.read() as tx:
        backup = {table.name: [row._asdict() for row in tx.execute(table.select())] for table in kept}
    for generation in ("g2", "g3"):
        ask(fleet, group)
        show(generation)
    assert [(one.number, one.generation) for one in group.a.visible] == [(3, "g3")]
    with fleet.live.hub.store.write() as tx:
        for table in kept:
            tx.execute(table.delete())
            if backup[table.name]:
                tx.execute(table.insert(), backup[table.name])
        tx.exec_driver_sql("ALTER TABLE settings RENAME TO former")
        tx.exec_driver_sql("CREATE TABLE settings (LIKE former INCLUDING ALL)")
        tx.exec_driver_sql("INSERT INTO settings SELECT * FROM former")
        tx.exec_driver_sql("DROP TABLE former")
    for one in replicas:
        one.scheduler.tick()
        assert not one.live.hub.is_settled, "its tables were made anew"
        station = dataclasses.replace(group.a, live=one.live)
        assert (station.beat().leases, station.last.volume_lease) == ([], None)
    for one in replicas:
        one.live.hub.settling.assume(one.wall.monotonic() - 60)
    rounds(replicas, group, 6)
    with fleet.live.hub.store.read() as tx:
        shown = max((row.number, row.generation) for row in tx.execute(schema.visible.select()))
    assert shown[0] >= 3
    assert shown[1] == "g3"
    show("g4")
    ask(fleet, group)
    rounds(replicas, group, 6)
    assert group.a.visible[0].generation == "g4"
    assert group.a.visible[0].number > shown[0]
