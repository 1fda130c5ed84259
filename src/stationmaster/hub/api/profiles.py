"""Operations on profiles of the types SOFTWARESOURCE and STATION."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api import consequences, paging
from stationmaster.hub.api.call import Answer, Call, empty, etag_of, resource
from stationmaster.hub.api.routes import OSMH, Route
from stationmaster.hub.api.wire import base, sources
from stationmaster.hub.api.wire import profiles as wire
from stationmaster.hub.db import schema
from stationmaster.hub.services import profile_views, profiles, software_sources


def create_profile(call: Call, tx: sa.Connection) -> Answer:
    """CreateProfile."""
    return _shown(tx, profiles.create(tx, call.now, call.actor, call.body(wire.CreateProfileDetails)))


def get_profile(call: Call, tx: sa.Connection) -> Answer:
    """GetProfile."""
    return _shown(tx, profiles.find(tx, call.path["profileId"]))


def get_version(call: Call, tx: sa.Connection) -> Answer:
    """GetProfileVersion."""
    row = profiles.find(tx, call.path["profileId"])
    version = profile_views.find_version(tx, row.id, call.path["profileVersion"])
    return resource(version, etag_of(f"{row.id}/version", int(version.profile_version)))


def list_profiles(call: Call, tx: sa.Connection) -> Answer:
    """ListProfiles."""
    table = schema.profiles.c
    page = paging.select_page(
        call,
        tx,
        _selected(call.query(wire.ProfilesQuery)),
        columns={"timeCreated": table.time_created, "displayName": table.display_name},
        id_column=table.id,
        is_counted=True,
    )
    return page.answer(wire.ProfileCollection(items=[profile_views.summary(row) for row in page.items]))


def update_profile(call: Call, tx: sa.Connection) -> Answer:
    """UpdateProfile."""
    row = _matching(call, tx)
    return _shown(tx, profiles.update(tx, call.now, call.actor, row, call.body(wire.UpdateProfileDetails)))


def delete_profile(call: Call, tx: sa.Connection) -> Answer:
    """DeleteProfile."""
    profiles.delete(tx, call.now, call.actor, _matching(call, tx))
    return empty()


def change_compartment(call: Call, tx: sa.Connection) -> Answer:
    """ChangeProfileCompartment."""
    wanted = call.body(wire.ChangeProfileCompartmentDetails).compartment_id
    profiles.move(tx, call.now, call.actor, _matching(call, tx), wanted)
    return empty(200)


def attach_station(call: Call, tx: sa.Connection) -> Answer:
    """AttachManagementStationToProfile."""
    station_id = call.body(wire.StationOfProfileDetails).management_station_id
    profiles.attach_station(tx, call.now, call.actor, _matching(call, tx), station_id)
    return empty(200)


def detach_station(call: Call, tx: sa.Connection) -> Answer:
    """DetachManagementStationFromProfile."""
    station_id = call.body(wire.StationOfProfileDetails).management_station_id
    profiles.detach_station(tx, call.now, call.actor, _matching(call, tx), station_id)
    return empty(200)


def attach_sources(call: Call, tx: sa.Connection) -> Answer:
    """AttachSoftwareSourcesToProfile."""
    wanted = call.body(wire.SoftwareSourcesOfProfileDetails).software_sources
    profiles.attach_sources(tx, call.now, call.actor, _matching(call, tx), wanted)
    return empty(200)


def detach_sources(call: Call, tx: sa.Connection) -> Answer:
    """DetachSoftwareSourcesFromProfile."""
    wanted = call.body(wire.SoftwareSourcesOfProfileDetails).software_sources
    profiles.detach_sources(tx, call.now, call.actor, _matching(call, tx), wanted)
    return empty(200)


def list_available_sources(call: Call, tx: sa.Connection) -> Answer:
    """ListProfileAvailableSoftwareSources: those that fit and are not attached."""
    row, query = profiles.find(tx, call.path["profileId"]), call.query(sources.AvailableSourcesQuery)
    table, links = schema.software_sources, schema.profile_sources.c
    fits = software_sources.fitting(base.OsFamily(row.os_family), base.ArchType(row.arch_type))
    taken = sa.select(links.source_id).where(links.profile_id == row.id)
    statement = sa.select(table).where(fits, table.c.id.not_in(taken))
    if query.compartment_id:
        statement = statement.where(table.c.compartment_id == query.compartment_id)
    if query.display_name:
        statement = statement.where(table.c.display_name.in_(query.display_name))
    if query.display_name_contains:
        statement = statement.where(table.c.display_name.icontains(query.display_name_contains, autoescape=True))
    columns = {"timeCreated": table.c.time_created, "displayName": table.c.display_name}
    page = paging.select_page(call, tx, statement, columns=columns, id_column=table.c.id)
    items = [
        sources.AvailableSoftwareSourceSummary(
            id=one.id,
            compartment_id=one.compartment_id,
            display_name=one.display_name,
            software_source_type=one.software_source_type,
            description=one.description,
        )
        for one in page.items
    ]
    return page.answer(sources.AvailableSoftwareSourceCollection(items=items))


def _shown(tx: sa.Connection, row: Any) -> Answer:
    return resource(profile_views.full(tx, row), etag_of(row.id, row.revision))


def _matching(call: Call, tx: sa.Connection) -> Any:
    row = profiles.find(tx, call.path["profileId"])
    call.require_match(etag_of(row.id, row.revision))
    return row


def _selected(query: wire.ProfilesQuery) -> sa.Select[Any]:
    table = schema.profiles.c
    equal: list[tuple[sa.ColumnElement[Any], Any]] = [
        (table.compartment_id, query.compartment_id),
        (table.id, query.profile_id),
        (table.os_family, query.os_family),
        (table.arch_type, query.arch_type),
        (table.is_default_profile, query.is_default_profile),
        (table.is_service_provided_profile, query.is_service_provided_profile),
        (sa.cast(table.profile_version, sa.String), query.profile_version),
        (table.vendor_name, query.vendor_name),
        (table.lifecycle_state, query.lifecycle_state),
    ]
    one_of: list[tuple[sa.ColumnElement[Any], list[Any]]] = [
        (table.display_name, list(query.display_name)),
        (table.profile_type, list(query.profile_type)),
        (table.registration_type, list(query.registration_type)),
        (table.management_station_id, list(query.management_station)),
    ]
    statement = sa.select(schema.profiles)
    conditions = [column == value for column, value in equal if value is not None]
    conditions += [column.in_(values) for column, values in one_of if values]
    if query.display_name_contains:
        conditions.append(table.display_name.icontains(query.display_name_contains, autoescape=True))
    if query.management_station_not_equal_to:
        unlike = table.management_station_id.not_in(query.management_station_not_equal_to)
        conditions.append(sa.or_(table.management_station_id.is_(None), unlike))
    return statement.where(*conditions)


_ALL = f"{OSMH}/profiles"
_ONE = f"{_ALL}/{{profileId}}"
_STATION, _SOURCES = wire.StationOfProfileDetails, wire.SoftwareSourcesOfProfileDetails
_MOVE = wire.ChangeProfileCompartmentDetails
ROUTES = (
    Route(method="POST", path=_ALL, handler=create_profile, body=wire.CreateAny),
    Route(method="GET", path=_ALL, handler=list_profiles, query=wire.ProfilesQuery),
    Route(method="GET", path=_ONE, handler=get_profile),
    Route(method="PUT", path=_ONE, handler=update_profile, body=wire.UpdateProfileDetails),
    *consequences.weighed(
        Route(method="DELETE", path=_ONE, handler=delete_profile),
        Route(method="POST", path=f"{_ONE}/actions/attachManagementStation", handler=attach_station, body=_STATION),
        Route(method="POST", path=f"{_ONE}/actions/detachManagementStation", handler=detach_station, body=_STATION),
        Route(method="POST", path=f"{_ONE}/actions/detachSoftwareSources", handler=detach_sources, body=_SOURCES),
    ),
    Route(method="POST", path=f"{_ONE}/actions/changeCompartment", handler=change_compartment, body=_MOVE),
    Route(method="POST", path=f"{_ONE}/actions/attachSoftwareSources", handler=attach_sources, body=_SOURCES),
    Route(
        method="GET",
        path=f"{_ONE}/availableSoftwareSources",
        handler=list_available_sources,
        query=sources.AvailableSourcesQuery,
    ),
    Route(method="GET", path=f"{_ONE}/version/{{profileVersion}}", handler=get_version),
)
