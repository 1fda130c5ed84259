"""I9: when the hub returns, what was waiting for it comes without a flood."""

from __future__ import annotations

import collections
import random

import pytest

from stationmaster.agent.daemon import next_pause, pause_after_failure
from stationmaster.station import hub_link, ways

USUAL = 120.0
FLEET = 5000


def arrivals(outage: float, seed: int) -> tuple[collections.Counter[int], float]:
    """Check-ins per ten seconds of a whole fleet after the hub was away; and when the last agent was back."""
    draw, found, last = random.Random(seed).random, collections.Counter[int](), 0.0
    for _ in range(FLEET):
        at, failures = draw() * USUAL, 0
        is_back = False
        while at < outage + 600:
            if at < outage:
                failures += 1
                at += pause_after_failure(failures, USUAL, draw())
                continue
            found[int((at - outage) // 10)] += 1
            last, is_back = max(last, at - outage) if not is_back else last, True
            at += next_pause(USUAL, draw())
    return found, last


@pytest.mark.parametrize("outage", [60.0, 600.0, 7200.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_fleet_comes_back_with_little_more_than_the_load_of_every_day(outage: float, seed: int) -> None:
    found, last = arrivals(outage, seed)
    usual = FLEET * 10 / USUAL
    assert max(found.values()) < 2.5 * usual
    assert last < 2 * USUAL, "and nobody stays away for long"


def test_the_first_tries_come_soon_and_no_pause_exceeds_what_the_hub_wants_by_much() -> None:
    assert pause_after_failure(1, USUAL, 0.5) == 30
    assert [pause_after_failure(n, USUAL, 0.5) for n in (2, 3, 4, 99)] == [60, 120, 120, 120]
    assert pause_after_failure(99, 2.0, 1.0) == 3, "in a lab, where all is quick"
    assert {pause_after_failure(5, USUAL, one) for one in (0.0, 1.0)} == {60, 180}


def test_stations_do_not_stay_in_step_and_never_miss_their_confirmation() -> None:
    assert {hub_link.spread(2.0, one) for one in (0.0, 0.5, 1.0)} == {1.8, 2.0, 2.2}
    assert hub_link.spread(2.0, 1.0) + ways.TIMEOUT_SECONDS + 0.25 < 6
