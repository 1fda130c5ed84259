import concurrent.futures
import dataclasses
import datetime
import threading
from typing import Any, cast

import oci
import pytest
import sqlalchemy as sa

from stationmaster.host import clock
from stationmaster.hub import settling, shared_clock, watch
from stationmaster.hub.db import schema
from stationmaster.hub.jobs import loop
from stationmaster.testing import manual_clock


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


class Server:
    """A database server with the time of a clock that is moved by hand; silent at times."""

    def __init__(self, behind: Any, time: manual_clock.ManualClock) -> None:
        self._time = time
        self.is_silent = False
        self.read, self.transact = behind.read, behind.transact

    def look(self) -> datetime.datetime:
        if self.is_silent:
            raise sa.exc.OperationalError("SELECT", {}, OSError("no route"))
        return self._time.now()


@pytest.fixture
def watched(fleet: Any) -> tuple[watch.Watch, Server, manual_clock.ManualClock, settling.Settling]:
    hub, time = fleet.live.hub, manual_clock.ManualClock()
    server, settled = Server(hub.store, time), settling.Settling()
    made = watch.Watch(cast("Any", server), shared_clock.SharedClock(time), settled, hub.address)
    settled.assume(time.monotonic())
    return made, server, time, settled


def test_a_long_round_is_no_silence_and_standing_still_is(watched: Any) -> None:
    hub_watch, _, time, settled = watched
    hub_watch.look()
    for _ in range(40):
        time.advance(0.5)
        hub_watch.beat()
    hub_watch.look()
    assert settled.listened_seconds(time) == 20.0
    time.advance(watch.STILL_SECONDS + 0.1)
    hub_watch.beat()
    assert settled.listened_seconds(time) == 0.0


@pytest.mark.parametrize(("seconds", "listened"), [(4.0, 4.0), (6.0, 0.0)])
def test_a_database_that_was_silent_for_long_makes_a_hub_listen_anew(
    watched: Any, seconds: float, listened: float
) -> None:
    hub_watch, server, time, settled = watched
    server.is_silent = True
    with pytest.raises(sa.exc.OperationalError):
        hub_watch.look()
    time.advance(seconds)
    server.is_silent = False
    hub_watch.look()
    assert settled.listened_seconds(time) == listened
    time.advance(10.0)  # the next round is late, and the database is not to blame
    hub_watch.look()
    assert settled.listened_seconds(time) == listened + 10.0


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


def test_an_hour_without_hub_excludes_nobody(fleet: Any, group: Any) -> None:
    """R8, R9: what a station lacked before counts from when the hub listens again."""
    fleet.tick()
    hold(group, "g1")
    fleet.tick()
    group.beat()
    group.a.held[group.source.id].append("g2")
    details = oci.os_management_hub.models.SynchronizeMirrorsDetails(software_source_list=[group.source.id])
    fleet.stations.synchronize_mirrors(group.a.id, details)
    for _ in range(3):
        group.beat()
        fleet.tick(1)
    with fleet.live.hub.store.read() as tx:
        assert [row.generation for row in tx.execute(schema.station_lags.select())] == ["g2"], "B lags already"
    fleet.live.clock.shift += 3600
    fleet.live.hub.settling.unsettle()

    def wait(seconds: int) -> int:
        for _ in range(seconds // 3):
            group.beat()
            fleet.tick(3)
        return len(fleet.events("STATION_LEFT_ROTATION"))

    assert wait(30) == 0
    assert fleet.live.hub.is_settled
    assert wait(45) == 1, "but it is not waited for beyond the lag limit"
