"""Managed instances: found, shown, re-pointed, given and denied sources. What happens on the machine is its agent's."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import events, stations, work_requests
from stationmaster.model import errors, instance_state, ocid
from stationmaster.model.work_request import Status

_SET_SOURCES = "SET_SOFTWARE_SOURCES"
_RE_POINT = "SYNC_AGENT_CONFIG"


def find(tx: sa.Connection, instance_id: str, *, field: str = "managedInstanceId") -> Any:
    """The instance; CallerError when the id is no OCID, NotFoundError when it is unknown."""
    ocid.require_ocid(instance_id, field=field)
    table = schema.managed_instances
    row = tx.execute(sa.select(table).where(table.c.id == instance_id)).one_or_none()
    if row is None:
        raise errors.NotFoundError(f"Unknown managed instance {instance_id}.")
    return row


def status_of(hub: context.Hub, now: datetime.datetime, row: Any) -> instance_state.InstanceStatus:
    """The shown status: a function of the stored times."""
    thresholds = instance_state.Thresholds(hub.times.instance_inactive, hub.times.instance_offline)
    is_leaving = row.lifecycle_state == "DELETING"
    return instance_state.instance_status(row.time_last_checkin, now, thresholds, is_leaving=is_leaving)


def attached_sources(tx: sa.Connection, instance_id: str) -> Sequence[Any]:
    """The sources of an instance, by name."""
    sources, attached = schema.software_sources, schema.instance_sources.c
    query = sa.select(sources).join(schema.instance_sources, attached.source_id == sources.c.id)
    query = query.where(attached.managed_instance_id == instance_id)
    return tx.execute(query.order_by(sources.c.display_name, sources.c.id)).all()


def counts(tx: sa.Connection, instance_id: str) -> tuple[int, int]:
    """How many work requests name the instance, and how many scheduled jobs."""
    requests, jobs = schema.work_requests, schema.scheduled_jobs
    work = sa.select(sa.func.count()).select_from(requests).where(requests.c.managed_instance_id == instance_id)
    named = sa.select(jobs.c.managed_instance_ids).where(jobs.c.lifecycle_state == "ACTIVE")
    planned = sum(instance_id in row.managed_instance_ids for row in tx.execute(named))
    return int(tx.execute(work).scalar_one()), planned


def update(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    row: Any,
    changes: Mapping[str, Any],
    *,
    what: str = "",
) -> Any:
    """Change columns; a station that is named must exist. What the machine does with it waits for its rehearsal."""
    for column, field in _STATION_FIELDS.items():
        if changes.get(column) is not None:
            stations.find(tx, changes[column], field=field)
    if row.is_management_station and any(column in changes for column in _STATION_FIELDS):
        raise errors.ConflictError(f"{row.display_name} is a management station itself and uses no other.")
    table = schema.managed_instances
    values = {**changes, "time_updated": now, "revision": row.revision + 1}
    tx.execute(table.update().where(table.c.id == row.id).values(values))
    fresh = find(tx, row.id)
    is_re_pointed = fresh.primary_station_id != row.primary_station_id
    kind = events.EventKind.INSTANCE_RE_POINTED if is_re_pointed else events.EventKind.INSTANCE_UPDATED
    moved = f"now uses station {fresh.primary_station_id}" if is_re_pointed else ""
    words = " and ".join(one for one in (moved, what) if one) or "was updated"
    subject = events.Subject(row.id, row.display_name, row.compartment_id)
    events.record(tx, now, kind, subject, f"{row.display_name} {words}.", actor=actor, data=dict(changes))
    return fresh


_STATION_FIELDS = {
    "primary_station_id": "primaryManagementStationId",
    "secondary_station_id": "secondaryManagementStationId",
}


def associate(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, station: Any, instance_ids: Iterable[str]
) -> str:
    """Point instances at a station (OSMH 68); the request ends with the change in the hub, the machines follow."""
    rows = [find(tx, one, field="managedInstances") for one in dict.fromkeys(instance_ids)]
    request_id = work_requests.open_request(
        tx,
        now,
        operation_type=_RE_POINT,
        compartment_id=station.compartment_id,
        display_name=f"Associate {len(rows)} instances with station {station.display_name}",
        instance_ids=[row.id for row in rows],
        metadata={"managementStationId": station.id},
        station_id=station.id,
        initiator_id=actor.principal_id,
    )
    for row in rows:
        update(tx, now, actor, row, {"primary_station_id": station.id})
        text = f"{row.display_name} is told at its next check-in; it goes on as before until it has rehearsed the move."
        work_requests.add_log(tx, now, request_id, text)
    work_requests.move(tx, now, work_requests.find(tx, request_id), Status.SUCCEEDED)
    return request_id


def attach_sources(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, sources: Sequence[Any]
) -> str:
    """Attach sources that fit; the request ends when the agent has written its repository files."""
    present = {source.id for source in attached_sources(tx, row.id)}
    for source in sources:
        if source.os_family not in {row.os_family, "ALL"} and row.os_family != "ALL":
            raise errors.ConflictError(
                f"The source {source.display_name} is for {source.os_family}, {row.display_name} is {row.os_family}."
            )
        if source.id not in present:
            tx.execute(
                schema.instance_sources.insert().values(
                    managed_instance_id=row.id, source_id=source.id, is_enabled=True, time_attached=now
                )
            )
    return _open_sources_request(tx, now, actor, row, f"Attach {len(sources)} software sources")


def detach_sources(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, source_ids: Iterable[str]
) -> str:
    """Detach sources; one that is not attached is refused by name."""
    wanted, present = list(dict.fromkeys(source_ids)), {source.id for source in attached_sources(tx, row.id)}
    for source_id in wanted:
        if source_id not in present:
            raise errors.NotFoundError(f"softwareSources: {source_id} is not attached to {row.display_name}.")
    table = schema.instance_sources
    tx.execute(table.delete().where(table.c.managed_instance_id == row.id, table.c.source_id.in_(wanted)))
    return _open_sources_request(tx, now, actor, row, f"Detach {len(wanted)} software sources")


def _open_sources_request(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, what: str) -> str:
    update(tx, now, actor, row, {})
    return work_requests.open_request(
        tx,
        now,
        operation_type=_SET_SOURCES,
        compartment_id=row.compartment_id,
        display_name=f"{what}: {row.display_name}",
        instance_ids=[row.id],
        initiator_id=actor.principal_id,
    )
