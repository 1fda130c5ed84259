"""Exploration, exhaustive: every world that can be reached, each with its invariants and its ways to rest.

Worlds are visited in the order of what may still go wrong, the most first. One that was seen with a larger budget is
not visited again with a smaller one: whatever could follow from it, in any order, could follow then as well, and what
one unit does to a world does not depend on the budget. This is the only reduction; none of the orders in which things
may happen is left out, and stations are not exchanged for each other, since ties are decided by their names.
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import gc
from collections import deque
from collections.abc import Callable, Iterator

from stationmaster.testing.exploration import events, invariants, world
from stationmaster.testing.exploration.state import Budget, Value, World

_LONGEST_WAY = 120  # units until rest: four minutes
_ASK_EVERY = 256
Key = tuple[object, ...]


@dataclasses.dataclass
class Result:
    """``states`` were seen; ``violation`` is empty, or says what broke, and ``story`` what led there."""

    states: int = 0
    longest_way: int = 0
    violation: str = ""
    story: tuple[events.Event, ...] = ()
    is_complete: bool = True


class Ways:
    """How many units worlds that were seen on the way need until they rest."""

    def __init__(self) -> None:
        self.to_rest: dict[Key, int] = {}
        self.to_well: dict[Key, int] = {}


class _Seen:
    """Which worlds were seen with which budgets, and how each came to be."""

    def __init__(self, *, is_backup_fixed: bool) -> None:
        self._is_backup_fixed = is_backup_fixed
        self._budgets: dict[Key, tuple[Budget, ...]] = {}
        self._parents = array.array("q")
        self._events: list[events.Event] = []
        self._names: dict[events.Event, events.Event] = {}

    def __len__(self) -> int:
        return len(self._parents)

    def is_new(self, one: World) -> bool:
        """Whether it was not seen with as much, or more, that may go wrong; it counts as seen from now on."""
        key = key_of(one) if self._is_backup_fixed else (*key_of(one), one.backup)
        known = self._budgets.get(key, ())
        if any(is_within(one.budget, budget) for budget in known):
            return False
        self._budgets[key] = (*known, one.budget)
        return True

    def add(self, parent: int, event: events.Event) -> int:
        """The number of a new world."""
        self._parents.append(parent)
        self._events.append(self._names.setdefault(event, event))
        return len(self._parents) - 1

    def story(self, number: int) -> tuple[events.Event, ...]:
        """All that happened until then."""
        found: list[events.Event] = []
        while number > 0:
            found.append(self._events[number])
            number = self._parents[number]
        return tuple(reversed(found))


def key_of(one: World) -> Key:
    """Everything but the budget, and a backup that is always the same."""
    return one.stations, one.volumes, one.hub, one.upstreams


def is_within(small: Value, large: Value) -> bool:
    """Whether nothing may happen more often with ``small``."""
    return small is large or all(getattr(small, name) <= getattr(large, name) for name in small.__struct_fields__)


def explore(start: World, *, may_go_on: Callable[[int], bool] = lambda _: True) -> Result:
    """All worlds from ``start``; ``may_go_on`` is asked with their number now and then."""
    with _no_collection():
        return _explore(start, may_go_on)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Worlds hold no cycles; to look for some among millions of them takes most of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _explore(start: World, may_go_on: Callable[[int], bool]) -> Result:
    seen, ways, result = _Seen(is_backup_fixed=not start.budget.backups), Ways(), Result()
    waiting = _Waiting()
    seen.is_new(start)
    waiting.put(start, seen.add(0, events.QUIET))
    looked = 0
    while waiting:
        looked += 1
        if looked % _ASK_EVERY == 0 and not may_go_on(len(seen)):
            result.is_complete = False
            break
        present, number = waiting.get()
        for event in events.events_of(present):
            following = world.step(present, event)
            result.violation = invariants.broken_step(present, following)
            if not result.violation and not seen.is_new(following):
                continue
            child = seen.add(number, event)
            waiting.put(following, child)
            result.violation = result.violation or invariants.broken_world(following) or ways_to_rest(following, ways)
            if result.violation:
                result.states, result.story = len(seen), seen.story(child)
                return result
    result.states, result.longest_way = len(seen), max(ways.to_rest.values(), default=0)
    return result


class _Waiting:
    """Worlds to look at: those with the most that may still go wrong first, else as they came."""

    def __init__(self) -> None:
        self._levels: dict[int, deque[tuple[World, int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._levels)

    def put(self, one: World, number: int) -> None:
        """To be looked at later."""
        level = sum(getattr(one.budget, name) for name in one.budget.__struct_fields__)
        self._levels.setdefault(level, deque()).append((one, number))

    def get(self) -> tuple[World, int]:
        """The next one."""
        level = max(self._levels)
        found = self._levels[level].popleft()
        if not self._levels[level]:
            del self._levels[level]
        return found


def ways_to_rest(start: World, ways: Ways) -> str:
    """Whether a world comes to rest when all is repaired, when all but upstreams is, and does well when nothing is."""
    found = _way(world.repaired(start), world.is_at_rest, ways.to_rest, "it does not come to rest")
    if not found and any(one.is_broken for one in start.upstreams):
        present = world.repaired(start, is_upstream_broken=True)
        found = _way(present, world.is_at_rest, ways.to_rest, "one broken source holds up the others")
    if not found and any(one.trouble for one in start.stations):
        found = _way(world.left_alone(start), world.is_well, ways.to_well, "whoever is sound is held up")
    return found


def _way(present: World, is_there: Callable[[World], bool], ways: dict[Key, int], complaint: str) -> str:
    path: list[Key] = []
    while (key := key_of(present)) not in ways and not is_there(present):
        path.append(key)
        if len(path) > _LONGEST_WAY:
            return f"Liveness: {complaint}"
        following = world.step(present, events.QUIET)
        violation = invariants.broken(present, following)
        if violation:
            return f"{violation} (on the way to rest)"
        present = following
    length = ways.get(key, 0)
    for one in reversed(path):
        length += 1
        ways[one] = length
    return ""
