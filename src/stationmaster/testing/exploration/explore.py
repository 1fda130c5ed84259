"""Exploration, breadth first: every world that can be reached, each with its invariants and its way back to rest."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable

from stationmaster.testing.exploration import world as worlds
from stationmaster.testing.exploration.state import World

_LONGEST_WAY = 120  # units until rest: four minutes


@dataclasses.dataclass
class Result:
    """``states`` were seen; ``violation`` is empty, or says what broke, and ``story`` what led there."""

    states: int = 0
    longest_way: int = 0
    violation: str = ""
    story: tuple[worlds.Event, ...] = ()
    is_complete: bool = True


def explore(start: World, *, may_go_on: Callable[[int], bool] = lambda _: True) -> Result:
    """All worlds from ``start``; ``may_go_on`` is asked with their number now and then."""
    came: dict[World, tuple[World, worlds.Event] | None] = {start: None}
    waiting = deque([start])
    ways: dict[World, int] = {}
    result = Result()
    while waiting:
        if len(came) % 512 == 0 and not may_go_on(len(came)):
            result.is_complete = False
            break
        present = waiting.popleft()
        for event in worlds.events_of(present):
            following = worlds.step(present, event)
            if following in came:
                continue
            came[following] = (present, event)
            waiting.append(following)
            result.violation = worlds.broken(present, following) or way_to_rest(following, ways)
            if result.violation:
                result.states, result.story = len(came), _story(came, following)
                return result
    result.states, result.longest_way = len(came), max(ways.values(), default=0)
    return result


def way_to_rest(start: World, ways: dict[World, int]) -> str:
    """Whether a world without further trouble comes to rest; ``ways`` remembers how many units others took."""
    present, path = worlds.repaired(start), []
    while present not in ways and not worlds.is_at_rest(present):
        path.append(present)
        if len(path) > _LONGEST_WAY:
            return "Liveness: it does not come to rest"
        following = worlds.step(present, worlds.QUIET)
        violation = worlds.broken(present, following)
        if violation:
            return f"{violation} (on the way to rest)"
        present = following
    length = ways.get(present, 0)
    for one in reversed(path):
        length += 1
        ways[one] = length
    return ""


def _story(came: dict[World, tuple[World, worlds.Event] | None], end: World) -> tuple[worlds.Event, ...]:
    events: list[worlds.Event] = []
    step = came[end]
    while step is not None:
        events.append(step[1])
        step = came[step[0]]
    return tuple(reversed(events))
