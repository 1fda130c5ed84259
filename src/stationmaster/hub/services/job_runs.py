"""Carries out scheduled jobs: when they are due, and when somebody says now. Each run is a work request."""

from __future__ import annotations

import datetime
import functools
import logging
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context, logs
from stationmaster.hub.db import schema
from stationmaster.hub.services import events, jobs, mirror_lists, package_jobs, stations, syncs
from stationmaster.model import errors, schedule


def run_due(hub: context.Hub, now: datetime.datetime) -> None:
    """All jobs whose time has come, each in a transaction of its own."""
    table = schema.scheduled_jobs
    is_due = sa.and_(table.c.lifecycle_state == "ACTIVE", table.c.time_next_execution <= now)
    with hub.store.read() as tx:
        rows = tx.execute(sa.select(table).where(is_due).order_by(table.c.time_next_execution)).all()
    for row in rows:
        try:
            hub.store.transact(functools.partial(_run_due, now=now, row=row))
        except errors.StationmasterError as exc:
            # The job waits for its next time; the reason is where its owner looks.
            hub.store.transact(functools.partial(_skip, now=now, row=row, exc=exc))
            logs.write("scheduled job not run", level=logging.WARNING, job=row.id, reason=str(exc), action="next time")


def run_now(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any) -> str:
    """Run a recurring job at once (OSMH 93); its next time stays. The id of the work request."""
    if row.schedule_type != "RECURRING":
        raise errors.ConflictError(
            f"{row.display_name} is no recurring job, so it cannot be run out of turn.",
            hint="Set its timeNextExecution instead.",
        )
    request_id = _execute(tx, now, actor, row)
    table = schema.scheduled_jobs
    tx.execute(table.update().where(table.c.id == row.id).values(time_last_execution=now))
    _tell(tx, now, actor, row, f"{row.display_name} was run out of turn.", request_id)
    return request_id


def _run_due(tx: sa.Connection, now: datetime.datetime, row: Any) -> None:
    if not _take(tx, now, row):
        return
    request_id = _execute(tx, now, events.Actor(), row)
    _tell(tx, now, events.Actor(), row, f"{row.display_name} was run as scheduled.", request_id)


def _skip(tx: sa.Connection, now: datetime.datetime, row: Any, exc: errors.StationmasterError) -> None:
    if _take(tx, now, row):
        _tell(tx, now, events.Actor(), row, f"{row.display_name} could not be run: {exc}", None)


def _take(tx: sa.Connection, now: datetime.datetime, row: Any) -> bool:
    """Set the job's next time; False when another hub replica did."""
    values: dict[str, Any] = {"time_last_execution": now, "lifecycle_state": "INACTIVE"}
    if row.schedule_type == "RECURRING" and row.recurring_rule:
        due = schedule.next_execution(row.recurring_rule, row.time_next_execution, now)
        values = {"time_last_execution": now, "time_next_execution": due}
    table = schema.scheduled_jobs
    still = sa.and_(table.c.id == row.id, table.c.time_next_execution == row.time_next_execution)
    done = tx.execute(table.update().where(still, table.c.lifecycle_state == "ACTIVE").values(values))
    return done.rowcount == 1


def _execute(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any) -> str:
    if row.operations[0]["operationType"] == jobs.SYNC_MIRRORS:
        return _sync(tx, now, actor, row)
    operations = [jobs.work_operation(one) for one in row.operations]
    return package_jobs.order(
        tx, now, actor, _targets(tx, row), operations, display_name=row.display_name, scheduled_job_id=row.id
    )


def _sync(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any) -> str:
    station = stations.find(tx, row.station_id)
    mirrored = mirror_lists.source_ids(tx, mirror_lists.members(tx, station.hostname, station.compartment_id))
    wanted = row.operations[0].get("softwareSourceIds") or mirrored
    chosen = [one for one in wanted if one in mirrored]
    if not chosen:
        raise errors.ConflictError(
            f"{station.display_name} mirrors nothing yet.",
            hint="It does once a profile or instance that refers to it has software sources.",
        )
    return syncs.open_sync(
        tx, now, station, chosen, scheduled_job_id=row.id, initiator_id=actor.principal_id, time_scheduled=now
    )


def _targets(tx: sa.Connection, row: Any) -> Sequence[Any]:
    table = schema.managed_instances
    wanted = table.c.id.in_(row.managed_instance_ids)
    if row.managed_compartment_ids:
        wanted = table.c.compartment_id.in_(_compartments(tx, row))
    usable = sa.and_(table.c.lifecycle_state != "DELETING", table.c.is_management_station.is_(False))
    return tx.execute(sa.select(table).where(wanted, usable).order_by(table.c.id)).all()


def _compartments(tx: sa.Connection, row: Any) -> list[str]:
    """The named ones, and those below them when the job says so."""
    found, table = list(row.managed_compartment_ids), schema.compartments.c
    if row.is_subcompartment_included:
        for one in found:  # grows while it is walked: a breadth-first walk down the tree
            found.extend(tx.execute(sa.select(table.id).where(table.parent_id == one)).scalars())
    return found


def _tell(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, message: str, request_id: str | None
) -> None:
    subject = events.Subject(row.id, row.display_name, row.compartment_id)
    data = {"workRequestId": request_id}
    events.record(tx, now, events.EventKind.SCHEDULED_JOB_RUN, subject, message, actor=actor, data=data)
