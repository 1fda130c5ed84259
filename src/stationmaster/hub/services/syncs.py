"""Syncs that people, schedules or a grown mirror list ask for, and the work requests that follow them.

A sync is asked for by raising a number per source of a group (design 12a: one station's sync is the group's); the
leader answers with the number it is at, and the others copy what it brought.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema, store
from stationmaster.hub.services import group_view, sync_requests, work_requests
from stationmaster.model import candidates, copying, groups, rotation, sync_progress
from stationmaster.model.work_request import Status

OPERATION = "SYNC_MANAGEMENT_STATION_MIRROR"


def request_sync(
    tx: sa.Connection,
    now: datetime.datetime,
    group_id: str,
    source_ids: Iterable[str],
    work_request_id: str | None = None,
) -> None:
    """Raise the number of each source."""
    try:
        sync_requests.ask(tx, now, group_id, sorted(set(source_ids)), work_request_id)
    except sa.exc.IntegrityError as exc:
        raise store.RaceError from exc


def open_sync(
    tx: sa.Connection,
    now: datetime.datetime,
    station: sa.Row[Any],
    source_ids: Iterable[str],
    **further: Any,
) -> str:
    """A work request that syncs these sources for the group of ``station``, begun at once; its id."""
    wanted, group_id = sorted(set(source_ids)), groups.group_id(station.hostname, station.compartment_id)
    request_id = work_requests.open_request(
        tx,
        now,
        operation_type=OPERATION,
        compartment_id=station.compartment_id,
        display_name=f"Sync mirrors of {station.display_name}",
        instance_ids=[station.managed_instance_id],
        metadata={"managementStationId": station.id},
        payload={"stationId": station.id, "softwareSourceIds": wanted},
        station_id=station.id,
        **further,
    )
    request_sync(tx, now, group_id, wanted, request_id)
    return request_id


def follow_syncs(tx: sa.Connection, now: datetime.datetime, hub: context.Hub, view: group_view.GroupView) -> None:
    """Bring the open sync requests of a group to where its stations are."""
    rows = _open_of(tx, view)
    for row in rows:
        numbers = _numbers(tx, row.id)
        _follow(tx, now, row, sync_progress.judge(_progress(view, numbers, group_view.limits_of(hub))))


def follow_open(hub: context.Hub, now: datetime.datetime, head: sa.Row[Any], view: group_view.GroupView) -> None:
    """`follow_syncs` on a fresh view, in a transaction of its own, when there is something to follow."""
    with hub.store.read() as tx:
        is_any = bool(_open_of(tx, view))
    if is_any:
        hub.store.transact_as_one(
            f"syncs {view.group_id}",
            lambda tx: follow_syncs(tx, now, hub, group_view.view_group(tx, now, head)),
        )


def _open_of(tx: sa.Connection, view: group_view.GroupView) -> Sequence[sa.Row[Any]]:
    member_ids = [member.id for member in view.members]
    table = schema.work_requests.c
    return work_requests.open_requests(tx, table.operation_type == OPERATION, table.station_id.in_(member_ids))


def _numbers(tx: sa.Connection, work_request_id: str) -> dict[str, int]:
    table = schema.sync_requests.c
    rows = tx.execute(sa.select(table.source_id, table.number).where(table.work_request_id == work_request_id))
    return {row.source_id: row.number for row in rows}


def _progress(
    view: group_view.GroupView, numbers: dict[str, int], limits: rotation.Limits
) -> list[sync_progress.SourceSync]:
    names = {source.id: source.display_name for source in view.sources}
    copies = copying.copies_of(view.snapshots.values(), view.volume_writers, limits)
    found = []
    for source_id, number in sorted(numbers.items()):
        snapshot = view.snapshots.get(source_id)
        if snapshot is None:
            continue  # no longer mirrored: nothing to wait for
        reports = {
            view.name_of(member.id): (member, view.report_of(member.id, source_id))
            for member in rotation.members(snapshot, limits)
        }
        ordered = {
            view.name_of(station_id): (copy.generation, view.name_of(copy.holders[0]))
            for station_id, found_copies in copies.items()
            for copy in found_copies
            if copy.source_id == source_id
        }
        staged = candidates.staged(snapshot, limits)
        found.append(sync_progress.SourceSync(names[source_id], number, snapshot.visible, staged, reports, ordered))
    return found


def _follow(tx: sa.Connection, now: datetime.datetime, row: sa.Row[Any], outcome: sync_progress.Outcome) -> None:
    said = list(row.payload.get("said", []))
    new = [line for line in outcome.lines if line not in said]
    if new:
        table = schema.work_requests
        tx.execute(table.update().where(table.c.id == row.id).values(payload={**row.payload, "said": said + new}))
        for line in new:
            work_requests.add_log(tx, now, row.id, line)
    if outcome.status is Status.FAILED:
        if work_requests.move(tx, now, row, Status.FAILED, message=outcome.problems[0].message):
            for problem in outcome.problems:
                work_requests.add_error(tx, now, row.id, problem.code, problem.message)
        return
    is_moving = outcome.status is not Status(row.status) or outcome.percentage > row.percent_complete
    if outcome.status is not Status.ACCEPTED and is_moving:
        work_requests.move(tx, now, row, outcome.status, percentage=outcome.percentage)


def fail_without_station(tx: sa.Connection, now: datetime.datetime) -> None:
    """Sync requests whose station was deleted cannot end any other way."""
    requests, stations = schema.work_requests.c, schema.stations.c
    living = sa.select(stations.id).where(stations.lifecycle_state != "DELETED")
    rows = work_requests.open_requests(
        tx,
        requests.operation_type == OPERATION,
        sa.or_(requests.station_id.is_(None), ~requests.station_id.in_(living)),
    )
    for row in rows:
        work_requests.fail(tx, now, row, "NotAuthorizedOrNotFound", "The management station was deleted.")
