"""Trying again what failed: a new work request that names the old one (OSMH 95), for the failed targets only."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.services import events, managed_instances, package_jobs
from stationmaster.model import dispatch, errors
from stationmaster.model.work_request import Status


def rerun(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    row: sa.Row[Any],
    instance_ids: Sequence[str] | None,
) -> str:
    """The new request's id. Only what an agent does can be tried again, and only after it failed."""
    failed = [one for one in _leaves(tx, row) if Status(one.status) is Status.FAILED]
    if instance_ids is not None:
        failed = [one for one in failed if one.managed_instance_id in instance_ids]
    if not failed or any(one.operation_type not in dispatch.OPERATIONS for one in failed):
        raise errors.ConflictError(
            f"{row.display_name} has nothing that could be tried again.",
            hint="Only failed work on instances can; a sync is started again with synchronizeMirrors.",
        )
    instances = [managed_instances.find(tx, one) for one in sorted({one.managed_instance_id for one in failed})]
    operations = {one.operation_type: one.payload.get("packageNames", []) for one in failed}
    return package_jobs.order(
        tx, now, actor, instances, list(operations.items()), display_name=row.display_name, rerun_of_id=row.id
    )


def _leaves(tx: sa.Connection, row: sa.Row[Any]) -> Sequence[Any]:
    table = schema.work_requests
    children = tx.execute(sa.select(table).where(table.c.parent_id == row.id).order_by(table.c.id)).all()
    return children or [row]
