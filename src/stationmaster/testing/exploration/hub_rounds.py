"""What the hub of the exploration decides each second, with the functions that the real one uses."""

from __future__ import annotations

from stationmaster.model import candidates, copying, leadership, rotation, visibility
from stationmaster.testing.exploration import hub_side, hub_view, state
from stationmaster.testing.exploration.state import (
    LIMITS,
    UNIT,
    Hub,
    Lag,
    Lease,
    Row,
    Shown,
    changed,
    remembered,
    replaced,
    shared,
)

_TERMS = leadership.Terms(stall=state.STALL, retry=state.RETRY)
_UNREACHED = 10


@remembered
def decide(hub: Hub, volumes: tuple[int, ...]) -> Hub:
    """One round of the scheduler: `hub.services.visibility.plan_group`, then the leases and copies."""
    if not hub.is_up:
        return hub
    hub = _departed(hub, volumes)
    snapshots = []
    for source in range(len(hub.rows)):
        hub, snapshot = _decide_source(hub, source, volumes)
        snapshots.append(snapshot)
    for source in range(len(hub.rows)):
        hub = _led(hub, source, snapshots[source])
    hub = _written(hub, volumes)
    hub = _copies(hub, [hub_view.present(hub, source, one) for source, one in enumerate(snapshots)])
    rows = tuple(shared(_plain(hub, source, row)) for source, row in enumerate(hub.rows))
    return shared(changed(hub, rows=rows, writers=shared(hub.writers), reports=shared(hub.reports)))


def _plain(hub: Hub, source: int, row: Row) -> Row:
    """How long a holder has been idle counts from the last request as well, and only while it owes something."""
    lease = row.lease
    report = None if lease.holder is None else hub.reports[lease.holder]
    is_owing = report is not None and report.told[source].run.number < row.number
    if is_owing and lease.idle < row.raised:
        return row
    return changed(row, lease=changed(lease, idle=state.IDLE))


def _decide_source(hub: Hub, source: int, volumes: tuple[int, ...]) -> tuple[Hub, rotation.Snapshot]:
    snapshot = hub_view.view(hub, source, volumes)
    row = hub.rows[source]
    ruling = candidates.rule(snapshot, LIMITS)
    if ruling.verdict is not candidates.Verdict.KEEP:
        is_young = ruling.generation is None or ruling.generation in row.known
        row = changed(row, candidate=ruling.generation, candidate_age=0 if is_young else state.WAITED, lost=None)
        snapshot = hub_view.present(_with_row(hub, source, row), source, snapshot)
    decision = visibility.decide(snapshot, LIMITS)
    row = _lagging(row, snapshot, decision)
    gone = snapshot.visible is not None and not rotation.holders_in_touch(snapshot, snapshot.visible.generation, LIMITS)
    lost = row.candidate is not None and not rotation.holders_in_touch(snapshot, row.candidate, LIMITS)
    row = changed(row, orphaned=(row.orphaned or 0) if gone else None, lost=(row.lost or 0) if lost else None)
    if decision.visible is not None and decision.visible != snapshot.visible:
        following = Shown(decision.visible.number, decision.visible.generation)
        known = row.known | {following.generation}
        unknown = () if decision.unknown is None else (Shown(decision.unknown.number, decision.unknown.generation),)
        row = changed(row, visible=following, recent=(*row.recent, *unknown, following), known=known)
    hub = _with_row(hub, source, row)
    if decision.verdict in {visibility.Verdict.RESYNC, visibility.Verdict.RESTORE}:
        hub = hub_side.ask(hub, source)
    row = changed(hub.rows[source], recent=hub_side.left_behind(hub, source))
    return _with_row(hub, source, row), snapshot


def _with_row(hub: Hub, source: int, row: Row) -> Hub:
    return changed(hub, rows=replaced(hub.rows, source, row))


def _index(name: str | None) -> int | None:
    return None if name is None else int(name[1:])


def _lagging(row: Row, snapshot: rotation.Snapshot, decision: visibility.Decision) -> Row:
    lags: list[Lag | None] = [None] * len(row.lags)
    for station in snapshot.stations:
        index = int(station.id[1:])
        if not rotation.lacks(snapshot, station) or station.silent_seconds > LIMITS.liveness:
            continue
        former, target = row.lags[index], rotation.target(snapshot)
        excluded = former.excluded if former else None
        excluded = (excluded or 0) if station.id in decision.excluded else None
        behind = former.behind if former is not None and former.generation == target else 0
        lags[index] = Lag(target, behind, excluded)
    return changed(row, lags=tuple(lags))


