"""Operations on managed instances; those on their packages are in `instance_packages`."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from stationmaster.hub.api import consequences, instance_packages, paging
from stationmaster.hub.api.call import Answer, Call, accepted, empty, etag_of, resource
from stationmaster.hub.api.routes import OSMH, Route
from stationmaster.hub.api.wire import instances as wire
from stationmaster.hub.api.wire.base import moment, moment_or_none
from stationmaster.hub.api.wire.sources import SoftwareSourceDetails
from stationmaster.hub.db import schema
from stationmaster.hub.services import instance_profiles, leaving, managed_instances, software_sources, stations

_COLUMNS = {
    "description": "description",
    "primary_management_station_id": "primary_station_id",
    "secondary_management_station_id": "secondary_station_id",
    "notification_topic_id": "notification_topic_id",
}


def get_instance(call: Call, tx: sa.Connection) -> Answer:
    """GetManagedInstance."""
    return _shown(call, tx, managed_instances.find(tx, call.path["managedInstanceId"]))


def list_instances(call: Call, tx: sa.Connection) -> Answer:
    """ListManagedInstances. The status is computed, so that filter is applied before paging, on all that is left."""
    query = call.query(wire.InstancesQuery)
    rows = tx.execute(_selected(query)).all()
    if query.status:
        rows = [row for row in rows if managed_instances.status_of(call.hub, call.now, row) in query.status]
    page = paging.slice_page(
        call,
        rows,
        keys={"timeCreated": lambda row: row.time_created, "displayName": lambda row: row.display_name},
        item_id=lambda row: str(row.id),
    )
    answer = page.answer(wire.Collection(items=[_summary(call, row) for row in page.items]))
    return Answer(answer.status, answer.body, {**answer.headers, "opc-total-items": str(len(rows))})


def update_instance(call: Call, tx: sa.Connection) -> Answer:
    """UpdateManagedInstance."""
    row = _matching(call, tx)
    details = msgspec.structs.asdict(call.body(wire.UpdateManagedInstanceDetails))
    changes = {column: details[field] for field, column in _COLUMNS.items() if details[field] is not None}
    return _shown(call, tx, managed_instances.update(tx, call.now, call.actor, row, changes))


def delete_instance(call: Call, tx: sa.Connection) -> Answer:
    """DeleteManagedInstance."""
    return accepted(leaving.begin(tx, call.now, call.hub, _matching(call, tx), call.actor))


def associate(call: Call, tx: sa.Connection) -> Answer:
    """AssociateManagedInstancesWithManagementStation."""
    station = stations.find(tx, call.path["managementStationId"])
    call.require_match(etag_of(station.id, station.revision))
    wanted = call.body(wire.AssociateDetails).managed_instances
    return accepted(managed_instances.associate(tx, call.now, call.actor, station, wanted))


def attach_profile(call: Call, tx: sa.Connection) -> Answer:
    """AttachProfileToManagedInstance."""
    wanted = call.body(wire.ProfileDetails).profile_id
    instance_profiles.attach(tx, call.now, call.actor, _matching(call, tx), wanted)
    return empty(200)


def detach_profile(call: Call, tx: sa.Connection) -> Answer:
    """DetachProfileFromManagedInstance."""
    instance_profiles.detach(tx, call.now, call.actor, _matching(call, tx))
    return empty(200)


def attach_sources(call: Call, tx: sa.Connection) -> Answer:
    """AttachSoftwareSourcesToManagedInstance."""
    row = _matching(call, tx)
    ids = call.body(wire.SourcesDetails).software_sources
    sources = [software_sources.find(tx, one) for one in dict.fromkeys(ids)]
    return accepted(managed_instances.attach_sources(tx, call.now, call.actor, row, sources))


def detach_sources(call: Call, tx: sa.Connection) -> Answer:
    """DetachSoftwareSourcesFromManagedInstance."""
    ids = call.body(wire.SourcesDetails).software_sources
    return accepted(managed_instances.detach_sources(tx, call.now, call.actor, _matching(call, tx), ids))


def shown_source(row: Any) -> SoftwareSourceDetails:
    """A source as an instance names it."""
    return SoftwareSourceDetails(
        id=row.id,
        display_name=row.display_name,
        description=row.description,
        software_source_type=row.software_source_type,
    )


def _matching(call: Call, tx: sa.Connection) -> Any:
    row = managed_instances.find(tx, call.path["managedInstanceId"])
    call.require_match(etag_of(row.id, row.revision))
    return row


def _summary(call: Call, row: Any) -> wire.ManagedInstanceSummary:
    return wire.ManagedInstanceSummary(**_common(call, row))


def _common(call: Call, row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "display_name": row.display_name,
        "description": row.description,
        "tenancy_id": call.hub.tenancy_id,
        "compartment_id": row.compartment_id,
        "location": row.location,
        "architecture": row.architecture,
        "os_family": row.os_family,
        "status": managed_instances.status_of(call.hub, call.now, row).value,
        "managed_instance_group": None,
        "lifecycle_environment": None,
        "lifecycle_stage": None,
        "is_reboot_required": row.is_reboot_required,
        "updates_available": row.updates_available,
        "is_management_station": row.is_management_station,
        "notification_topic_id": row.notification_topic_id,
        "autonomous_settings": None,
        "is_managed_by_autonomous_linux": False,
        "agent_version": row.agent_version,
        "time_last_boot": moment_or_none(row.time_last_boot),
    }


def _shown(call: Call, tx: sa.Connection, row: Any) -> Answer:
    work_count, job_count = managed_instances.counts(tx, row.id)
    body = wire.ManagedInstance(
        **_common(call, row),
        time_last_checkin=moment_or_none(row.time_last_checkin),
        os_name=row.os_name,
        os_version=row.os_version,
        os_kernel_version=row.os_kernel_version,
        ksplice_effective_kernel_version=None,
        profile=row.profile_id,
        profile_version=str(row.profile_version) if row.profile_version is not None else None,
        primary_management_station_id=row.primary_station_id,
        secondary_management_station_id=row.secondary_station_id,
        software_sources=[shown_source(one) for one in managed_instances.attached_sources(tx, row.id)],
        installed_packages=row.installed_packages,
        installed_windows_updates=0,
        security_updates_available=0,
        bug_updates_available=0,
        enhancement_updates_available=0,
        other_updates_available=row.updates_available,
        scheduled_job_count=job_count,
        work_request_count=work_count,
        time_created=moment(row.time_created),
        time_updated=moment(row.time_updated),
        are_sources_managed=row.are_sources_managed,
        time_last_software_refresh=moment_or_none(row.time_last_software_refresh),
    )
    return resource(body, etag_of(row.id, row.revision))


def _selected(query: wire.InstancesQuery) -> sa.Select[Any]:
    table = schema.managed_instances
    columns = table.c
    conditions: list[sa.ColumnElement[bool]] = []
    equal = {
        columns.compartment_id: query.compartment_id,
        columns.id: query.managed_instance_id,
        columns.is_management_station: query.is_management_station,
        columns.agent_version: query.agent_version,
        columns.is_reboot_required: query.is_reboot_required,
    }
    conditions += [column == value for column, value in equal.items() if value is not None]
    among: list[tuple[sa.ColumnElement[Any], list[Any]]] = [
        (columns.display_name, query.display_name),
        (columns.architecture, query.arch_type),
        (columns.os_family, query.os_family),
        (columns.location, query.location),
        (columns.profile_id, query.profile),
        (columns.primary_station_id, query.management_station),
    ]
    conditions += [column.in_(values) for column, values in among if values]
    unlike: list[tuple[sa.ColumnElement[Any], list[Any]]] = [
        (columns.location, list(query.location_not_equal_to)),
        (columns.profile_id, query.profile_not_equal_to),
        (columns.primary_station_id, query.management_station_not_equal_to),
    ]
    conditions += [sa.or_(column.is_(None), column.not_in(values)) for column, values in unlike if values]
    if query.display_name_contains:
        conditions.append(columns.display_name.icontains(query.display_name_contains, autoescape=True))
    if query.is_profile_attached is not None:
        conditions.append(columns.profile_id.is_not(None) == query.is_profile_attached)
    if query.software_source_id is not None:
        attached = schema.instance_sources.c
        having = sa.select(attached.managed_instance_id).where(attached.source_id == query.software_source_id)
        conditions.append(columns.id.in_(having))
    # Groups, stages, advisories and Autonomous Linux do not exist here yet: what demands one matches nothing.
    absent = (
        query.group,
        query.lifecycle_stage,
        query.lifecycle_environment,
        query.is_attached_to_group_or_lifecycle_stage,
        query.is_managed_by_autonomous_linux,
        query.advisory_name,
    )
    if any(absent):
        conditions.append(sa.false())
    return sa.select(table).where(*conditions)


_ALL = f"{OSMH}/managedInstances"
_ONE = f"{_ALL}/{{managedInstanceId}}"
_ASSOCIATE = f"{OSMH}/managementStations/{{managementStationId}}/actions/associateManagedInstances"
ROUTES: tuple[Route, ...] = (
    Route(method="GET", path=_ALL, handler=list_instances, query=wire.InstancesQuery),
    Route(method="GET", path=_ONE, handler=get_instance),
    *consequences.weighed(
        Route(method="PUT", path=_ONE, handler=update_instance, body=wire.UpdateManagedInstanceDetails),
        Route(
            method="POST",
            path=f"{_ONE}/actions/detachSoftwareSources",
            handler=detach_sources,
            body=wire.SourcesDetails,
        ),
        Route(method="POST", path=f"{_ONE}/actions/detachProfile", handler=detach_profile),
    ),
    Route(method="DELETE", path=_ONE, handler=delete_instance),
    Route(method="POST", path=_ASSOCIATE, handler=associate, body=wire.AssociateDetails),
    Route(
        method="POST", path=f"{_ONE}/actions/attachSoftwareSources", handler=attach_sources, body=wire.SourcesDetails
    ),
    Route(method="POST", path=f"{_ONE}/actions/attachProfile", handler=attach_profile, body=wire.ProfileDetails),
    *instance_packages.ROUTES,
)
