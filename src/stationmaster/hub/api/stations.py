"""Operations on management stations: the ten of the OSMH API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api import consequences, paging
from stationmaster.hub.api.call import Answer, Call, accepted, empty, etag_of, resource
from stationmaster.hub.api.routes import OSMH, Route
from stationmaster.hub.api.wire import stations as wire
from stationmaster.hub.db import schema
from stationmaster.hub.services import departures, station_views, station_work, stations
from stationmaster.model import addresses


def create_station(call: Call, tx: sa.Connection) -> Answer:
    """CreateManagementStation."""
    details = call.body(wire.CreateManagementStationDetails)
    row = stations.create(tx, call.now, call.actor, details, call.prepared)
    return _shown(call, tx, row)


def get_station(call: Call, tx: sa.Connection) -> Answer:
    """GetManagementStation."""
    return _shown(call, tx, stations.find(tx, call.path["managementStationId"]))


def list_stations(call: Call, tx: sa.Connection) -> Answer:
    """ListManagementStations. Health is computed, so that filter is applied before paging, on all that is left."""
    query = call.query(wire.StationsQuery)
    views = _views(call, tx)
    rows = tx.execute(_selected(query)).all()
    if query.health_state is not None:
        rows = [row for row in rows if views.state(row).health_state == query.health_state]
    page = paging.slice_page(
        call,
        rows,
        keys={"timeCreated": lambda row: row.time_created, "displayName": lambda row: row.display_name},
        item_id=lambda row: str(row.id),
    )
    return page.answer(wire.ManagementStationCollection(items=[views.summary(row) for row in page.items]))


def update_station(call: Call, tx: sa.Connection) -> Answer:
    """UpdateManagementStation."""
    row = _matching(call, tx)
    details = call.body(wire.UpdateManagementStationDetails)
    if details.hostname is not None and addresses.canonical_host(details.hostname) != row.hostname_key:
        departures.warn(tx, call.now, call.actor, call.hub, row)
    return _shown(call, tx, stations.update(tx, call.now, call.actor, row, details, call.prepared))


def delete_station(call: Call, tx: sa.Connection) -> Answer:
    """DeleteManagementStation: DELETING first, while its peers lack what only it holds."""
    departures.delete(tx, call.now, call.actor, call.hub, _matching(call, tx))
    return empty()


def change_compartment(call: Call, tx: sa.Connection) -> Answer:
    """ChangeManagementStationCompartment."""
    details = call.body(wire.ChangeCompartmentDetails)
    row = _matching(call, tx)
    if details.compartment_id != row.compartment_id:
        departures.warn(tx, call.now, call.actor, call.hub, row)
    stations.move(tx, call.now, call.actor, row, details.compartment_id)
    return empty(200)


def refresh(call: Call, tx: sa.Connection) -> Answer:
    """RefreshManagementStationConfig."""
    return accepted(station_work.refresh(tx, call.now, call.actor, _matching(call, tx)))


def synchronize_mirrors(call: Call, tx: sa.Connection) -> Answer:
    """SynchronizeMirrors."""
    wanted = call.body(wire.SynchronizeMirrorsDetails).software_source_list
    return accepted(station_work.synchronize(tx, call.now, call.actor, _matching(call, tx), wanted))


def synchronize_single_mirror(call: Call, tx: sa.Connection) -> Answer:
    """SynchronizeSingleMirrors."""
    wanted = [call.path["mirrorId"]]
    return accepted(station_work.synchronize(tx, call.now, call.actor, _matching(call, tx), wanted))


def list_mirrors(call: Call, tx: sa.Connection) -> Answer:
    """ListMirrors."""
    query = call.query(wire.MirrorsQuery)
    row = stations.find(tx, call.path["managementStationId"])
    found = [
        (source, mirror)
        for source, mirror in _views(call, tx).mirrors(row)
        if (not query.mirror_states or mirror.state in query.mirror_states)
        and (query.display_name is None or source.display_name == query.display_name)
        and (query.display_name_contains or "").lower() in source.display_name.lower()
    ]
    page = paging.slice_page(
        call,
        found,
        keys={"timeCreated": lambda pair: pair[0].time_created, "displayName": lambda pair: pair[0].display_name},
        item_id=lambda pair: str(pair[0].id),
    )
    return page.answer(wire.MirrorsCollection(items=[mirror for _, mirror in page.items]))


def resolve_ranges(call: Call) -> Callable[[str], Sequence[str]]:
    """Host names among the permitted ranges, asked for before the transaction: a slow name service holds nobody up."""
    proxy = call.decoded_body.proxy
    entries = {entry.strip() for entry in (proxy.hosts or ())} if proxy else set()
    names = [entry for entry in entries if "/" not in entry and not addresses.is_address(entry)]
    found = {name: call.hub.resolve(name) for name in sorted(names)}
    return lambda name: found.get(name, ())


def _views(call: Call, tx: sa.Connection) -> station_views.Views:
    return station_views.Views(tx, call.now, call.hub.times.liveness)


def _shown(call: Call, tx: sa.Connection, row: Any) -> Answer:
    return resource(_views(call, tx).full(row), etag_of(row.id, row.revision))


def _matching(call: Call, tx: sa.Connection) -> Any:
    row = stations.find(tx, call.path["managementStationId"])
    call.require_match(etag_of(row.id, row.revision))
    return row


def _selected(query: wire.StationsQuery) -> sa.Select[Any]:
    table, jobs = schema.stations, schema.scheduled_jobs
    statement = sa.select(table, jobs.c.time_next_execution).outerjoin(jobs, jobs.c.id == table.c.scheduled_job_id)
    equal = {
        table.c.compartment_id: query.compartment_id,
        table.c.display_name: query.display_name,
        table.c.lifecycle_state: query.lifecycle_state,
        table.c.managed_instance_id: query.managed_instance_id,
        table.c.id: query.id,
    }
    for column, value in equal.items():
        if value is not None:
            statement = statement.where(column == value)
    if query.display_name_contains:
        statement = statement.where(table.c.display_name.icontains(query.display_name_contains, autoescape=True))
    if query.location:
        statement = statement.where(table.c.location.in_(query.location))
    if query.location_not_equal_to:
        unlike = table.c.location.not_in(query.location_not_equal_to)
        statement = statement.where(sa.or_(table.c.location.is_(None), unlike))
    return statement


_ALL = f"{OSMH}/managementStations"
_ONE = f"{_ALL}/{{managementStationId}}"
ROUTES = (
    *consequences.weighed(
        Route(
            method="POST",
            path=_ALL,
            handler=create_station,
            body=wire.CreateManagementStationDetails,
            prepare=resolve_ranges,
        ),
        Route(
            method="PUT",
            path=_ONE,
            handler=update_station,
            body=wire.UpdateManagementStationDetails,
            prepare=resolve_ranges,
        ),
        Route(method="DELETE", path=_ONE, handler=delete_station),
        Route(
            method="POST",
            path=f"{_ONE}/actions/changeCompartment",
            handler=change_compartment,
            body=wire.ChangeCompartmentDetails,
        ),
    ),
    Route(method="GET", path=_ALL, handler=list_stations, query=wire.StationsQuery),
    Route(method="GET", path=_ONE, handler=get_station),
    Route(method="POST", path=f"{_ONE}/actions/refresh", handler=refresh),
    Route(
        method="POST",
        path=f"{_ONE}/actions/synchronizeMirrors",
        handler=synchronize_mirrors,
        body=wire.SynchronizeMirrorsDetails,
    ),
    Route(method="GET", path=f"{_ONE}/mirrors", handler=list_mirrors, query=wire.MirrorsQuery),
    Route(method="POST", path=f"{_ONE}/mirrors/{{mirrorId}}/actions/synchronize", handler=synchronize_single_mirror),
)
