"""Who may do a thing that only one may do at a time: stage a source for its group, or remove from a volume (R1, R5).

One rule for both leases. In this order:
 1. A hub that has just started, or that doubts itself, gives nothing and takes nothing (R8, R9).
 2. A holder keeps its lease while nothing speaks against it: a stable leader is worth more than an even spread.
 3. A holder that is lost, cannot write, drains, or left the group loses it. One that failed, or gained nothing for the
    stall limit, loses it when there is another that has not failed lately.
 4. The next holder is named only when the former must have stopped: one lease period after it was last told. It takes
    what it hears for eight seconds from the *sending* of its heartbeat, we count ten from its receipt.
 5. Each new holder gets a token that is higher than all that were ever given or reported (R8). A holder whose own token
    is used up gets the next at once.

Fencing does not rest on this: what a late holder writes is refused by the volume itself. The lease makes sure that work
is done once.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Iterable, Mapping


@dataclasses.dataclass(frozen=True)
class Terms:
    """Times in seconds. ``retry``: how long one that failed stands behind the others."""

    lease: float = 10.0
    stall: float = 15.0
    retry: float = 60.0


@dataclasses.dataclass(frozen=True)
class Lease:
    """What is stored. ``renewed_seconds``: since the holder, or the one that lost it, was last told of it.

    ``idle_seconds``: since the holder gained something, finished a check, or got the lease. ``failed``: by station,
    seconds since it failed or stalled under the lease.
    """

    token: int = 0
    holder: str | None = None
    renewed_seconds: float = math.inf
    idle_seconds: float = 0.0
    failed: Mapping[str, float] = dataclasses.field(default_factory=dict)


UNHELD = Lease()


@dataclasses.dataclass(frozen=True)
class Contender:
    """A station that could hold it. ``hindrance`` says why it cannot, empty when it can.

    ``fault``: why it failed under the present token. ``is_owing``: it has work under the lease that has not ended.
    ``load``: other leases of the kind that it holds. ``merit``: how much of the work is done at its place already.
    """

    id: str
    hindrance: str = ""
    fault: str = ""
    is_owing: bool = False
    load: int = 0
    merit: int = 0
    token: int = 0


class Verdict(enum.StrEnum):
    """``END``: the holder is told no more; who follows is decided when it must have stopped."""

    KEEP = "KEEP"
    END = "END"
    GRANT = "GRANT"


@dataclasses.dataclass(frozen=True)
class Ruling:
    """``holder`` and ``token`` as they are from now on; ``failed`` is a station that failed just now."""

    verdict: Verdict
    holder: str | None
    token: int
    reason: str = ""
    failed: str | None = None


def rule(lease: Lease, contenders: Iterable[Contender], terms: Terms, *, is_settled: bool) -> Ruling:
    """The next step for one lease. Pure; the caller stores it by compare-and-set on the row."""
    found = {one.id: one for one in contenders}
    # A round in which all others failed takes so long; who was not tried in it comes before who was.
    terms = dataclasses.replace(terms, retry=max(terms.retry, (len(found) - 1) * (terms.stall + terms.lease)))
    kept = Ruling(Verdict.KEEP, lease.holder, lease.token)
    if not is_settled:
        return dataclasses.replace(kept, reason="The hub started a moment ago; nobody leads until it has listened.")
    if lease.holder is not None:
        return _rule_held(lease, lease.holder, found, terms)
    if lease.renewed_seconds < terms.lease:
        return dataclasses.replace(kept, reason="The former holder may still be at work.")
    return _rule_free(lease, found, terms, "Nobody held it.", None)


def _rule_held(lease: Lease, holder: str, found: Mapping[str, Contender], terms: Terms) -> Ruling:
    reason, failed = _why_not(lease, found, terms)
    highest = _highest(lease, found)
    if not reason and highest == lease.token:
        return Ruling(Verdict.KEEP, holder, lease.token)
    if not reason and found[holder].token == highest:
        # Its own token is used up, or the hub forgot it: nobody else can have had it, so nobody is waited for.
        return Ruling(Verdict.GRANT, holder, highest + 1, "Its token was used up.")
    reason = reason or "Another had a higher token than the hub remembered."
    if lease.renewed_seconds < terms.lease:
        return Ruling(Verdict.END, None, highest, reason, failed)
    return _rule_free(lease, found, terms, reason, failed)


def _rule_free(lease: Lease, found: Mapping[str, Contender], terms: Terms, reason: str, failed: str | None) -> Ruling:
    following, highest = _choose(lease, found.values(), terms, failed), _highest(lease, found)
    if following is None:
        verdict = Verdict.KEEP if lease.holder is None else Verdict.END
        return Ruling(verdict, None, highest, _nobody(found.values()), failed)
    return Ruling(Verdict.GRANT, following.id, highest + 1, reason, failed)


def _highest(lease: Lease, found: Mapping[str, Contender]) -> int:
    return max([lease.token, *(one.token for one in found.values())])


def _why_not(lease: Lease, found: Mapping[str, Contender], terms: Terms) -> tuple[str, str | None]:
    """Why the holder should not go on, and whether it failed; empty when it should."""
    holder = found.get(lease.holder or "")
    if holder is None:
        return "The holder is no longer here.", None
    if holder.hindrance:
        return holder.hindrance, None
    fault = holder.fault
    if not fault and holder.is_owing and lease.idle_seconds >= terms.stall:
        fault = f"It gained nothing for {terms.stall:.0f} s."
    is_better = any(
        not one.hindrance and one.id != holder.id and not _is_tried(lease, one.id, terms) for one in found.values()
    )
    return (fault, holder.id) if fault and is_better else ("", None)


def _is_tried(lease: Lease, station_id: str, terms: Terms) -> bool:
    return lease.failed.get(station_id, math.inf) < terms.retry


def _choose(lease: Lease, contenders: Iterable[Contender], terms: Terms, failed: str | None) -> Contender | None:
    able = [one for one in contenders if not one.hindrance]

    def order(one: Contender) -> tuple[bool, float, int, int, bool, str]:
        is_tried = one.id == failed or _is_tried(lease, one.id, terms)
        tried_ago = 0.0 if one.id == failed else lease.failed.get(one.id, math.inf)
        return is_tried, -tried_ago if is_tried else 0.0, -one.merit, one.load, one.id != lease.holder, one.id

    return min(able, key=order, default=None)


def _nobody(contenders: Iterable[Contender]) -> str:
    told = [f"{one.id}: {one.hindrance}" for one in contenders]
    return "No station can take it. " + " ".join(told) if told else "There is no station."
