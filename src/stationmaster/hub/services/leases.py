"""Carries out what `model.leadership` rules for the sources of a group: a row per source, changed by compare-and-set.

The scheduler gives and takes; a heartbeat only renews, by an update that finds the row only while the station holds
it. So of a heartbeat and a scheduler that meet, one waits for the other, and nobody is told of a lease that went.
"""

from __future__ import annotations

import dataclasses
import datetime
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema, store
from stationmaster.hub.services import events, group_view
from stationmaster.model import leadership, protocol, rotation

QUEUED_SECONDS = 60.0
_UNREACHED = 10


@dataclasses.dataclass(frozen=True)
class Change:
    """What becomes of one lease. ``gained`` is set when the holder made progress."""

    ruling: leadership.Ruling
    gained: int | None = None


def plan_leases(view: group_view.GroupView, terms: leadership.Terms, limits: rotation.Limits) -> dict[str, Change]:
    """By source, what is to be written; sources without news are left out."""
    loads = {member.id: 0 for member in view.members}
    for held in view.leases.values():
        if held.station_id in loads and held.source_id in view.snapshots:
            loads[held.station_id] += 1
    changes = {}
    for source_id, snapshot in view.snapshots.items():
        contenders = [_contender(view, member, snapshot, loads, limits) for member in _registered(view)]
        lease = snapshot.lease
        row = view.leases.get(source_id)
        gained = _gained(view.report_of(lease.holder, source_id)) if lease.holder else None
        is_moving = row is not None and gained is not None and gained != row.gained
        idle = 0.0 if is_moving else min(lease.idle_seconds, snapshot.since_sync_raised)
        lease = dataclasses.replace(lease, idle_seconds=idle)
        ruling = leadership.rule(lease, contenders, terms, is_settled=snapshot.is_settled)
        if ruling.verdict is not leadership.Verdict.KEEP:
            changes[source_id] = Change(ruling)
            _shift(loads, lease.holder, ruling.holder)
        elif is_moving:
            changes[source_id] = Change(ruling, gained)
    return changes


def write_leases(
    tx: sa.Connection, now: datetime.datetime, view: group_view.GroupView, changes: dict[str, Change]
) -> None:
    """In the transaction in which ``view`` was read."""
    for source_id, change in changes.items():
        row = view.leases.get(source_id)
        if change.gained is not None:
            _update(tx, row, {"gained": change.gained, "time_gained": now})
            continue
        _write(tx, now, view, source_id, change.ruling)


def renew(
    tx: sa.Connection, now: datetime.datetime, group_id: str, station_id: str, source_ids: Iterable[str]
) -> list[protocol.Lease]:
    """The leases of a station, from now on again for the full time."""
    table = schema.source_leases
    wanted = sorted(source_ids)
    if not wanted:
        return []
    mine = sa.and_(table.c.group_id == group_id, table.c.station_id == station_id, table.c.source_id.in_(wanted))
    rows = tx.execute(
        table.update().where(mine).values(time_renewed=now).returning(table.c.source_id, table.c.token)
    ).all()
    return [protocol.Lease(source_id=row.source_id, token=row.token) for row in sorted(rows)]


def why_nobody_leads(
    view: group_view.GroupView, source_id: str, limits: rotation.Limits
) -> tuple[tuple[str, str], ...]:
    """When a source has had no leader for longer than a hand-over takes: each station's name and why it cannot lead."""
    snapshot, terms = view.snapshots[source_id], leadership.Terms()
    lease = snapshot.lease
    if not snapshot.is_settled or lease.holder is not None or lease.renewed_seconds < 2 * terms.lease:
        return ()
    found = []
    for member in _registered(view):
        station = next(one for one in snapshot.stations if one.id == member.id)
        told = view.report_of(member.id, source_id)
        words = [_hindrance(member, station, limits) or "It can, and is about to."]
        if _is_unreached(told):
            words.append("Its last try did not reach the upstream.")
        if member.id in lease.failed:
            words.append(f"It failed {lease.failed[member.id]:.0f} s ago.")
        if station.excluded_seconds is not None:
            words.append("It is out of rotation.")
        found.append((str(member.display_name), " ".join(words)))
    return tuple(found)


def _registered(view: group_view.GroupView) -> Sequence[sa.Row[Any]]:
    return [member for member in view.members if member.managed_instance_id is not None]


