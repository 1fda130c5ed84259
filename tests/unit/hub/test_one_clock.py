"""R8, R9: one clock for all replicas, what unsettles a hub, and that no delay is older than it has listened."""

from __future__ import annotations

import dataclasses
import datetime

import hypothesis
import pytest
from hypothesis import strategies as st

from stationmaster.hub import settling
from stationmaster.hub.db import primary
from stationmaster.hub.shared_clock import JUMP_SECONDS, SLOWEST_SECONDS, Measured, SharedClock
from stationmaster.model import leadership
from stationmaster.testing import manual_clock

START = datetime.datetime(2026, 3, 4, tzinfo=datetime.UTC)
LIVENESS = datetime.timedelta(seconds=10)


@dataclasses.dataclass
class Host:
    """A replica's host: its wall clock is anywhere, its monotonic clock began whenever and goes a little wrong."""

    wall_off: float
    started: float
    drift: float
    at: float = 0.0

    def now(self) -> datetime.datetime:
        return START + datetime.timedelta(seconds=self.at + self.wall_off)

    def monotonic(self) -> float:
        return self.started + self.at * (1 + self.drift)

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def measured(host: Host, at: float, took: float, part: float, server_off: float = 0.0) -> Measured:
    """Asked at ``at``; the server looked at its clock when ``part`` of the time had passed."""
    host.at = at
    asked_at = host.monotonic()
    host.at = at + took
    time = START + datetime.timedelta(seconds=at + part * took + server_off)
    return Measured(time, asked_at, host.monotonic())


hosts = st.builds(
    Host,
    wall_off=st.floats(-1e7, 1e7),
    started=st.floats(0, 1e7),
    drift=st.floats(-1e-4, 1e-4),
)
looks = st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 1), st.floats(-1e6, 1e6)), min_size=1, max_size=30)


@hypothesis.given(one=hosts, other=hosts, seen=looks, seen_by_other=looks)
def test_replicas_agree_on_the_time_whatever_their_wall_clocks_do(
    one: Host, other: Host, seen: list[tuple[float, float, float]], seen_by_other: list[tuple[float, float, float]]
) -> None:
    """Each look: how long the answer took, where in between the server stood, and where the wall clock jumps to."""
    ends = []
    for host, told in ((one, seen), (other, seen_by_other)):
        shared, at = SharedClock(host), 0.0
        shared.follow(measured(host, at, 0.01, 0.5))
        for took, part, wall_off in told:
            host.wall_off = wall_off
            assert shared.follow(measured(host, at, took, part)) == 0.0, "nothing jumped but a wall clock"
            at += 1.0
        host.at = 40.0
        ends.append((shared.now() - START).total_seconds() - 40.0)
    assert all(abs(off) < 0.25 for off in ends)
    # A stamp of the one, judged by the other: nobody gets the lease of a holder that may still be at work (8 s of 10).
    age = 8.0 + 2 * SLOWEST_SECONDS / 2 + ends[1] - ends[0]
    lease = leadership.Lease(token=3, holder=None, renewed_seconds=min(age, 9.99))
    ruling = leadership.rule(lease, [leadership.Contender("b")], leadership.Terms(), is_settled=True)
    assert ruling.verdict is leadership.Verdict.KEEP
    assert age < leadership.Terms().lease


@pytest.mark.parametrize("jump", [-86400.0, -1.0, 0.6, 30.0, 86400.0])
@pytest.mark.parametrize("took", [0.01, 0.4])
def test_a_jump_of_the_servers_clock_is_told_once(jump: float, took: float) -> None:
    host = Host(0.0, 5.0, 0.0)
    shared = SharedClock(host)
    assert shared.follow(measured(host, 0.0, 0.01, 0.5)) == 0.0
    assert shared.follow(measured(host, 1.0, 0.01, 0.5)) == 0.0
    assert shared.follow(measured(host, 2.0, took, 0.5, jump)) == pytest.approx(jump, abs=0.01)
    assert shared.follow(measured(host, 3.0, 0.01, 0.5, jump)) == 0.0
    assert (shared.now() - START).total_seconds() == pytest.approx(3.01 + jump, abs=0.3)


def test_a_small_step_is_followed_and_a_slow_answer_is_not() -> None:
    host = Host(0.0, 5.0, 0.0)
    shared = SharedClock(host)
    shared.follow(measured(host, 0.0, 0.0, 0.5))
    assert shared.follow(measured(host, 1.0, 0.0, 0.5, JUMP_SECONDS - 0.01)) == 0.0
    assert (shared.now() - START).total_seconds() == pytest.approx(1.24)
    assert shared.follow(measured(host, 2.0, 0.4, 1.0, JUMP_SECONDS)) == 0.0
    assert (shared.now() - START).total_seconds() == pytest.approx(2.64), "by our own clock alone"


def test_until_something_was_measured_it_is_the_hosts_own() -> None:
    host = Host(77.0, 5.0, 0.0)
    assert SharedClock(host).now() == START + datetime.timedelta(seconds=77)
    assert SharedClock(host).own_time() == host.now()


def server(**changes: object) -> primary.Server:
    known = {"started": START, "timeline": "00000001", "tables": 16400, "position": 1000}
    return primary.Server(**{**known, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"position": 5000}, ""),
        ({"started": START + datetime.timedelta(seconds=1)}, "started anew"),
        ({"timeline": "00000002", "position": 5000}, "timeline"),
        ({"tables": 16999}, "tables"),
        ({"position": 999}, "went back"),
    ],
)
def test_what_shows_that_a_server_is_not_the_former(changes: dict[str, object], why: str) -> None:
    told = server(**changes).change_since(server())
    assert (why in told, bool(told)) == (True, bool(why))
    assert server(**changes).change_since(None) == ""


def test_a_hub_decides_once_it_has_listened_without_a_doubt() -> None:
    clock, settled = manual_clock.ManualClock(), settling.Settling()
    assert not settled.is_settled(clock, LIVENESS)
    clock.sleep(9.9)
    assert not settled.is_settled(clock, LIVENESS)
    clock.sleep(0.2)
    assert settled.is_settled(clock, LIVENESS)
    settled.unsettle("The database changed.")
    assert not settled.is_settled(clock, LIVENESS)
    clock.sleep(5)
    assert settled.listened_seconds(clock) == 5
    settled.unsettle()
    clock.sleep(8)
    assert not settled.is_settled(clock, LIVENESS), "a second doubt begins anew"
