"""Work requests: opened in the transaction of whoever asks for the work, moved on by what machines report.

Every change of status goes through one compare-and-set, so that of two reports only the winner writes the event; a
request with children is settled by them.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.services import events
from stationmaster.model import errors, ocid, plain_text
from stationmaster.model.work_request import (
    ENDS,
    OPEN,
    Status,
    combined_percentage,
    combined_status,
    require_transition,
)

_OPEN = sorted(OPEN)


def open_request(  # noqa: PLR0913 - each names one thing of a request, and all are given by name
    tx: sa.Connection,
    now: datetime.datetime,
    *,
    operation_type: str,
    compartment_id: str,
    display_name: str,
    instance_ids: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    payload: Mapping[str, Any] | None = None,
    **further: Any,
) -> str:
    """A new request, ACCEPTED; its id.

    ``instance_ids`` are the machines it is filed against (OSMH 98: no entity type names a station); ``metadata`` stands
    beside each. ``further`` are columns such as ``initiator_id`` or ``parent_id``.
    """
    work_request_id = ocid.mint(ocid.Kind.WORK_REQUEST, events.region_of([*instance_ids, compartment_id][0]))
    resources = [
        {
            "entityType": "INSTANCE",
            "actionType": "IN_PROGRESS",
            "identifier": instance_id,
            "name": None,
            "entityUri": f"/20220901/managedInstances/{instance_id}",
            "metadata": dict(metadata or {}),
        }
        for instance_id in instance_ids
    ]
    values: dict[str, Any] = {
        "id": work_request_id,
        "compartment_id": compartment_id,
        "operation_type": operation_type,
        "status": Status.ACCEPTED.value,
        "display_name": display_name[:255],
        "managed_instance_id": instance_ids[0] if len(instance_ids) == 1 else None,
        "resources": resources,
        "payload": dict(payload or {}),
        "retry_intervals": [],
        "percent_complete": 0.0,
        "last_report": 0,
        "time_created": now,
        "time_updated": now,
        "revision": 1,
    }
    tx.execute(schema.work_requests.insert().values(values | further))
    return work_request_id


def find(tx: sa.Connection, work_request_id: str) -> sa.Row[Any]:
    """The request; NotFoundError otherwise."""
    table = schema.work_requests
    row = tx.execute(sa.select(table).where(table.c.id == work_request_id)).one_or_none()
    if row is None:
        raise errors.NotFoundError(f"Unknown work request {work_request_id}.")
    return row


def move(
    tx: sa.Connection,
    now: datetime.datetime,
    row: sa.Row[Any],
    status: Status,
    *,
    percentage: float | None = None,
    message: str | None = None,
) -> bool:
    """Change the status of ``row`` as it was read; False when somebody else changed it first. Same status: progress."""
    old = Status(row.status)
    if status is not old:
        require_transition(row.id, old, status)
    values: dict[str, Any] = {"status": status.value, "time_updated": now}
    if percentage is not None:
        values["percent_complete"] = min(100.0, max(percentage, row.percent_complete))
    if message is not None:
        values["message"] = clean(message, 10_000)
    if status is not old:
        values["revision"] = row.revision + 1
    if status is Status.IN_PROGRESS and row.time_started is None:
        values["time_started"] = now
    if status in ENDS:
        values |= _ended(now, row, status)
    table = schema.work_requests
    done = tx.execute(table.update().where(table.c.id == row.id, table.c.status == row.status).values(values))
    if done.rowcount != 1:
        return False
    if status in ENDS:
        _tell(tx, now, row, status, message)
    if status is not old and row.parent_id:
        settle_parent(tx, now, row.parent_id)
    return True


def settle_parent(tx: sa.Connection, now: datetime.datetime, parent_id: str) -> None:
    """Bring a parent to where its children are."""
    parent, table = find(tx, parent_id), schema.work_requests
    if Status(parent.status) in ENDS:
        return
    rows = tx.execute(sa.select(table.c.status, table.c.percent_complete).where(table.c.parent_id == parent_id)).all()
    children = [(Status(row.status), row.percent_complete) for row in rows]
    wanted = combined_status([status for status, _ in children])
    if wanted is not Status.ACCEPTED:
        move(tx, now, parent, wanted, percentage=combined_percentage(children))


def add_log(tx: sa.Connection, now: datetime.datetime, work_request_id: str, message: str) -> None:
    """One line of the request's log."""
    tx.execute(
        schema.work_request_logs.insert().values(
            work_request_id=work_request_id, time_logged=now, message=clean(message, 10_000)
        )
    )


def add_error(tx: sa.Connection, now: datetime.datetime, work_request_id: str, code: str, message: str) -> None:
    """Why it failed, or part of it."""
    tx.execute(
        schema.work_request_errors.insert().values(
            work_request_id=work_request_id, time_logged=now, code=clean(code, 255), message=clean(message, 10_000)
        )
    )


def fail(tx: sa.Connection, now: datetime.datetime, row: sa.Row[Any], code: str, message: str) -> None:
    """End it as FAILED, with the reason among its errors."""
    if move(tx, now, row, Status.FAILED, message=message):
        add_error(tx, now, row.id, code, message)


def open_requests(tx: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Sequence[sa.Row[Any]]:
    """Requests that have not ended, oldest first."""
    table = schema.work_requests
    query = sa.select(table).where(table.c.status.in_(_OPEN), *conditions)
    return tx.execute(query.order_by(table.c.time_created, table.c.id)).all()


def clean(text: str, longest: int) -> str:
    """Text of a machine as databases and terminals take it: no control characters, not longer than ``longest``."""
    return plain_text.without_control(text)[:longest]


def _ended(now: datetime.datetime, row: sa.Row[Any], status: Status) -> dict[str, Any]:
    # OSMH 55: Terraform believes a success only if an instance among the resources was UPDATED.
    action = "UPDATED" if status is Status.SUCCEEDED else "FAILED" if status is Status.FAILED else "RELATED"
    return {
        "percent_complete": 100.0 if status is Status.SUCCEEDED else row.percent_complete,
        "time_started": row.time_started or now,
        "time_finished": now,
        "resources": [{**resource, "actionType": action} for resource in row.resources],
    }


def _tell(tx: sa.Connection, now: datetime.datetime, row: sa.Row[Any], status: Status, message: str | None) -> None:
    events.record(
        tx,
        now,
        events.EventKind.WORK_REQUEST_FINISHED,
        events.Subject(row.id, row.display_name, row.compartment_id),
        f"{row.display_name}: {status.value}." + (f" {clean(message, 1000)}" if message else ""),
        data={"operationType": row.operation_type, "status": status.value},
    )
