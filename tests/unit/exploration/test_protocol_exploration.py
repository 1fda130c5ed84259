"""The HA protocol explored: exhaustively with one fault on two stations, at random with three on three stations.

`make explore` goes further. The last tests take one rule away each, and the exploration must notice.
"""

import dataclasses
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stationmaster.model import leadership, protocol, rotation, visibility
from stationmaster.station import snapshot as snapshots
from stationmaster.testing.exploration import explore, state, station_side, world


def explored(volumes: tuple[int, ...], most: int = 1_000_000, **budget: int) -> explore.Result:
    start = state.first(volumes, **{"faults": 0, "releases": 0, "removals": 0, **budget})
    return explore.explore(start, may_go_on=lambda count: count < most)


@pytest.mark.parametrize(
    ("volumes", "budget", "at_least"),
    [
        ((0, 1), {"releases": 3, "removals": 1}, 1000),
        ((0, 0), {"faults": 1, "releases": 1, "removals": 1}, 5000),
        ((0, 1), {"faults": 1, "releases": 1}, 5000),
    ],
    ids=["no fault", "one fault, a shared volume", "one fault, two volumes"],
)
def test_every_world_that_can_be_reached(
    volumes: tuple[int, ...], budget: dict[str, int], at_least: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explored(volumes, **budget)
    assert not found.violation, found.story
    assert found.is_complete
    assert found.states >= at_least
    with capsys.disabled():
        sys.stdout.write(f" {found.states} states, at most {found.longest_way} units from rest ")


class Random(RuleBasedStateMachine):
    """Three stations, two of them on one volume; three faults, three releases and two removals, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = state.first((0, 0, 1), faults=3, releases=3, removals=2)
        self.former = self.world

    @rule(choice=st.integers(0, 1000), quiet=st.integers(0, 6))
    def go_on(self, choice: int, quiet: int) -> None:
        events = list(world.events_of(self.world))
        self._step(events[choice % len(events)])
        for _ in range(quiet):
            self._step(world.QUIET)

    def _step(self, event: world.Event) -> None:
        former, self.world = self.world, world.step(self.world, event)
        assert not world.broken(former, self.world), event

    @invariant()
    def comes_to_rest(self) -> None:
        assert not explore.way_to_rest(self.world, {})


Random.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
test_at_random = Random.TestCase


def impatient(snapshot: rotation.Snapshot, limits: rotation.Limits) -> tuple[rotation.Station, ...]:
    """R2 left out: one that was told to leave is not waited for until balancers have seen it."""
    return tuple(one for one in rotation.in_touch(snapshot, limits) if one.excluded_seconds is None)


def greedy(lease: leadership.Lease, contenders: Any, terms: leadership.Terms, *, is_settled: bool) -> Any:
    """R5 left out: the next holder does not wait until the former must have stopped."""
    return rule_of_leadership(
        dataclasses.replace(lease, renewed_seconds=99.0), contenders, terms, is_settled=is_settled
    )


rule_of_leadership = leadership.rule


def credulous(snapshot: rotation.Snapshot, limits: rotation.Limits) -> bool:
    """R7 left out: what is held counts, though somebody may be removing it who has not heard that it must stay."""
    return is_agreed(dataclasses.replace(snapshot, is_candidate_old=False), limits)


is_agreed = visibility._is_agreed


def hearsay(station: state.Station, present: state.World) -> Any:
    """ADR 17 left out: the hub's record, passed on by a peer that the hub answered, confirms a station it lists.

    As kindly as can be: the peer's newest word is there at once, and the station is listed while the hub waits for it.
    """
    peers = [one for one in present.stations if one is not station and one.works and not one.is_cut]
    listed = present.hub.reports[present.stations.index(station)].age * state.UNIT <= state.LIMITS.liveness
    if station.is_cut and listed and peers:
        told = max((one.told for one in (station, *peers) if one.told), default=None)
        station = station._replace(age=min(one.age for one in peers), told=told)
    return verdict_of(station, present)


verdict_of = station_side.verdict
BACK = [("release", 0), *[world.QUIET] * 2, ("release", 0), *[world.QUIET] * 3, ("upstream goes back", 0)]


@pytest.mark.parametrize(
    ("module", "name", "weaker", "volumes", "before", "expected"),
    [
        (rotation, "members", impatient, (0, 1), [], "I5"),
        (leadership, "rule", greedy, (0, 1), [("slow", 0), ("release", 0)], "I6"),
        (snapshots.LeaseView, "holds", lambda *_: True, (0, 1), [], "I6"),
        (station_side, "holds_volume", lambda station: station.writer > 0, (0, 0), [], "I6"),
        (visibility, "_is_agreed", credulous, (0, 1), BACK, "I5"),
        (station_side, "verdict", hearsay, (0, 1), [], "I5"),
    ],
    ids=[
        "left without waiting",
        "granted without waiting",
        "a lease without end",
        "a volume lease without end",
        "an old generation at once",
        "confirmed by a peer's word",
    ],
)
def test_a_rule_that_is_left_out_is_missed(
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    weaker: Any,
    volumes: tuple[int, ...],
    before: list[world.Event],
    expected: str,
) -> None:
    monkeypatch.setattr(module, name, weaker)
    start = state.first(volumes, faults=1 + bool(before), releases=3, removals=1)
    for event in before:
        start = world.step(start, event)
    start = start._replace(releases=1 if not before else 0)
    found = explore.explore(start, may_go_on=lambda count: count < 15_000)
    assert found.violation.startswith(expected)


def test_a_hub_from_a_backup_asks_above_every_number_that_was_answered() -> None:
    start = state.first((0, 1), faults=1, releases=2, removals=0)
    for event in [("release", 0), *[world.QUIET] * 5, ("hub stops", 0), ("release", 0), ("hub is restored", 0)]:
        start = world.step(start, event)
    assert start.hub.number < start.stations[0].run.number
    assert not explore.way_to_rest(start, {})


def test_the_models_leases_are_those_of_the_protocol() -> None:
    terms, lease = leadership.Terms(), protocol.Lease(source_id="s", token=1)
    assert lease.stop_after_seconds < terms.lease == lease.seconds
