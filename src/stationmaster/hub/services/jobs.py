"""Scheduled jobs: made, changed, run. A restricted one belongs to its station and cannot be removed (OSMH 14, 15)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.services import events
from stationmaster.model import dispatch, errors, ocid, schedule

SYNC_MIRRORS = "SYNC_MANAGEMENT_STATION_MIRROR"
USUAL_SYNC_RULE = "FREQ=DAILY;INTERVAL=1"


def create_sync_job(tx: sa.Connection, now: datetime.datetime, station: sa.Row[Any], instance_id: str) -> str:
    """The recurring mirror sync of a station that has just registered; its id."""
    return insert_job(
        tx,
        now,
        compartment_id=station.compartment_id,
        display_name=f"Mirror sync of {station.display_name}"[:255],
        description="Made when the station registered; its time and rule can be changed.",
        schedule_type="RECURRING",
        recurring_rule=USUAL_SYNC_RULE,
        managed_instance_ids=[instance_id],
        operations=[{"operationType": SYNC_MIRRORS}],
        is_restricted=True,
        station_id=station.id,
        time_next_execution=now.replace(microsecond=0) + datetime.timedelta(days=1),
        created_by=events.HUB_ITSELF,
    )


def insert_job(tx: sa.Connection, now: datetime.datetime, **values: Any) -> str:
    """A new job row; what is not given has the usual value."""
    job_id = ocid.mint(ocid.Kind.SCHEDULED_JOB, events.region_of(values["compartment_id"]))
    usual: dict[str, Any] = {
        "id": job_id,
        "description": None,
        "recurring_rule": None,
        "locations": [],
        "managed_instance_ids": [],
        "managed_instance_group_ids": [],
        "managed_compartment_ids": [],
        "lifecycle_stage_ids": [],
        "dynamic_set_ids": [],
        "is_subcompartment_included": False,
        "retry_intervals": [],
        "is_restricted": False,
        "station_id": None,
        "lifecycle_state": "ACTIVE",
        "freeform_tags": {},
        "defined_tags": {},
        "time_created": now,
        "time_updated": now,
        "revision": 1,
    }
    tx.execute(schema.scheduled_jobs.insert().values(usual | values))
    return job_id


def find(tx: sa.Connection, job_id: str) -> Any:
    """The job; NotFoundError otherwise."""
    table = schema.scheduled_jobs
    row = tx.execute(sa.select(table).where(table.c.id == job_id)).one_or_none()
    if row is None:
        raise errors.NotFoundError(f"Unknown Scheduled Job {job_id}.")
    return row


def work_operation(operation: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    """An operation of a job as work requests call it, with its packages."""
    name = operation["operationType"]
    return (dispatch.UPDATE_ALL_PACKAGES if name == "UPDATE_ALL" else name), operation.get("packageNames") or []


def require_operations(operations: Sequence[Mapping[str, Any]]) -> None:
    """One operation, or several kinds of updates together (OSMH 92); only what agents here can do."""
    names = [operation["operationType"] for operation in operations]
    for name in names:
        if name not in _OPERATIONS:
            raise errors.CallerError(
                f"operations: {name} cannot be carried out by this hub.", hint=f"Use one of {', '.join(_OPERATIONS)}."
            )
    if len(names) > 1 and not all(name.startswith("UPDATE_") for name in names):
        raise errors.CallerError("operations has several entries, which only kinds of updates may.")
    for operation in operations:
        needs_names = operation["operationType"] in _WITH_PACKAGES
        if needs_names != bool(operation.get("packageNames")):
            wanted = "needs" if needs_names else "takes no"
            raise errors.CallerError(f"operations: {operation['operationType']} {wanted} packageNames.")


def update(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, changes: Mapping[str, Any]) -> Any:
    """Change columns; a restricted job keeps all but time, rule and tags (OSMH 15)."""
    if row.is_restricted:
        for column in changes:
            if column not in _FREE_WHEN_RESTRICTED:
                raise errors.ConflictError(
                    f"{row.display_name} is restricted: {column} cannot be changed.",
                    hint="Only timeNextExecution, recurringRule and tags can.",
                )
    rule = changes.get("recurring_rule", row.recurring_rule)
    kind = changes.get("schedule_type", row.schedule_type)
    require_schedule(kind, rule, changes.get("time_next_execution", row.time_next_execution))
    values = {**changes, "time_updated": now, "revision": row.revision + 1}
    if "time_next_execution" in changes:
        values["lifecycle_state"] = "ACTIVE"
    table = schema.scheduled_jobs
    tx.execute(table.update().where(table.c.id == row.id).values(values))
    tell(tx, now, actor, row, events.EventKind.SCHEDULED_JOB_UPDATED, "was updated")
    return find(tx, row.id)


def delete(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any) -> None:
    """Gone; a restricted one goes with its station only."""
    if row.is_restricted:
        raise errors.ConflictError(
            f"{row.display_name} belongs to its management station and cannot be deleted.",
            hint="Change its time and rule instead.",
        )
    tx.execute(schema.scheduled_jobs.delete().where(schema.scheduled_jobs.c.id == row.id))
    tell(tx, now, actor, row, events.EventKind.SCHEDULED_JOB_DELETED, "was deleted")


def require_schedule(kind: str, rule: str | None, first: datetime.datetime) -> None:
    """A recurring job has a rule that gives a time; another has none."""
    if kind == "RECURRING":
        if not rule:
            raise errors.CallerError("recurringRule is missing.", code="MissingParameter")
        schedule.next_execution(rule, first, first)
    elif rule:
        raise errors.CallerError("recurringRule belongs to jobs of scheduleType RECURRING.")


def tell(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, kind: events.EventKind, what: str
) -> None:
    """The event of a change."""
    subject = events.Subject(row.id, row.display_name, row.compartment_id)
    events.record(tx, now, kind, subject, f"{row.display_name} {what}.", actor=actor)


_FREE_WHEN_RESTRICTED = frozenset({"time_next_execution", "recurring_rule", "freeform_tags", "defined_tags"})
_WITH_PACKAGES = frozenset({"INSTALL_PACKAGES", "REMOVE_PACKAGES", "UPDATE_PACKAGES"})
_OPERATIONS = (
    "INSTALL_PACKAGES",
    "REMOVE_PACKAGES",
    "UPDATE_PACKAGES",
    "UPDATE_ALL",
    "UPDATE_SECURITY",
    "UPDATE_BUGFIX",
    "UPDATE_ENHANCEMENT",
    "UPDATE_OTHER",
)
