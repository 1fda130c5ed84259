"""Profiles: made, changed, moved, removed; what is attached to them. Each change is a new version (OSMH rule 72)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api.wire import base
from stationmaster.hub.api.wire import profiles as wire
from stationmaster.hub.db import schema
from stationmaster.hub.services import (
    compartments,
    events,
    own_profiles,
    profile_views,
    software_sources,
    stations,
)
from stationmaster.model import errors, ocid


def find(tx: sa.Connection, profile_id: str, *, field: str = "profileId") -> Any:
    """The profile; CallerError when the id is no OCID, NotFoundError when it is unknown."""
    ocid.require_ocid(profile_id, field=field)
    table = schema.profiles
    row = tx.execute(sa.select(table).where(table.c.id == profile_id)).one_or_none()
    if row is None:
        raise errors.NotFoundError(f"Unknown profile {profile_id}.")
    return row


def create(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, details: wire.CreateProfileDetails) -> Any:
    """A new profile, ACTIVE at once."""
    compartments.find(tx, details.compartment_id)
    _require_free_name(tx, details.compartment_id, details.display_name)
    columns = _columns_of_new(tx, details)
    profile_id = ocid.mint(ocid.Kind.PROFILE, events.region_of(details.compartment_id))
    tx.execute(
        schema.profiles.insert().values(
            id=profile_id,
            **columns,
            is_station_own=False,
            is_service_provided_profile=False,
            lifecycle_state="ACTIVE",
            profile_version=1,
            created_by=actor.principal_id,
            time_created=now,
            time_modified=now,
            revision=1,
        )
    )
    row = find(tx, profile_id)
    if isinstance(details, wire.CreateSoftwareSourceProfileDetails):
        _attach(tx, row, details.software_source_ids or (), field="softwareSourceIds")
    profile_views.store_version(tx, row)
    _tell(tx, now, actor, row, "PROFILE_CREATED", f"Profile {row.display_name} was created.")
    _keep_one_default(tx, now, actor, row)
    return row


def update(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, details: wire.UpdateProfileDetails
) -> Any:
    """The profile with ``details`` applied. Machines that registered with it are not touched (OSMH rule 71)."""
    given = ("display_name", "description", "is_default_profile", "freeform_tags")
    columns = {name: value for name in given if (value := getattr(details, name)) is not None}
    if details.defined_tags is not None:
        columns["defined_tags"] = base.kept_tags(details.defined_tags)
    if columns.get("is_default_profile") and row.profile_type == wire.ProfileType.STATION:
        raise errors.CallerError("A STATION profile cannot be the default: it fits one station.")
    if row.is_station_own and "display_name" in columns:
        raise errors.ConflictError("The name of a station's own profile follows the station.")
    new = _changed(tx, now, actor, row, columns)
    _keep_one_default(tx, now, actor, new)
    return new


def move(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, compartment_id: str) -> None:
    """Into another compartment."""
    compartments.find(tx, compartment_id)
    own_profiles.require_foreign(row, "moves with it")
    if compartment_id != row.compartment_id:
        _require_free_name(tx, compartment_id, row.display_name)
    _changed(tx, now, actor, row, {"compartment_id": compartment_id})


def delete(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any) -> None:
    """Gone, with its registration keys; machines that registered with it stay (OSMH rule 71)."""
    own_profiles.require_foreign(row, "goes with it")
    tx.execute(schema.profiles.delete().where(schema.profiles.c.id == row.id))
    _tell(tx, now, actor, row, "PROFILE_DELETED", f"Profile {row.display_name} was deleted.")


def attach_station(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, station_id: str) -> None:
    """The station through which machines register; another one that was attached is replaced."""
    own_profiles.require_foreign(row, "belongs to it")
    station = stations.find(tx, station_id)
    _changed(tx, now, actor, row, {"management_station_id": station.id})


def detach_station(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, station_id: str) -> None:
    """Refused when the station is not the one that is attached."""
    own_profiles.require_foreign(row, "belongs to it")
    ocid.require_ocid(station_id, field="managementStationId")
    if row.management_station_id != station_id:
        raise errors.CallerError(f"Station {station_id} is not attached to profile {row.display_name}.")
    _changed(tx, now, actor, row, {"management_station_id": None})


def attach_sources(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, source_ids: Sequence[str]
) -> None:
    """Sources that are attached already stay where they are."""
    _require_sources_allowed(row)
    if _attach(tx, row, source_ids, field="softwareSources"):
        _changed(tx, now, actor, row, {}, what="software sources")


def detach_sources(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, source_ids: Sequence[str]
) -> None:
    """Refused when one of them is not attached."""
    _require_sources_allowed(row)
    present = {source.id for source in profile_views.attached(tx, row.id)}
    for source_id in source_ids:
        ocid.require_ocid(source_id, field="softwareSources")
        if source_id not in present:
            raise errors.CallerError(f"Software source {source_id} is not attached to profile {row.display_name}.")
    links = schema.profile_sources
    tx.execute(links.delete().where(links.c.profile_id == row.id, links.c.source_id.in_(source_ids)))
    if source_ids:
        _changed(tx, now, actor, row, {}, what="software sources")


def _columns_of_new(tx: sa.Connection, details: wire.CreateProfileDetails) -> dict[str, Any]:
    station = None
    if details.management_station_id is not None:
        station = stations.find(tx, details.management_station_id)
    kind = wire.ProfileType.STATION
    family, arch, vendor = details.os_family, details.arch_type, details.vendor_name
    if isinstance(details, wire.CreateSoftwareSourceProfileDetails):
        kind = wire.ProfileType.SOFTWARESOURCE
        for field, value in (("vendorName", vendor), ("osFamily", family), ("archType", arch)):
            if value is None:
                raise errors.CallerError(f"{field} is missing.", code="MissingParameter")
    elif details.is_default_profile:
        raise errors.CallerError("A STATION profile cannot be the default: it fits one station.")
    if details.registration_type not in (None, wire.RegistrationType.NON_OCI_LINUX):
        raise errors.CallerError("registrationType must be NON_OCI_LINUX: this hub registers no other machines.")
    family = family or base.OsFamily(station.os_family if station else "ORACLE_LINUX_8")
    arch = arch or base.ArchType(station.arch_type if station else "X86_64")
    maker = own_profiles.vendor_of(family)
    if vendor not in (None, maker) and maker is not base.Vendor.DEBIAN:  # OSMH has no vendor for Debian to name
        raise errors.CallerError(f"vendorName {vendor} does not make {family.value}; {maker.value} does.")
    return {
        "compartment_id": details.compartment_id,
        "display_name": details.display_name,
        "description": details.description,
        "profile_type": kind.value,
        "vendor_name": (vendor or maker).value,
        "os_family": family.value,
        "arch_type": arch.value,
        "registration_type": wire.RegistrationType.NON_OCI_LINUX.value,
        "management_station_id": station.id if station else None,
        "is_default_profile": bool(details.is_default_profile),
        "freeform_tags": details.freeform_tags or {},
        "defined_tags": base.kept_tags(details.defined_tags),
    }


def _attach(tx: sa.Connection, row: Any, source_ids: Sequence[str], *, field: str) -> bool:
    sources = software_sources.find_all(tx, source_ids, field=field)
    software_sources.require_fitting(sources, base.OsFamily(row.os_family), base.ArchType(row.arch_type))
    present = [source.id for source in profile_views.attached(tx, row.id)]
    added = [source.id for source in sources if source.id not in present]
    for position, source_id in enumerate(added, start=len(present)):
        tx.execute(schema.profile_sources.insert().values(profile_id=row.id, source_id=source_id, position=position))
    return bool(added)


def _changed(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    row: Any,
    columns: dict[str, Any],
    *,
    what: str = "",
) -> Any:
    """Write ``columns`` as a new version; nothing when they are what is there already."""
    changed = sorted(name for name, value in columns.items() if value != getattr(row, name))
    if not changed and not what:
        return row
    table = schema.profiles
    versions = {"time_modified": now, "revision": row.revision + 1, "profile_version": row.profile_version + 1}
    tx.execute(table.update().where(table.c.id == row.id).values(**columns, **versions))
    new = find(tx, row.id)
    profile_views.store_version(tx, new)
    message = f"Profile {new.display_name} was changed: {what or ', '.join(changed)}."
    _tell(tx, now, actor, new, "PROFILE_UPDATED", message)
    return new


def _keep_one_default(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any) -> None:
    """At most one default per architecture, family, registration type and vendor: the newest one wins."""
    if not row.is_default_profile:
        return
    table = schema.profiles
    alike = ("arch_type", "os_family", "registration_type", "vendor_name", "is_default_profile")
    same = [table.c[name] == getattr(row, name) for name in alike]
    for other in tx.execute(sa.select(table).where(*same, table.c.id != row.id)).all():
        _changed(tx, now, actor, other, {"is_default_profile": False})


def _require_free_name(tx: sa.Connection, compartment_id: str, display_name: str) -> None:
    """Names of profiles are unique in a compartment when they are made (OSMH rule 74)."""
    columns = schema.profiles.c
    same = sa.select(columns.id).where(columns.compartment_id == compartment_id, columns.display_name == display_name)
    if (other := tx.execute(same.limit(1)).scalar_one_or_none()) is not None:
        raise errors.ConflictError(f"The compartment already has a profile named {display_name!r}: {other}.")


def _require_sources_allowed(row: Any) -> None:
    if row.profile_type != wire.ProfileType.SOFTWARESOURCE:
        raise errors.CallerError(f"Profile {row.display_name} is of type {row.profile_type}, which names no sources.")


def _tell(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, kind: str, message: str) -> None:
    subject = events.Subject(row.id, row.display_name, row.compartment_id)
    events.record(tx, now, kind, subject, message, actor=actor)
