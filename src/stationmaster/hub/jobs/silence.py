"""Work for a machine that is silent stays as it is, and says so: it is done when the machine returns."""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import work_requests
from stationmaster.model import dispatch
from stationmaster.model.work_request import Status


def tell_of_silent_targets(tx: sa.Connection, now: datetime.datetime, hub: context.Hub) -> None:
    """A log line, once per silence, in each open request whose instance has not checked in for long."""
    requests, instances = schema.work_requests.c, schema.managed_instances.c
    silent_since = now - hub.times.instance_inactive
    silent = sa.select(instances.id, instances.time_last_checkin).where(instances.time_last_checkin <= silent_since)
    known = {row.id: row.time_last_checkin for row in tx.execute(silent)}
    if not known:
        return
    rows = work_requests.open_requests(
        tx,
        requests.operation_type.in_(sorted(dispatch.OPERATIONS)),
        requests.managed_instance_id.in_(silent.with_only_columns(instances.id)),
    )
    for row in rows:
        last = known.get(row.managed_instance_id)
        message = f"The instance has not checked in since {last:%Y-%m-%dT%H:%M:%SZ}; this is done when it returns."
        if last is not None and row.message != message:
            work_requests.move(tx, now, row, Status(row.status), message=message)
            work_requests.add_log(tx, now, row.id, message)
