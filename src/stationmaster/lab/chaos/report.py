"""What a campaign found: one line per strike, a table of them, and what of it is a violation. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import msgspec

from stationmaster.lab import failures, measure

HTTP = failures.REQUESTS[0]
# Beyond this no busy machine explains a stall; below it the table shows what exceeds the design's bound.
INTOLERABLE_STALL_SECONDS = 5.0


class StrikeResult(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One fault and what came of it.

    ``*Stall``: how much longer the slowest took than is usual for its kind. ``syncOrders``: how often an operator
    had to order a sync until the group was at rest.
    """

    fault: str
    target: str
    seconds: float
    operations_done: int
    operations_failed: int
    operations_stall: float
    requests_done: int
    requests_failed: int
    requests_stall: float
    bound: float | None
    seconds_until_noticed: float | None
    seconds_until_rest: float | None
    sync_orders: int
    files_checked: int
    violations: tuple[str, ...] = ()

    @property
    def is_over_bound(self) -> bool:
        """Whether a request stalled for longer than the design allows."""
        return self.bound is not None and self.requests_stall > self.bound


class CampaignResult(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A whole run. ``upstreamCopies``: bytes of packages and hashed metadata sent by upstream, per byte of one copy.

    ``promisesChecked``: how often a ready station was asked for what its list names.
    """

    seed: int
    database: str
    strikes: tuple[StrikeResult, ...]
    publications: int
    upstream_copies: float
    promises_checked: int
    operations: dict[str, int]
    violations: tuple[str, ...] = ()

    @property
    def all_violations(self) -> tuple[str, ...]:
        """Of the run as a whole and of each strike."""
        return (
            *self.violations,
            *(f"{one.fault} {one.target}: {words}" for one in self.strikes for words in one.violations),
        )


class Look(msgspec.Struct, frozen=True):
    """What was seen of one strike beside clients: by the balancer, at rest, and in the inventory."""

    event: measure.Event
    bound: float | None
    excused: frozenset[str]
    rest: float | None
    orders: int
    files: int
    faults: tuple[str, ...]


def result_of(
    fault: str, target: str, look: Look, operations: Sequence[measure.Operation], until: float, first: float
) -> StrikeResult:
    """Put together what clients met and what was seen."""
    typical = measure.typical_durations(operations, first)
    event = look.event

    def effect(kinds: Collection[str]) -> measure.Effect:
        chosen = [entry for entry in operations if entry.kind in kinds]
        return measure.effect_of(event, chosen, typical, until=until)

    machines, requests = effect(failures.OPERATIONS), effect((HTTP,))
    failed = effect({*failures.OPERATIONS, HTTP} - look.excused).failures
    violations = [*look.faults, *failed]
    if requests.longest_stall > INTOLERABLE_STALL_SECONDS and HTTP not in look.excused:
        violations.append(f"{HTTP} stalled for {requests.longest_stall:.1f} s")
    return StrikeResult(
        fault=fault,
        target=target,
        seconds=round((event.mended or event.ended) - event.started, 1),
        operations_done=machines.done,
        operations_failed=machines.failed,
        operations_stall=round(machines.longest_stall, 2),
        requests_done=requests.done,
        requests_failed=requests.failed,
        requests_stall=round(requests.longest_stall, 2),
        bound=look.bound,
        seconds_until_noticed=_rounded(event.seconds_until_noticed),
        seconds_until_rest=_rounded(look.rest),
        sync_orders=look.orders,
        files_checked=look.files,
        violations=tuple(violations),
    )


def table(result: CampaignResult) -> tuple[list[str], list[list[str]]]:
    """Columns and a row per strike, in the order in which they were made."""
    columns = [
        "fault",
        "on",
        "for",
        "ops",
        "failed",
        "stall",
        "GETs",
        "failed ",
        "stall ",
        "bound",
        "noticed",
        "rest",
        "orders",
    ]
    rows = [
        [
            one.fault,
            one.target,
            f"{one.seconds:.0f} s",
            str(one.operations_done),
            str(one.operations_failed),
            _seconds(one.operations_stall),
            str(one.requests_done),
            str(one.requests_failed),
            _seconds(one.requests_stall) + ("!" if one.is_over_bound else ""),
            _seconds(one.bound),
            _seconds(one.seconds_until_noticed),
            _seconds(one.seconds_until_rest, never="never"),
            str(one.sync_orders),
        ]
        for one in result.strikes
    ]
    return columns, rows


def summary(result: CampaignResult) -> str:
    """One sentence that is true of what was measured."""
    done = sum(count for kind, count in result.operations.items() if kind in failures.OPERATIONS)
    rests = [one.seconds_until_rest for one in result.strikes if one.seconds_until_rest is not None]
    return (
        f"Seed {result.seed}, {len(result.strikes)} faults, {result.publications} publications, {done} operations; "
        f"at rest after {max(rests, default=math.nan):.1f} s at most; "
        f"upstream sent {result.upstream_copies:.2f} copies; {len(result.all_violations)} violations."
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _seconds(value: float | None, *, never: str = "-") -> str:
    return never if value is None else f"{value:.1f} s"
