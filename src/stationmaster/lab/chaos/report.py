"""What a campaign found, strike by strike, and what of it is a violation. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from stationmaster.lab import failures, measure

HTTP, HTTPS, PROXY = failures.REQUESTS
PORTS = {"http": HTTP, "https": HTTPS, "proxy": PROXY}
# Asked beside the others, past balancers and stations: what is slow there is the machine, or the hub behind a tunnel.
CONTROL, HUB_CONTROL = "GET elsewhere", "GET from the hub"
# Where the design has no bound, and a machine could be busy.
INTOLERABLE_STALL_SECONDS = 5.0
MOST_COPIES = 1.05


class PortResult(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """GETs on one port. ``noise``: what the machine, and for tunnels the hub, may have added to a stall.

    ``stall``: how much longer the slowest took than is usual; at a balancer's loss also the longest time in which
    nobody who began anew was served.
    """

    done: int
    failed: int
    stall: float
    noise: float


class StrikeResult(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One fault and what came of it.

    ``operationsStall``: how much longer the slowest took than is usual for its kind. ``syncOrders``: how often an
    operator had to order a sync until the group was at rest. ``upstreamRepeated``: bytes that upstream sent again.
    ``stalls`` are violations, too, of what the design says of time.
    """

    fault: str
    target: str
    seconds: float
    operations_done: int
    operations_failed: int
    operations_stall: float
    stalled_operation: str
    ports: dict[str, PortResult]
    bound: float | None
    seconds_until_noticed: float | None
    seconds_until_rest: float | None
    sync_orders: int
    files_checked: int
    upstream_repeated: int = 0
    violations: tuple[str, ...] = ()
    stalls: tuple[str, ...] = ()

    def is_over_bound(self, port: str) -> bool:
        """Whether a request stalled for longer than the design allows, whatever the machine's part in it."""
        return self.bound is not None and self.ports[port].stall > self.bound

    @property
    def requests_done(self) -> int:
        """On all ports."""
        return sum(one.done for one in self.ports.values())

    @property
    def requests_failed(self) -> int:
        """On all ports."""
        return sum(one.failed for one in self.ports.values())


