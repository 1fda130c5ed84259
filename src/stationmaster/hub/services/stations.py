"""Management stations: made, changed, moved, removed. Holds I2 and says what happens to groups (I1)."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api.wire import stations as wire
from stationmaster.hub.db import schema
from stationmaster.hub.services import (
    compartments,
    events,
    mirror_lists,
    own_profiles,
    partings,
    port_changes,
    references,
    station_config,
)
from stationmaster.model import errors, groups, ocid, ports


def find(tx: sa.Connection, station_id: str, *, field: str = "managementStationId") -> Any:
    """The station; CallerError when the id is no OCID, NotFoundError when it is unknown."""
    ocid.require_ocid(station_id, field=field)
    table = schema.stations
    row = tx.execute(sa.select(table).where(table.c.id == station_id)).one_or_none()
    if row is None:
        raise errors.NotFoundError(f"Unknown management station {station_id}.")
    return row


def create(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    details: wire.CreateManagementStationDetails,
    resolve: station_config.Resolve,
) -> Any:
    """A new station, ACTIVE at once, with the STATION profile by which its host will register (OSMH rules 9-12)."""
    compartment = compartments.find(tx, details.compartment_id)
    columns = station_config.columns_of_new(details, resolve)
    _require_fit(tx, None, columns)
    station_id = ocid.mint(ocid.Kind.STATION, events.region_of(compartment.id))
    tx.execute(
        schema.stations.insert().values(
            id=station_id,
            **columns,
            location=None,
            addresses=[],
            is_draining=False,
            lifecycle_state="ACTIVE",
            created_by=actor.principal_id,
            time_created=now,
            time_updated=now,
            revision=1,
        )
    )
    profile_id = own_profiles.create(tx, now, actor, find(tx, station_id))
    tx.execute(schema.stations.update().where(schema.stations.c.id == station_id).values(profile_id=profile_id))
    row = find(tx, station_id)
    _tell(tx, now, actor, row, "STATION_CREATED", f"Station {row.display_name} was created.")
    _tell_of_groups(tx, now, actor, None, row)
    return row


def update(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    row: Any,
    details: wire.UpdateManagementStationDetails,
    resolve: station_config.Resolve,
) -> Any:
    """The station with ``details`` applied; refused when that would break I2."""
    columns = station_config.columns_of_change(details, row, resolve)
    _require_fit(tx, row, columns)
    changed = sorted(name for name, value in columns.items() if value != getattr(row, name))
    if not changed:
        return row
    if {"proxy_port", "mirror_port", "mirror_sslport"} & set(changed):
        port_changes.require_none(tx, row)
    new = _write(tx, now, row, columns)
    own_profiles.follow(tx, now, new)
    message = f"Station {new.display_name} was changed: {', '.join(changed)}."
    _tell(tx, now, actor, new, "STATION_UPDATED", message, {"changed": changed})
    _tell_of_groups(tx, now, actor, row, new)
    return new


def move(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, compartment_id: str) -> Any:
    """The station in another compartment, with its own profile (OSMH rule 18)."""
    compartments.find(tx, compartment_id)
    if compartment_id == row.compartment_id:
        return row
    columns = {"compartment_id": compartment_id}
    _require_fit(tx, row, columns)
    new = _write(tx, now, row, columns)
    own_profiles.follow(tx, now, new)
    _tell(tx, now, actor, new, "STATION_MOVED", f"Station {new.display_name} moved to compartment {compartment_id}.")
    _tell_of_groups(tx, now, actor, row, new)
    return new


def require_deletable(tx: sa.Connection, row: Any) -> None:
    """Refused while other profiles or instances refer to it (OSMH rule 17)."""
    references.require_station_unused(tx, row)


def delete(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any) -> None:
    """Gone, with its own profile; refused while something refers to it."""
    require_deletable(tx, row)
    table = schema.managed_instances
    tx.execute(
        table.update()
        .where(table.c.id == row.managed_instance_id)
        .values(is_management_station=False, time_updated=now, revision=table.c.revision + 1)
    )
    own_profiles.delete(tx, row)
    tx.execute(schema.stations.delete().where(schema.stations.c.id == row.id))
    _tell(tx, now, actor, row, "STATION_DELETED", f"Station {row.display_name} was deleted.")
    _tell_of_groups(tx, now, actor, row, None)


def _require_fit(tx: sa.Connection, row: Any, columns: station_config.Columns) -> None:
    """I2 against the peers that the station would have."""

    def value(name: str) -> Any:
        return columns[name] if name in columns else getattr(row, name)

    owners = [
        ports.PortOwner(
            peer.id,
            peer.display_name,
            ports.PortTriple(peer.proxy_port, peer.mirror_port, peer.mirror_sslport),
        )
        for peer in mirror_lists.members(tx, value("hostname"), value("compartment_id"))
        if row is None or peer.id != row.id
    ]
    wanted = ports.PortTriple(value("proxy_port"), value("mirror_port"), value("mirror_sslport"))
    ports.require_equal_ports(wanted, owners)


def _write(tx: sa.Connection, now: datetime.datetime, row: Any, columns: station_config.Columns) -> Any:
    table = schema.stations
    tx.execute(
        table.update().where(table.c.id == row.id).values(**columns, time_updated=now, revision=row.revision + 1)
    )
    return find(tx, row.id)


def _tell(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    row: Any,
    kind: str,
    message: str,
    data: dict[str, Any] | None = None,
) -> None:
    subject = events.Subject(row.id, row.display_name, row.compartment_id)
    events.record(tx, now, kind, subject, message, actor=actor, data=data)


def _tell_of_groups(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, old: Any, new: Any) -> None:
    """A rename or move out of a group succeeds, and is reported as an event (design section 9)."""
    before = groups.group_key(old.hostname, old.compartment_id) if old is not None else None
    after = groups.group_key(new.hostname, new.compartment_id) if new is not None else None
    if before == after:
        return
    for row, kind, verb in ((old, partings.LEFT, "left"), (new, "STATION_JOINED_GROUP", "joined")):
        if row is None:
            continue
        others = [one for one in mirror_lists.members(tx, row.hostname, row.compartment_id) if one.id != row.id]
        if others:
            names = ", ".join(peer.display_name for peer in others)
            message = f"Station {row.display_name} {verb} the group of {row.hostname}, where {names} are."
            data: dict[str, Any] = {"hostname": row.hostname, "peers": [one.id for one in others]}
            data[partings.REGISTERED] = row.managed_instance_id is not None
            _tell(tx, now, actor, row, kind, message, data)
