"""Operations on scheduled jobs."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from stationmaster.hub.api import paging
from stationmaster.hub.api.call import Answer, Call, empty, etag_of, resource
from stationmaster.hub.api.routes import OSMH, Route
from stationmaster.hub.api.wire import work as wire
from stationmaster.hub.api.wire.base import kept_tags, moment, moment_or_none, shown_tags
from stationmaster.hub.api.wire.instances import Collection
from stationmaster.hub.db import schema
from stationmaster.hub.services import compartments, events, job_runs, jobs, managed_instances
from stationmaster.model import errors, moments

_UNKNOWN_TARGETS = ("managed_instance_group_ids", "lifecycle_stage_ids", "dynamic_set_ids")


def create_job(call: Call, tx: sa.Connection) -> Answer:
    """CreateScheduledJob."""
    details = call.body(wire.CreateScheduledJobDetails)
    compartments.find(tx, details.compartment_id)
    operations = [_stored(one) for one in details.operations]
    jobs.require_operations(operations)
    first = moments.as_utc(details.time_next_execution)
    jobs.require_schedule(details.schedule_type, details.recurring_rule, first)
    _require_targets(tx, details)
    job_id = jobs.insert_job(
        tx,
        call.now,
        compartment_id=details.compartment_id,
        display_name=details.display_name or f"{operations[0]['operationType']} {call.now:%Y-%m-%d}",
        description=details.description,
        schedule_type=details.schedule_type,
        recurring_rule=details.recurring_rule,
        locations=[one.value for one in details.locations or []],
        managed_instance_ids=details.managed_instance_ids or [],
        managed_compartment_ids=details.managed_compartment_ids or [],
        is_subcompartment_included=bool(details.is_subcompartment_included),
        operations=operations,
        retry_intervals=details.retry_intervals or [],
        time_next_execution=first,
        freeform_tags=details.freeform_tags or {},
        defined_tags=kept_tags(details.defined_tags),
        created_by=call.principal.id,
    )
    row = jobs.find(tx, job_id)
    jobs.tell(tx, call.now, call.actor, row, events.EventKind.SCHEDULED_JOB_CREATED, "was created")
    answer = _answer(tx, row)
    return Answer(answer.status, answer.body, {**answer.headers, "location": f"{OSMH}/scheduledJobs/{job_id}"})


def get_job(call: Call, tx: sa.Connection) -> Answer:
    """GetScheduledJob."""
    return _answer(tx, jobs.find(tx, call.path["scheduledJobId"]))


def list_jobs(call: Call, tx: sa.Connection) -> Answer:
    """ListScheduledJobs. What jobs hold as lists is looked through here, before paging."""
    query = call.query(wire.ScheduledJobsQuery)
    rows = [row for row in tx.execute(_selected(query)).all() if _fits(row, query)]
    page = paging.slice_page(
        call,
        rows,
        keys={"timeCreated": lambda row: row.time_created, "displayName": lambda row: row.display_name},
        item_id=lambda row: str(row.id),
    )
    return page.answer(Collection(items=[_shown(row, []) for row in page.items]))


def update_job(call: Call, tx: sa.Connection) -> Answer:
    """UpdateScheduledJob."""
    row = _matching(call, tx)
    details = call.body(wire.UpdateScheduledJobDetails)
    given = {name: value for name, value in msgspec.structs.asdict(details).items() if value is not None}
    if details.time_next_execution is not None:
        given["time_next_execution"] = moments.as_utc(details.time_next_execution)
    if details.operations is not None:
        given["operations"] = [_stored(one) for one in details.operations]
        if not row.is_restricted:
            jobs.require_operations(given["operations"])
    if details.defined_tags is not None:
        given["defined_tags"] = kept_tags(details.defined_tags)
    return _answer(tx, jobs.update(tx, call.now, call.actor, row, given))


def delete_job(call: Call, tx: sa.Connection) -> Answer:
    """DeleteScheduledJob."""
    jobs.delete(tx, call.now, call.actor, _matching(call, tx))
    return empty()


def run_job_now(call: Call, tx: sa.Connection) -> Answer:
    """RunScheduledJobNow: the answer names no work request (OSMH 93); the job does."""
    job_runs.run_now(tx, call.now, call.actor, _matching(call, tx))
    return empty(200)


def _require_targets(tx: sa.Connection, details: wire.CreateScheduledJobDetails) -> None:
    for name in _UNKNOWN_TARGETS:
        if getattr(details, name):
            field = msgspec.structs.fields(wire.CreateScheduledJobDetails)
            shown = next(one.encode_name for one in field if one.name == name)
            raise errors.CallerError(
                f"{shown}: this hub knows no such targets.", hint="Name instances or compartments."
            )
    instances, places = details.managed_instance_ids or [], details.managed_compartment_ids or []
    if bool(instances) == bool(places):
        raise errors.CallerError(
            "A job has exactly one kind of target.", hint="Give managedInstanceIds or managedCompartmentIds."
        )
    for one in instances:
        managed_instances.find(tx, one, field="managedInstanceIds")
    for one in places:
        compartments.find(tx, one, field="managedCompartmentIds")


def _stored(operation: wire.Operation) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(operation)
    return {name: value for name, value in plain.items() if value is not None}


def _matching(call: Call, tx: sa.Connection) -> Any:
    row = jobs.find(tx, call.path["scheduledJobId"])
    call.require_match(etag_of(row.id, row.revision))
    return row


def _answer(tx: sa.Connection, row: Any) -> Answer:
    table = schema.work_requests.c
    query = sa.select(table.id).where(table.scheduled_job_id == row.id, table.parent_id.is_(None))
    requests = tx.execute(query.order_by(table.time_created, table.id)).scalars().all()
    return resource(_shown(row, list(requests)), etag_of(row.id, row.revision))


def _shown(row: Any, work_request_ids: list[str]) -> wire.ScheduledJob:
    return wire.ScheduledJob(
        id=row.id,
        display_name=row.display_name,
        compartment_id=row.compartment_id,
        description=row.description,
        schedule_type=row.schedule_type,
        locations=row.locations,
        time_next_execution=moment_or_none(row.time_next_execution),
        time_last_execution=moment_or_none(row.time_last_execution),
        recurring_rule=row.recurring_rule,
        managed_instance_ids=row.managed_instance_ids,
        managed_instance_group_ids=row.managed_instance_group_ids,
        managed_compartment_ids=row.managed_compartment_ids,
        lifecycle_stage_ids=row.lifecycle_stage_ids,
        dynamic_set_ids=row.dynamic_set_ids,
        is_subcompartment_included=row.is_subcompartment_included,
        operations=row.operations,
        work_request_ids=work_request_ids,
        time_created=moment(row.time_created),
        time_updated=moment(row.time_updated),
        lifecycle_state=row.lifecycle_state,
        is_managed_by_autonomous_linux=False,
        freeform_tags=row.freeform_tags,
        defined_tags=shown_tags(row.defined_tags, row.created_by, row.time_created),
        system_tags={},
        is_restricted=row.is_restricted,
        retry_intervals=row.retry_intervals,
        work_request_id=None,
    )


def _selected(query: wire.ScheduledJobsQuery) -> sa.Select[Any]:
    columns = schema.scheduled_jobs.c
    equal = {
        columns.compartment_id: query.compartment_id,
        columns.display_name: query.display_name,
        columns.lifecycle_state: query.lifecycle_state,
        columns.schedule_type: query.schedule_type,
        columns.is_restricted: query.is_restricted,
        columns.id: query.id,
    }
    conditions: list[sa.ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if query.display_name_contains:
        conditions.append(columns.display_name.icontains(query.display_name_contains, autoescape=True))
    if query.time_start is not None:
        conditions.append(columns.time_next_execution >= moments.as_utc(query.time_start))
    if query.time_end is not None:
        conditions.append(columns.time_next_execution <= moments.as_utc(query.time_end))
    absent = (query.managed_instance_group_id, query.lifecycle_stage_id, query.dynamic_set_id)
    if any(absent) or query.is_managed_by_autonomous_linux:
        conditions.append(sa.false())
    return sa.select(schema.scheduled_jobs).where(*conditions)


def _fits(row: Any, query: wire.ScheduledJobsQuery) -> bool:
    wanted = (
        (query.managed_instance_id, row.managed_instance_ids),
        (query.managed_compartment_id, row.managed_compartment_ids),
        (query.operation_type, [one["operationType"] for one in row.operations]),
    )
    return (
        all(value is None or value in held for value, held in wanted)
        and (not query.location or bool({*query.location} & {*row.locations}))
        and not {*query.location_not_equal_to} & {*row.locations}
    )


_ALL = f"{OSMH}/scheduledJobs"
_ONE = f"{_ALL}/{{scheduledJobId}}"
ROUTES: tuple[Route, ...] = (
    Route(method="POST", path=_ALL, handler=create_job, body=wire.CreateScheduledJobDetails),
    Route(method="GET", path=_ALL, handler=list_jobs, query=wire.ScheduledJobsQuery),
    Route(method="GET", path=_ONE, handler=get_job),
    Route(method="PUT", path=_ONE, handler=update_job, body=wire.UpdateScheduledJobDetails),
    Route(method="DELETE", path=_ONE, handler=delete_job),
    Route(method="POST", path=f"{_ONE}/actions/runNow", handler=run_job_now),
)