class CampaignResult(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A whole run. ``upstreamCopies``: bytes of packages and hashed metadata sent by upstream, per byte of one copy.

    ``promisesChecked``: how often a ready station was asked for what its list names. ``usual``, ``quietStalls``:
    seconds that each kind of operation takes beside all faults, and beyond that at most.
    """

    seed: int
    database: str
    strikes: tuple[StrikeResult, ...]
    publications: int
    upstream_copies: float
    promises_checked: int
    operations: dict[str, int]
    usual: dict[str, float]
    quiet_stalls: dict[str, float]
    violations: tuple[str, ...] = ()

    @property
    def all_violations(self) -> tuple[str, ...]:
        """Of the run as a whole and of each strike."""
        return (
            *self.timeless_violations,
            *(f"{one.fault} {one.target}: {it}" for one in self.strikes for it in one.stalls),
        )

    @property
    def timeless_violations(self) -> tuple[str, ...]:
        """All but those of bounds on time, which a test that must hold on any machine leaves out."""
        of_strikes = (f"{one.fault} {one.target}: {it}" for one in self.strikes for it in one.violations)
        return (*self.violations, *of_strikes)


class Look(msgspec.Struct, frozen=True):
    """What was seen of one strike beside clients: by the balancer, at rest, in the inventory, in upstream's log."""

    event: measure.Event
    bound: float | None
    excused: frozenset[str]
    rest: float | None
    orders: int
    files: int
    faults: tuple[str, ...]
    repeated: int = 0
    unbounded: frozenset[str] = frozenset()
    is_balancer: bool = False
    is_hub: bool = False


class Background(msgspec.Struct, frozen=True):
    """What operations take in quiet times: usually, and beyond that at most."""

    typical: Mapping[str, float]
    stalls: Mapping[str, float]


def background_of(operations: Sequence[measure.Operation], events: Sequence[measure.Event]) -> Background:
    """From everything that ran beside all events."""
    typical = measure.typical_durations(operations, events[0].started if events else math.inf)
    return Background(typical, measure.longest_quiet_stalls(operations, typical, events))


def result_of(
    fault: str, target: str, look: Look, operations: Sequence[measure.Operation], until: float, background: Background
) -> StrikeResult:
    """Put together what clients met and what was seen."""
    event = look.event
    counted = [entry for entry in operations if not _is_lost_with_balancer(entry, look)]

    def effect(*kinds: str, of: Sequence[measure.Operation] = counted) -> measure.Effect:
        return measure.effect_of(event, [one for one in of if one.kind in kinds], background.typical, until=until)

    machines, elsewhere = effect(*failures.OPERATIONS), effect(CONTROL).longest_stall
    hub = 0.0 if look.is_hub else effect(HUB_CONTROL).longest_stall
    ports = {}
    for port, kind in PORTS.items():
        all_of_them, stall = effect(kind, of=operations), effect(kind).longest_stall
        if look.is_balancer:
            gap = measure.longest_gap(event, [one for one in counted if one.kind == kind], until=until)
            stall = max(stall, gap)
        beside = max(elsewhere, hub) if kind == PROXY else elsewhere
        noise = round(beside + background.stalls.get(kind, 0.0), 2)
        ports[port] = PortResult(done=all_of_them.done, failed=all_of_them.failed, stall=round(stall, 2), noise=noise)
    failed = effect(*({*failures.OPERATIONS, HTTP, HTTPS} - look.excused)).failures
    return StrikeResult(
        fault=fault,
        target=target,
        seconds=round((event.mended or event.ended) - event.started, 1),
        operations_done=machines.done,
        operations_failed=machines.failed,
        operations_stall=round(machines.longest_stall, 2),
        stalled_operation=machines.stalled_kind,
        ports=ports,
        bound=look.bound,
        seconds_until_noticed=_rounded(event.seconds_until_noticed),
        seconds_until_rest=_rounded(look.rest),
        sync_orders=look.orders,
        files_checked=look.files,
        upstream_repeated=look.repeated,
        violations=(*look.faults, *failed, *_intolerable(ports, look)),
        stalls=tuple(_over_bound(ports, look)),
    )


def beyond_one_copy(copies: float) -> tuple[str, ...]:
    """What to say when upstream sent more than the design allows; ``copies`` without what faults excuse."""
    if copies <= MOST_COPIES:
        return ()
    return (f"upstream sent {copies:.3f} copies; {MOST_COPIES} are allowed",)


def _is_lost_with_balancer(entry: measure.Operation, look: Look) -> bool:
    """A request that was with a balancer when it was lost, or came before another had taken over, and got no answer.

    Nor does one count that a frozen node answered when it went on. No other node knows of it: its client comes again,
    and how soon that is answered is what counts.
    """
    mended = look.event.mended
    if not look.is_balancer or entry.kind not in PORTS.values():
        return False
    is_lost = bool(entry.failure) or (mended is not None and entry.started < mended <= entry.ended)
    bound = look.bound or 0.0
    # It changes hands at the strike, perhaps when the node is mended, and when the node has the address back, which is
    # seen a little later.
    turns = [
        look.event.started,
        *([mended] if mended else []),
        *([back - bound] if (back := look.event.returned) else []),
    ]
    return is_lost and any(entry.started <= turn + bound and entry.ended >= turn for turn in turns)


def _over_bound(ports: Mapping[str, PortResult], look: Look) -> Iterator[str]:
    """What stalled for longer than the design allows and the machine explains."""
    for port, kind in PORTS.items():
        seen = ports[port]
        bound = math.inf if look.bound is None or kind in {*look.excused, *look.unbounded} else look.bound
        if seen.stall > bound + seen.noise:
            part = f"bound {bound:g} s, the machine's part {seen.noise:.2f} s at most"
            yield f"{kind} stalled for {seen.stall:.2f} s ({part})"


def _intolerable(ports: Mapping[str, PortResult], look: Look) -> Iterator[str]:
    for port, kind in PORTS.items():
        if ports[port].stall > INTOLERABLE_STALL_SECONDS and kind not in look.excused:
            yield f"{kind} stalled for {ports[port].stall:.2f} s"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
