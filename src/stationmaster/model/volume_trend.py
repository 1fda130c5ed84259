"""When a volume will be full, from what was free at earlier times. Pure, and honest: mostly it is not known yet.

Mirrors grow in jumps and shrink when old generations go: a day is the least that says anything, and the straight line
of least squares through all samples is as much as can be read from them.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Sequence

SAMPLE_EVERY = datetime.timedelta(hours=1)
KEEP_FOR = datetime.timedelta(days=14)
LEAST_SPAN = datetime.timedelta(days=1)
LEAST_SAMPLES = 6
_HORIZON_DAYS = 365.0


class Trend(enum.StrEnum):
    """UNKNOWN: too few samples. STEADY: not within a year."""

    UNKNOWN = "UNKNOWN"
    STEADY = "STEADY"
    FILLING = "FILLING"


@dataclasses.dataclass(frozen=True)
class Sample:
    """What was free at a time. A volume of another size is another volume: what was before says nothing of it."""

    time: datetime.datetime
    available_bytes: int
    total_bytes: int


@dataclasses.dataclass(frozen=True)
class Outlook:
    """``days`` only when it is FILLING."""

    trend: Trend
    days: float | None = None


def outlook(samples: Sequence[Sample], now: datetime.datetime) -> Outlook:
    """From samples in any order, the newest of which is what is free now."""
    ordered = _of_one_volume(sorted(samples, key=lambda one: one.time))
    if len(ordered) < LEAST_SAMPLES or ordered[-1].time - ordered[0].time < LEAST_SPAN:
        return Outlook(Trend.UNKNOWN)
    slope = _slope([((one.time - now).total_seconds(), float(one.available_bytes)) for one in ordered])
    if slope >= 0:
        return Outlook(Trend.STEADY)
    days = ordered[-1].available_bytes / -slope / 86400
    return Outlook(Trend.FILLING, days) if days <= _HORIZON_DAYS else Outlook(Trend.STEADY)


def _of_one_volume(ordered: Sequence[Sample]) -> list[Sample]:
    found: list[Sample] = []
    for one in reversed(ordered):
        if found and one.total_bytes != found[-1].total_bytes:
            break
        found.append(one)
    return found[::-1]


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line of least squares, in bytes a second."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
