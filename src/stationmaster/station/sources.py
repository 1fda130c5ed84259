"""What to do next about each source: proving, copying from peers, asking the upstream. Pure; part of ``plan``.

The upstream sees each byte once per group: it is asked only under a lease (R5), and what the hub says that this volume
should hold is copied from those that hold it before the upstream is asked for anything. Whoever has no lease and no
copy to make waits.
"""

from __future__ import annotations

from collections.abc import Iterator

from stationmaster.model import protocol
from stationmaster.station import lost_files, orders, source_keys, steps
from stationmaster.station import snapshot as snapshots

MOST_SKEW_SECONDS = 300.0


def plan_source(
    snapshot: snapshots.Snapshot, source: protocol.MirrorSource, now: snapshots.Moment
) -> Iterator[steps.Step]:
    """The steps for one source; nothing is written to a volume that the hub refuses (R10)."""
    volume = snapshot.volume
    if volume is None or volume.problem is not None or snapshot.orders.volume_problem is not None:
        return
    for one in volume.held.get(source.source_id, ()):
        proof = snapshot.fetch.get((source.source_id, one.generation))
        is_due = proof is None or (not proof.is_fetchable and now.at >= proof.retry_at)
        is_lossy = lost_files.loss_of(snapshot, source.source_id, one.generation).count
        if is_due and snapshot.nginx.is_answering and not is_lossy:
            yield steps.ProbeFetchable(source.source_id, one.generation)
    if volume.write_problem is not None or source.source_id in volume.unreadable or not _is_free(snapshot, source):
        return
    yield from lost_files.due(snapshot, source, now)[:1]
    if now.at < _sync_of(snapshot, source).pause_until:
        return
    copy = next_copy(snapshot, source)
    if copy is not None and now.at >= _sync_of(snapshot, source).copy_retry_at:
        yield copy
    elif (token := orders.upstream_token(snapshot.orders, source.source_id, now.at)) is not None and _is_sync_due(
        snapshot, source, token, now
    ):
        yield steps.StartSync(source, source.sync_number, token)


def next_copy(snapshot: snapshots.Snapshot, source: protocol.MirrorSource) -> steps.StartCopy | None:
    """The first generation of the source that the hub wants here, that is lacking, and that a known peer holds."""
    volume, desired = snapshot.volume, snapshot.desired
    if volume is None or desired is None:
        return None
    peers = {peer.station_id: peer for peer in desired.peers if peer.addresses}
    for wanted in snapshot.orders.copies:
        if wanted.source_id != source.source_id or volume.holds(source.source_id, wanted.generation):
            continue
        holders = tuple(peers[one] for one in wanted.holders if one in peers)
        if holders:
            return steps.StartCopy(source, wanted.generation, holders)
    return None


def may_clean(
    snapshot: snapshots.Snapshot, desired: protocol.StationDesired, now: snapshots.Moment, *, is_pressed: bool = False
) -> bool:
    """Nothing is removed with the hub away or the clocks apart (R12-R18), from a volume in trouble, or beside a sync.

    From a hub that gives leases the volume's own is needed as well (R1, R10). For want of room no time counts, so
    neither do clocks; the hub's word about what must stay does (ADR 22).
    """
    confirmed_at, volume = snapshot.contact.confirmed_at, snapshot.volume
    is_confirmed = confirmed_at is not None and now.at - confirmed_at <= desired.confirmed_seconds
    is_well = volume is not None and volume.problem is None and volume.write_problem is None
    is_ours = snapshot.orders.leases is None or orders.removal_token(snapshot.orders, now.at) is not None
    is_refused = snapshot.orders.volume_problem is not None
    is_busy = any(one.is_busy for one in snapshot.syncs.values())
    is_timed = is_pressed or snapshot.contact.skew_seconds <= MOST_SKEW_SECONDS
    return is_confirmed and is_well and is_ours and is_timed and not is_refused and not is_busy


def room_needed(snapshot: snapshots.Snapshot) -> int:
    """How much must be free on the volume, when it is not, and the hub says what must stay even then; else 0."""
    volume, orders_now = snapshot.volume, snapshot.orders
    if volume is None or orders_now.pinned is None or volume.available_bytes >= orders_now.room_bytes:
        return 0
    return orders_now.room_bytes


def _sync_of(snapshot: snapshots.Snapshot, source: protocol.MirrorSource) -> snapshots.SyncView:
    return snapshot.syncs.get(source.source_id, snapshots.SyncView())


def _is_free(snapshot: snapshots.Snapshot, source: protocol.MirrorSource) -> bool:
    keys = snapshot.keys.get(source.source_id)
    if keys is None or keys.wanted != source_keys.wanted_name(source) or keys.problem is not None:
        return False
    return not _sync_of(snapshot, source).is_busy


def _is_sync_due(
    snapshot: snapshots.Snapshot, source: protocol.MirrorSource, token: int, now: snapshots.Moment
) -> bool:
    sync = _sync_of(snapshot, source)
    if sync.failures and sync.room_bytes and snapshot.volume and snapshot.volume.available_bytes >= sync.room_bytes:
        return True  # what it waited for is there
    if sync.failures:
        # Under another lease it is another try: the holder before this one failed, or is gone.
        is_new = sync.report is not None and sync.report.lease_token != token
        return now.at >= sync.retry_at or source.sync_number > sync.number or is_new
    # A volume that holds nothing is filled, also when it was exchanged for an empty one; the pause after a sync that
    # just ended lets the next look at the volume see what it brought.
    held = snapshot.volume.held.get(source.source_id, ()) if snapshot.volume else ()
    return source.sync_number > max(sync.number, 0) or (not held and now.at >= sync.retry_at)
