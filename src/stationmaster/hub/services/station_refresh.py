"""Follows requests to refresh a station's configuration: done when its daemon has applied what the hub wants."""

from __future__ import annotations

import datetime
import functools
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import group_view, heartbeat, work_requests
from stationmaster.model import digest
from stationmaster.model.work_request import Status

OPERATION = "SET_MANAGEMENT_STATION_CONFIG"


def follow_open(hub: context.Hub, now: datetime.datetime, view: group_view.GroupView) -> None:
    """End the requests of this group's stations that have been carried out."""
    member_ids = [member.id for member in view.members]
    table = schema.work_requests.c
    with hub.store.read() as tx:
        rows = work_requests.open_requests(tx, table.operation_type == OPERATION, table.station_id.in_(member_ids))
        done = [row for row in rows if _is_applied(tx, now, hub, view, row)]
    for row in done:
        hub.store.transact(functools.partial(_finish, now=now, row=row))


def _is_applied(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, view: group_view.GroupView, row: sa.Row[Any]
) -> bool:
    member = next(one for one in view.members if one.id == row.station_id)
    if member.id not in view.reports:
        return False
    time_received, report = view.reports[member.id]
    wanted = heartbeat.build_desired(tx, now, hub, member)
    return time_received > row.time_created and report.applied_digest == digest.digest_of(wanted)


def _finish(tx: sa.Connection, now: datetime.datetime, row: sa.Row[Any]) -> None:
    fresh = work_requests.find(tx, row.id)
    if Status(fresh.status) is Status.ACCEPTED and work_requests.move(tx, now, fresh, Status.SUCCEEDED):
        work_requests.add_log(tx, now, row.id, "The station has applied its configuration.")
