import concurrent.futures
import dataclasses
import datetime
import threading
from typing import Any

import pytest

from stationmaster.host import clock
from stationmaster.hub import shared_clock, watch
from stationmaster.hub.db import schema
from stationmaster.hub.jobs import loop


class WallClock(clock.SystemClock):
    """A wall clock that somebody sets while the monotonic one runs on."""

    shift = 0.0

    def now(self) -> datetime.datetime:
        return super().now() + datetime.timedelta(seconds=self.shift)


def hold(group: Any, generation: str) -> None:
    group.beat()
    for station in (group.a, group.b):
        station.held[group.source.id] = [generation]
        station.beat()


def test_a_hub_that_has_just_started_first_listens(fleet: Any, group: Any) -> None:
    fleet.tick()
    hold(group, "g1")
    assert [one.token for one in group.a.last.leases] == [1]
    fleet.live.hub.settling.unsettle()
    for _ in range(3):
        fleet.tick(3)
        group.beat()
        assert group.a.visible == []
        assert group.a.last.leases == []
    for _ in range(2):
        fleet.tick(3)
        group.beat()
    assert [one.generation for one in group.a.visible] == ["g1"]
    assert [one.token for one in group.a.last.leases] == [1]


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_jumped_ends_no_lease(fleet: Any, group: Any, jump: float) -> None:
    hub = fleet.live.hub
    wall = WallClock()
    shared = shared_clock.SharedClock(wall)
    watched = watch.Watch(hub.store, shared, hub.settling, hub.address)
    fleet.scheduler = loop.Scheduler(dataclasses.replace(hub, clock=shared, watch=watched))
    fleet.tick()
    hold(group, "g1")
    fleet.tick()
    holder = group.a.beat().leases or group.b.beat().leases
    assert holder
    wall.shift = jump
    fleet.tick()
    assert not hub.is_settled
    for _ in range(3):
        fleet.tick()
    assert fleet.events("LEASE_MOVED") == []
    with hub.store.read() as tx:
        assert tx.execute(schema.source_leases.select()).one().time_renewed <= shared.now() + watch.AHEAD


def test_of_two_replicas_one_wins_each_write(fleet: Any, group: Any) -> None:
    fleet.live.clock.shift += 86401
    replicas = [loop.Scheduler(fleet.live.hub) for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for generation in ("g1", "g2", "g3"):
            group.beat()
            list(pool.map(lambda one: one.tick(), replicas))
            hold(group, generation)
            list(pool.map(lambda one: one.tick(), replicas))
            list(pool.map(lambda one: one.tick(), replicas))
    assert [(one.number, one.generation) for one in group.a.beat().visible] == [(3, "g3")]
    assert len(fleet.events("GENERATION_VISIBLE")) == 3
    assert len(fleet.events("SCHEDULED_JOB_RUN")) == 2  # one for each station, whoever ran it
    assert len(fleet.events("STATION_HEALTH_CHANGED")) == 2


def test_a_step_that_fails_keeps_no_other_waiting(fleet: Any, group: Any) -> None:
    fleet.tick()
    hold(group, "g1")
    broken = fleet.make_station("Broken", "broken.example.com")
    machine = fleet.register_station(broken)
    machine.beat()
    with fleet.live.hub.store.write() as tx:
        table = schema.station_reports
        tx.execute(table.update().where(table.c.station_id == broken.id).values(report="{"))
    fleet.tick()
    assert [one.generation for one in group.a.beat().visible] == ["g1"]


def test_it_runs_until_it_is_stopped(fleet: Any, group: Any) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(fleet.live.hub, stop))
    thread.start()
    try:
        for _ in range(100):
            if group.a.beat().desired_digest and group.a.desired.sources[0].sync_number == 1:
                break
            stop.wait(0.05)
        assert group.a.desired.sources[0].sync_number == 1
    finally:
        stop.set()
        thread.join(5)
    assert not thread.is_alive()