def _contender(
    view: group_view.GroupView,
    member: sa.Row[Any],
    snapshot: rotation.Snapshot,
    loads: dict[str, int],
    limits: rotation.Limits,
) -> leadership.Contender:
    station = next(one for one in snapshot.stations if one.id == member.id)
    told, is_holder = view.report_of(member.id, snapshot.source_id), snapshot.lease.holder == member.id
    shown = snapshot.visible.generation if snapshot.visible else None
    return leadership.Contender(
        id=member.id,
        hindrance=_hindrance(member, station, limits),
        fault=_fault(told, snapshot, station) if is_holder else "",
        is_owing=is_holder and _is_owing(told, snapshot, station),
        load=loads[member.id] - (1 if is_holder else 0),
        merit=2 * (snapshot.candidate in station.held) + (shown in station.held) - _UNREACHED * _is_unreached(told),
        token=station.lease_token,
    )


def _hindrance(member: sa.Row[Any], station: rotation.Station, limits: rotation.Limits) -> str:
    if station.silent_seconds > limits.liveness:
        return "It is silent."
    if not station.is_volume_usable:
        return "Its volume cannot be used."
    if not station.is_writable:
        return "Its volume cannot be written."
    if member.lifecycle_state != "ACTIVE":
        return "It is being deleted."
    return "It is being drained." if member.is_draining else ""


def _is_unreached(told: protocol.SourceReport | None) -> bool:
    """R5: whose last try did not reach the upstream leads when nobody else can."""
    sync = told.sync if told else None
    return sync is not None and not sync.is_running and not sync.is_upstream_reached


def _fault(told: protocol.SourceReport | None, snapshot: rotation.Snapshot, station: rotation.Station) -> str:
    sync = told.sync if told else None
    if sync is None or sync.is_running or sync.problem is None or sync.number < snapshot.sync_number:
        return ""
    is_not_begun = sync.time_started is None and not sync.lease_token
    is_of_this_lease = sync.lease_token == snapshot.lease.token or is_not_begun or not station.is_led
    return sync.problem.message if is_of_this_lease else ""


def _is_owing(told: protocol.SourceReport | None, snapshot: rotation.Snapshot, station: rotation.Station) -> bool:
    if told is not None and told.state is protocol.MirrorState.QUEUED:
        return snapshot.lease.idle_seconds >= QUEUED_SECONDS  # it is busy with other sources, and says so
    return station.is_syncing or station.finished_sync < snapshot.sync_number


def _gained(told: protocol.SourceReport | None) -> int:
    """A figure that moves when a sync gains something or ends; its value means nothing."""
    sync = told.sync if told else None
    if sync is None:
        return 0
    facts = (sync.number, sync.is_running, sync.percentage, sync.bytes_downloaded, len(sync.log), sync.time_finished)
    return zlib.crc32(repr(facts).encode())


def _shift(loads: dict[str, int], former: str | None, following: str | None) -> None:
    if former in loads:
        loads[former] -= 1
    if following in loads:
        loads[following] += 1


def _write(
    tx: sa.Connection, now: datetime.datetime, view: group_view.GroupView, source_id: str, ruling: leadership.Ruling
) -> None:
    row = view.leases.get(source_id)
    failures = dict(row.failures) if row is not None else {}
    if ruling.failed is not None:
        failures[ruling.failed] = now.isoformat()
    values: dict[str, Any] = {"station_id": ruling.holder, "token": ruling.token, "failures": failures}
    if ruling.verdict is leadership.Verdict.GRANT:
        values |= {"time_granted": now, "time_renewed": now, "time_gained": now, "gained": 0}
    if row is not None:
        _update(tx, row, values)
    elif ruling.holder is not None:
        store.insert_first(tx, schema.source_leases, group_id=view.group_id, source_id=source_id, **values)
    if row is None or row.station_id == ruling.holder:
        return
    _tell(tx, now, view, source_id, row.station_id, ruling)


def _update(tx: sa.Connection, row: sa.Row[Any] | None, values: dict[str, Any]) -> None:
    if row is None:
        raise store.RaceError
    table = schema.source_leases
    same = sa.and_(
        table.c.group_id == row.group_id,
        table.c.source_id == row.source_id,
        table.c.token == row.token,
        table.c.station_id.is_not_distinct_from(row.station_id),
    )
    store.update_unchanged(tx, table, same, values)


def _tell(
    tx: sa.Connection,
    now: datetime.datetime,
    view: group_view.GroupView,
    source_id: str,
    former: str | None,
    ruling: leadership.Ruling,
) -> None:
    source = next((row.display_name for row in view.sources if row.id == source_id), source_id)
    if ruling.holder is None:
        message = f"{view.name_of(former or '')} no longer leads {source} at {view.hostname}: {ruling.reason}"
    else:
        message = f"{view.name_of(ruling.holder)} leads {source} at {view.hostname} with token {ruling.token}."
    events.record(
        tx,
        now,
        events.EventKind.LEASE_MOVED,
        events.Subject(source_id, source, view.compartment_id),
        message,
        data={"groupId": view.group_id, "from": former, "to": ruling.holder, "token": ruling.token},
    )
