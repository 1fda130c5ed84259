"""The HA protocol explored: exhaustively for small groups and few faults, at random for a large one.

`make explore` goes further; `test_rules_left_out` takes the rules away one by one.
"""

import dataclasses
import sys

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stationmaster.model import leadership, protocol
from stationmaster.testing.exploration import events, explore, invariants, scenarios, state, world
from stationmaster.testing.exploration.state import Budget

SMALL = {
    "own volumes": (scenarios.Scenario((0, 1), Budget(faults=1, releases=1)), 2000),
    "a shared volume": (scenarios.Scenario((0, 0), Budget(faults=1, releases=1)), 1000),
    "removals": (scenarios.Scenario((0, 1), Budget(releases=3, removals=1)), 500),
    "lost files": (scenarios.Scenario((0, 1), Budget(faults=1, losses=1)), 200),
    "backups": (scenarios.Scenario((0, 1), Budget(faults=1, releases=1, backups=1)), 2000),
    "replicas": (scenarios.SCENARIOS["replicas"], 2000),
    "two sources": (scenarios.Scenario((0, 1), Budget(releases=2), sources=2), 100),
    "newcomer": (scenarios.Scenario((0, 0, 1), Budget(releases=1, moves=1), absent=frozenset({2})), 500),
}


@pytest.mark.parametrize(("scenario", "at_least"), SMALL.values(), ids=SMALL)
def test_every_world_that_can_be_reached(
    scenario: scenarios.Scenario, at_least: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explore.explore(scenario.start())
    assert not found.violation, found.story
    assert found.is_complete
    assert found.states >= at_least
    with capsys.disabled():
        sys.stdout.write(f" {found.states} worlds, at most {found.longest_way} units from rest ")


class Random(RuleBasedStateMachine):
    """Four stations on two volumes, two sources, two processes of the hub, and trouble of all kinds in any order."""

    def __init__(self) -> None:
        super().__init__()
        budget = Budget(faults=2, releases=3, removals=2, losses=1, breaks=1, moves=1, backups=1)
        self.world = world.first((0, 0, 1, 1), budget, sources=2, processes=2)

    @rule(choice=st.integers(0, 1000), quiet=st.integers(0, 8))
    def go_on(self, choice: int, quiet: int) -> None:
        possible = list(events.events_of(self.world))
        self._step(possible[choice % len(possible)])
        for _ in range(quiet):
            self._step(events.QUIET)

    def _step(self, event: events.Event) -> None:
        former, self.world = self.world, world.step(self.world, event)
        assert not invariants.broken(former, self.world), event

    @invariant()
    def comes_to_rest(self) -> None:
        assert not explore.ways_to_rest(self.world, explore.Ways())


Random.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
test_at_random = seed(20261122)(Random.TestCase)


def test_a_hub_from_a_backup_asks_above_every_number_that_was_answered() -> None:
    start = world.first((0, 1), Budget(faults=1, releases=2))
    for event in [
        ("release", 0),
        *[events.QUIET] * 5,
        ("hub stops", 0),
        ("release", 0),
        ("hub is restored", 0),
    ]:
        start = world.step(start, event)
    assert start.hub.rows[0].number < start.stations[0].parts[0].run.number
    assert not explore.ways_to_rest(start, explore.Ways())


def test_a_smaller_budget_is_within_a_larger_one() -> None:
    large = Budget(faults=2, releases=1)
    assert explore.is_within(Budget(faults=1, releases=1), large)
    assert not explore.is_within(Budget(releases=2), large)
    assert not explore.is_within(large, Budget(faults=1, releases=2))


def test_the_models_limits_stand_in_the_order_of_the_real_ones() -> None:
    terms, lease, limits = leadership.Terms(), protocol.Lease(source_id="s", token=1), state.LIMITS
    assert lease.stop_after_seconds < terms.lease == lease.seconds == limits.liveness == terms.lease
    real = dataclasses.replace(limits, resync=15.0, resync_after_failure=60.0, lag=60.0, lonely_factor=10.0)
    for one, of_limits in ((limits, (state.STALL, state.RETRY)), (real, (terms.stall, terms.retry))):
        assert (
            one.liveness
            < of_limits[0]
            == one.resync
            < one.resync_after_failure
            == one.lag
            < one.lag * one.lonely_factor
        )
        assert of_limits[0] < of_limits[1]
    highest = {"heard": state.HEARD, "behind": state.BEHIND, "raised": state.RAISED, "idle": state.IDLE}
    assert highest["heard"] * state.UNIT > 2 * limits.liveness
    assert highest["behind"] * state.UNIT >= limits.lag * limits.lonely_factor
    assert highest["raised"] * state.UNIT >= limits.resync_after_failure
    assert highest["idle"] * state.UNIT >= state.STALL