def _led(hub: Hub, source: int, snapshot: rotation.Snapshot) -> Hub:
    row = hub.rows[source]
    shown = snapshot.visible.generation if snapshot.visible else None
    contenders = [
        leadership.Contender(
            id=one.id,
            hindrance=_hindrance(hub, one),
            fault="The upstream is broken." if _has_failed(row, one) else "",
            is_owing=one.id == snapshot.lease.holder and one.finished_sync < snapshot.sync_number,
            load=sum(hub_view.name_of(other.lease.holder) == one.id for other in hub.rows if other is not row),
            merit=2 * (row.candidate in one.held) + (shown in one.held) - _UNREACHED * one.has_failed,
            token=one.lease_token,
        )
        for one in snapshot.stations
    ]
    ruling = leadership.rule(snapshot.lease, contenders, _TERMS, is_settled=hub.is_settled)
    return _with_row(hub, source, changed(row, lease=_ruled(row.lease, ruling)))


def _hindrance(hub: Hub, station: rotation.Station) -> str:
    if station.silent_seconds > LIMITS.liveness:
        return "It is silent."
    return "It is being deleted." if hub.members[int(station.id[1:])] != state.ACTIVE else ""


def _has_failed(row: Row, station: rotation.Station) -> bool:
    is_holder = station.id == hub_view.name_of(row.lease.holder)
    is_present = station.finished_sync >= row.number and station.sync_token == row.lease.token
    return is_holder and station.has_failed and is_present


def _written(hub: Hub, volumes: tuple[int, ...]) -> Hub:
    writers = []
    for number, writer in enumerate(hub.writers):
        contenders = [
            leadership.Contender(
                id=hub_view.name_of(index),
                hindrance="It is silent." if hub.reports[index].age * UNIT > LIMITS.liveness else "",
                token=hub.reports[index].writer,
            )
            for index in hub_view.members(hub)
            if volumes[index] == number
        ]
        ruling = leadership.rule(hub_view.lease_of(writer), contenders, _TERMS, is_settled=hub.is_settled)
        writers.append(_ruled(writer, ruling))
    return changed(hub, writers=tuple(writers))


def _ruled(lease: Lease, ruling: leadership.Ruling) -> Lease:
    failed = lease.failed
    if ruling.failed is not None:
        who = _index(ruling.failed) or 0
        failed = (*(one for one in failed if one[0] != who), (who, 0))
    lease = changed(lease, failed=failed)
    if ruling.verdict is leadership.Verdict.GRANT:
        return hub_side.fresh(lease, _index(ruling.holder), ruling.token)
    return changed(lease, holder=_index(ruling.holder), token=ruling.token)


def _copies(hub: Hub, snapshots: list[rotation.Snapshot]) -> Hub:
    writers = {
        str(number): hub_view.name_of(one.holder) for number, one in enumerate(hub.writers) if one.holder is not None
    }
    copies = copying.copies_of(snapshots, writers, LIMITS)
    rows = []
    for source, row in enumerate(hub.rows):
        orders = tuple(
            tuple(one.generation for one in copies.get(hub_view.name_of(index), ()) if one.source_id == str(source))
            for index in range(len(hub.members))
        )
        rows.append(changed(row, copies=orders))
    return changed(hub, rows=tuple(rows))


def _departed(hub: Hub, volumes: tuple[int, ...]) -> Hub:
    """`hub.services.departures.finish`: one that is being deleted goes when it holds nothing alone, or in time."""
    found = hub.members
    for index, one in enumerate(hub.members):
        is_overdue = hub.deleted[index] * UNIT >= LIMITS.lag
        if one == state.DELETING and (is_overdue or not holds_alone(hub, index, volumes)):
            found = replaced(found, index, state.GONE)
    return changed(hub, members=found, parted=hub.parted if found == hub.members else 0)


def holds_alone(hub: Hub, index: int, volumes: tuple[int, ...]) -> bool:
    """Whether something goes with this station."""
    views = (hub_view.view(hub, source, volumes) for source in range(len(hub.rows)))
    return any(rotation.held_alone(one, hub_view.name_of(index), LIMITS) for one in views)
