"""What a failure did to clients, from records of what they did. Pure; times are seconds on one clock.

A *stall* is how much longer an operation took than operations of its kind take in quiet times (their median before the
first event): a download of four seconds that always takes four seconds stalled nobody.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Operation:
    """Something a client did. ``failure`` is empty, or its last words."""

    kind: str
    started: float
    ended: float
    failure: str = ""

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.ended - self.started


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that was done to a host. ``noticed``: the balancer took it out; ``returned``: it was back in."""

    name: str
    started: float
    ended: float
    noticed: float | None
    mended: float | None
    returned: float | None

    @property
    def seconds_until_noticed(self) -> float | None:
        """From the event until the balancer sent no more work there."""
        return None if self.noticed is None else self.noticed - self.started

    @property
    def seconds_until_returned(self) -> float | None:
        """From when the host was started or thawed until the balancer sent work there again."""
        return None if self.returned is None or self.mended is None else self.returned - self.mended


@dataclasses.dataclass(frozen=True)
class Effect:
    """What clients saw of one event, over operations of some kinds."""

    done: int
    failed: int
    longest_stall: float
    stalled_kind: str
    failures: tuple[str, ...] = ()


def typical_durations(operations: Sequence[Operation], before: float) -> Mapping[str, float]:
    """The median duration per kind among those that ended before a time; among all where there are none."""
    kinds = {operation.kind for operation in operations}
    found = {}
    for kind in kinds:
        of_kind = [operation for operation in operations if operation.kind == kind]
        quiet = [operation.duration for operation in of_kind if operation.ended <= before]
        found[kind] = statistics.median(quiet or [operation.duration for operation in of_kind])
    return found


def longest_quiet_stalls(
    operations: Sequence[Operation], typical: Mapping[str, float], events: Sequence[Event]
) -> Mapping[str, float]:
    """Per kind, the longest stall of an operation that ran beside all events: what the machine alone makes of it."""
    found = dict.fromkeys(typical, 0.0)
    for entry in operations:
        if not any(event.started <= entry.ended and entry.started <= event.ended for event in events):
            found[entry.kind] = max(found[entry.kind], entry.duration - typical[entry.kind])
    return found


def longest_gap(event: Event, operations: Sequence[Operation], *, until: float = math.inf) -> float:
    """The longest time during an event in which nobody who began anew was served: between beginnings that led to it.

    What is measured where clients must come again: whoever was with a balancer that froze waits for as long as it
    likes, and says nothing of those that come later.
    """
    served = sorted(entry.started for entry in operations if not entry.failure and entry.ended < until)
    before = [begun for begun in served if begun < event.started][-1:]
    during = [begun for begun in served if event.started <= begun <= event.ended]
    return max((later - former for former, later in itertools.pairwise([*before, *during, event.ended])), default=0.0)


def effect_of(
    event: Event, operations: Sequence[Operation], typical: Mapping[str, float], *, until: float = math.inf
) -> Effect:
    """Counts and longest stall of the operations that ran at any time during an event.

    ``until`` is when the next event began: what was still running then is that one's.
    """
    touched = [entry for entry in operations if event.started <= entry.ended < until and entry.started <= event.ended]
    stalls = [(max(0.0, entry.duration - typical[entry.kind]), entry.kind) for entry in touched]
    longest, kind = max(stalls, default=(0.0, ""))
    failures = tuple(f"{entry.kind}: {entry.failure}" for entry in touched if entry.failure)
    return Effect(len(touched) - len(failures), len(failures), longest, kind, failures)
