"""How an instance goes: told at its next check-in, it restores what it had and says goodbye (OSMH 76).

One that is not heard of any more is removed without it, so that a dead machine can be removed at all.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import checkin, events, work_requests
from stationmaster.model import errors, instance_state
from stationmaster.model.work_request import Status

OPERATION = "UNREGISTER_MANAGED_INSTANCE"


def begin(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, instance: sa.Row[Any], actor: events.Actor
) -> str:
    """Open the request that removes an instance; its id. A silent instance goes at once."""
    _require_removable(tx, instance)
    request_id = work_requests.open_request(
        tx,
        now,
        operation_type=OPERATION,
        compartment_id=instance.compartment_id,
        display_name=f"Unregister {instance.display_name}",
        instance_ids=[instance.id],
        initiator_id=actor.principal_id,
    )
    table = schema.managed_instances
    tx.execute(
        table.update().where(table.c.id == instance.id).values(lifecycle_state=checkin.LEAVING, time_updated=now)
    )
    thresholds = instance_state.Thresholds(hub.times.instance_inactive, hub.times.instance_offline)
    if instance_state.instance_status(instance.time_last_checkin, now, thresholds) is not (
        instance_state.InstanceStatus.NORMAL
    ):
        work_requests.add_log(tx, now, request_id, "The agent is not heard of; the instance is removed without it.")
        remove(tx, now, instance, actor)
    else:
        work_requests.add_log(tx, now, request_id, "The agent is told to leave at its next check-in.")
    return request_id


def finish_overdue(tx: sa.Connection, now: datetime.datetime, hub: context.Hub) -> None:
    """Instances that were told to leave and have not said goodbye within three check-ins."""
    requests, table = schema.work_requests.c, schema.managed_instances
    rows = work_requests.open_requests(
        tx, requests.operation_type == OPERATION, requests.time_created <= now - 3 * hub.times.checkin
    )
    for row in rows:
        instance = tx.execute(sa.select(table).where(table.c.id == row.managed_instance_id)).one_or_none()
        work_requests.add_log(tx, now, row.id, "The agent did not say goodbye; the instance is removed without it.")
        if instance is None:
            work_requests.move(tx, now, row, Status.SUCCEEDED)
        else:
            remove(tx, now, instance, events.Actor())


def remove(tx: sa.Connection, now: datetime.datetime, instance: sa.Row[Any], actor: events.Actor) -> None:
    """The instance is gone: its key does not work any more, and what it had open ends."""
    _require_removable(tx, instance)
    for row in work_requests.open_requests(tx, schema.work_requests.c.managed_instance_id == instance.id):
        if row.operation_type == OPERATION:
            work_requests.move(tx, now, row, Status.SUCCEEDED)
        else:
            work_requests.fail(tx, now, row, "InstanceUnregistered", "The instance was unregistered.")
    tx.execute(schema.principals.delete().where(schema.principals.c.id == instance.id))
    tx.execute(schema.managed_instances.delete().where(schema.managed_instances.c.id == instance.id))
    events.record(
        tx,
        now,
        events.EventKind.MACHINE_LEFT,
        events.Subject(instance.id, instance.display_name, instance.compartment_id),
        f"{instance.display_name} was unregistered.",
        actor=actor,
    )


def _require_removable(tx: sa.Connection, instance: sa.Row[Any]) -> None:
    table = schema.stations.c
    name = tx.execute(sa.select(table.display_name).where(table.managed_instance_id == instance.id)).scalar()
    if name is not None:
        raise errors.ConflictError(
            f"{instance.display_name} is the host of the management station {name}.",
            hint="Delete the station first.",
        )
