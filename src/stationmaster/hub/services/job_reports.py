"""What agents report of their jobs. Numbered, so that a report that comes twice, or late, changes nothing."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.services import work_requests
from stationmaster.model import errors, moments, protocol
from stationmaster.model.work_request import ENDS, Status

_HIGHEST = 2**31 - 1
_STATUSES = {
    protocol.JobState.IN_PROGRESS: Status.IN_PROGRESS,
    protocol.JobState.SUCCEEDED: Status.SUCCEEDED,
    protocol.JobState.FAILED: Status.FAILED,
}


def store_reports(
    tx: sa.Connection, now: datetime.datetime, instance_id: str, reports: Iterable[protocol.JobReport]
) -> dict[str, int]:
    """By work request, the highest number that is stored now.

    A request that is not known (any more) is acknowledged as well: the agent may forget it.
    """
    acknowledged: dict[str, int] = {}
    for report in sorted(reports, key=lambda one: (one.work_request_id, one.number)):
        if not 0 < report.number <= _HIGHEST:
            raise errors.CallerError(f"A report of {report.work_request_id[:300]} has the number {report.number}.")
        row = _find_own(tx, instance_id, work_requests.clean(report.work_request_id, 255))
        if row is not None and report.number > row.last_report:
            _apply(tx, now, row, report)
        stored = max(report.number, row.last_report if row is not None else 0)
        acknowledged[report.work_request_id] = max(stored, acknowledged.get(report.work_request_id, 0))
    return acknowledged


def _find_own(tx: sa.Connection, instance_id: str, work_request_id: str) -> sa.Row[Any] | None:
    table = schema.work_requests
    query = sa.select(table).where(table.c.id == work_request_id, table.c.managed_instance_id == instance_id)
    return tx.execute(query).one_or_none()


def _apply(tx: sa.Connection, now: datetime.datetime, row: sa.Row[Any], report: protocol.JobReport) -> None:
    table = schema.work_requests
    tx.execute(table.update().where(table.c.id == row.id).values(last_report=report.number))
    for line in report.log:
        work_requests.add_log(tx, moments.as_utc(line.time), row.id, line.message)
    for problem in report.problems:
        work_requests.add_error(tx, now, row.id, problem.code, problem.message)
    if Status(row.status) in ENDS:
        return
    status = _STATUSES[report.state]
    message = report.problems[0].message if report.problems else None
    work_requests.move(tx, now, row, status, percentage=float(report.percentage), message=message)
