"""Puts a whole campaign together: each strike's result, and what belongs to none of them."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Sequence

from stationmaster.lab import failures, measure, web
from stationmaster.lab.chaos import faults, inventory, plan, report
from stationmaster.lab.world import World
from stationmaster.model import errors

Looks = Sequence[tuple[plan.Strike, report.Look]]


@dataclasses.dataclass(frozen=True)
class Told:
    """What the campaign knows of itself, and what its witness saw."""

    seed: int
    has_database: bool
    publications: int
    promises_checked: int
    broken_promises: tuple[str, ...]


def gather(world: World, looks: Looks, operations: Sequence[measure.Operation], told: Told) -> report.CampaignResult:
    """Everything that was seen, and what of it is a violation."""
    if world.server is None:
        raise errors.CallerError("There is no upstream in this scenario yet.")
    events = [look.event for _, look in looks]
    background = report.background_of(operations, events)
    ends = [*(event.started for event in events[1:]), math.inf]
    results = tuple(
        report.result_of(strike.fault, strike.target, look, operations, until, background)
        for (strike, look), until in zip(looks, ends, strict=True)
    )
    sent = world.server.sent()
    return report.CampaignResult(
        seed=told.seed,
        database="PostgreSQL" if told.has_database else "SQLite",
        strikes=results,
        publications=told.publications,
        upstream_copies=round(sent.copies, 3),
        promises_checked=told.promises_checked,
        operations=dict(collections.Counter(one.kind for one in operations)),
        usual={kind: round(seconds, 2) for kind, seconds in background.typical.items()},
        quiet_stalls={kind: round(seconds, 2) for kind, seconds in background.stalls.items()},
        violations=(
            *failed_beside(operations, events),
            *told.broken_promises,
            *inventory.answered_missing(world),
            *report.beyond_one_copy(copies_to_answer_for(sent, looks)),
        ),
    )


def failed_beside(operations: Sequence[measure.Operation], events: Sequence[measure.Event]) -> list[str]:
    """What failed between the strikes belongs to nobody, and nobody is excused from it."""
    return [
        f"{one.kind}: {one.failure}"
        for one in operations
        if one.failure
        and one.kind in {*failures.OPERATIONS, report.HTTP, report.HTTPS}
        and not any(event.started <= one.ended and one.started <= event.ended for event in events)
    ]


def copies_to_answer_for(sent: web.Sent, looks: Looks) -> float:
    """Copies that upstream sent, without what it sent again while stations could not reach their peers."""
    excused = sum(look.repeated for strike, look in looks if faults.TABLE[strike.fault].takes_copies)
    return dataclasses.replace(sent, repeated=sent.repeated - excused).copies
