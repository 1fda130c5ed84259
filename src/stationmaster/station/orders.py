"""What the hub's answers allow this station, and for how long (ha-protocol R1, R5, R8, R10). Pure.

A lease counts from the *sending* of the heartbeat that brought it, on the clock that runs through suspend, and is used
no longer than the hub says, which is before the hub may give it to another. A hub that went back in time may offer
tokens that were used already: they are ignored.
"""

from __future__ import annotations

from stationmaster.model import protocol
from stationmaster.station import snapshot as snapshots


def after_answer(
    former: snapshots.Orders, answer: protocol.HeartbeatAnswer, sent_at: float, volume_id: str
) -> snapshots.Orders:
    """The orders after an answer to the heartbeat that was sent at ``sent_at``; an answer replaces all of them."""
    tokens = dict(former.tokens)
    leases: dict[str, snapshots.LeaseView] | None = None
    if answer.leases is not None:
        leases = {}
        for lease in answer.leases:
            if lease.token >= tokens.get(lease.source_id, 0):
                tokens[lease.source_id] = lease.token
                leases[lease.source_id] = snapshots.LeaseView(lease.token, sent_at + lease.stop_after_seconds)
    offered = answer.volume_lease
    removal = None
    if offered is not None and offered.volume_id == volume_id:
        removal = snapshots.LeaseView(offered.token, sent_at + offered.stop_after_seconds)
    return snapshots.Orders(
        leases=None if leases is None else snapshots.frozen_map(leases),
        copies=tuple(answer.copies),
        volume_lease=removal,
        retained=snapshots.frozen_map({source: frozenset(names) for source, names in answer.retained.items()}),
        volume_problem=answer.volume_problem,
        tokens=snapshots.frozen_map(tokens),
        stored_tokens=former.stored_tokens,
        pinned=None
        if answer.pinned is None
        else snapshots.frozen_map({source: frozenset(names) for source, names in answer.pinned.items()}),
        room_bytes=offered.room_bytes if offered is not None and removal is not None else 0,
    )


def upstream_token(orders: snapshots.Orders, source_id: str, now_at: float) -> int | None:
    """Under which token the upstream of a source may be asked now; None: not at all. 0: the hub gives no leases."""
    if orders.leases is None:
        return 0
    lease = orders.leases.get(source_id)
    is_stored = lease is not None and orders.stored_tokens.get(source_id, 0) >= lease.token
    return lease.token if lease is not None and is_stored and lease.holds(now_at) else None


def is_still_allowed(orders: snapshots.Orders, source_id: str, token: int, now_at: float) -> bool:
    """Whether what began under ``token`` may go on: another token is another holder's right, or another time's."""
    return upstream_token(orders, source_id, now_at) == token


def may_sync(snapshot: snapshots.Snapshot, source_id: str, token: int, now_at: float) -> bool:
    """Whether a sync from the upstream may go on."""
    return is_still_allowed(snapshot.orders, source_id, token, now_at) and may_write(snapshot)


def may_copy(snapshot: snapshots.Snapshot, source_id: str, generation: str) -> bool:
    """Whether a copy from peers may go on: while the hub wants it."""
    is_wanted = any(one.source_id == source_id and one.generation == generation for one in snapshot.orders.copies)
    return is_wanted and may_write(snapshot)


def may_write(snapshot: snapshots.Snapshot) -> bool:
    """R10, and not on into a volume that fills: a stop leaves less behind than what is refused in the middle."""
    is_refused = snapshot.volume is not None and snapshot.volume.write_problem is not None
    return snapshot.orders.volume_problem is None and not is_refused


def removal_token(orders: snapshots.Orders, now_at: float) -> int | None:
    """Under which token this station may remove from its volume now; None: not at all."""
    lease = orders.volume_lease
    return lease.token if lease is not None and lease.holds(now_at) else None
