"""A campaign for people: a row per strike, and one sentence. Pure."""

from __future__ import annotations

import math

from stationmaster.lab import failures
from stationmaster.lab.chaos import report

_LAST_COLUMNS = ("bound", "noticed", "rest", "orders")


def table(result: report.CampaignResult) -> tuple[list[str], list[list[str]]]:
    """Columns and a row per strike, in the order in which they were made."""
    columns = ["fault", "on", "for", "ops", "failed", "stall", "GETs", "failed ", *report.PORTS, *_LAST_COLUMNS]
    rows = [
        [
            one.fault,
            one.target,
            f"{one.seconds:.0f} s",
            str(one.operations_done),
            str(one.operations_failed),
            f"{_seconds(one.operations_stall)} {one.stalled_operation}",
            str(one.requests_done),
            str(one.requests_failed),
            *(_seconds(port.stall) + "!" * one.is_over_bound(name) for name, port in one.ports.items()),
            _seconds(one.bound),
            _seconds(one.seconds_until_noticed),
            _seconds(one.seconds_until_rest, never="never"),
            str(one.sync_orders),
        ]
        for one in result.strikes
    ]
    return columns, rows


def summary(result: report.CampaignResult) -> str:
    """One sentence that is true of what was measured."""
    done = sum(count for kind, count in result.operations.items() if kind in failures.OPERATIONS)
    rests = [one.seconds_until_rest for one in result.strikes if one.seconds_until_rest is not None]
    return (
        f"Seed {result.seed}, {len(result.strikes)} faults, {result.publications} publications, {done} operations; "
        f"at rest after {max(rests, default=math.nan):.1f} s at most; "
        f"upstream sent {result.upstream_copies:.2f} copies; {len(result.all_violations)} violations."
    )


def _seconds(value: float | None, *, never: str = "-") -> str:
    return never if value is None else f"{value:.1f} s"
