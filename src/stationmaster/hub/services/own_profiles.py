"""The STATION profile that each station has from its creation on: it follows the station, and goes with it."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api.wire import base
from stationmaster.hub.db import schema
from stationmaster.hub.services import events, profile_views
from stationmaster.model import errors, ocid


def create(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, station: Any) -> str:
    """The profile's id. Its name carries the end of the station's id, since names of stations need not be unique."""
    profile_id = ocid.mint(ocid.Kind.PROFILE, events.region_of(station.id))
    tx.execute(
        schema.profiles.insert().values(
            id=profile_id,
            profile_type="STATION",
            registration_type="NON_OCI_LINUX",
            management_station_id=station.id,
            is_station_own=True,
            is_default_profile=False,
            is_service_provided_profile=False,
            lifecycle_state="ACTIVE",
            profile_version=1,
            description=None,
            freeform_tags={},
            defined_tags={},
            created_by=actor.principal_id,
            time_created=now,
            time_modified=now,
            revision=1,
            **_following(station),
        )
    )
    profile_views.store_version(tx, _find(tx, profile_id))
    return profile_id


def follow(tx: sa.Connection, now: datetime.datetime, station: Any) -> None:
    """Keep name, compartment, family and architecture as the station has them."""
    table, columns = schema.profiles, _following(station)
    differs = sa.or_(*(table.c[name] != value for name, value in columns.items()))
    versions = {"revision": table.c.revision + 1, "profile_version": table.c.profile_version + 1}
    done = tx.execute(
        table.update().where(table.c.id == station.profile_id, differs).values(**columns, **versions, time_modified=now)
    )
    if done.rowcount:
        profile_views.store_version(tx, _find(tx, station.profile_id))


def delete(tx: sa.Connection, station: Any) -> None:
    """With its registration keys and versions."""
    table = schema.profiles
    tx.execute(table.delete().where(table.c.management_station_id == station.id, table.c.is_station_own))


def require_foreign(profile: Any, what: str) -> None:
    """ConflictError when the profile is a station's own."""
    if profile.is_station_own:
        raise errors.ConflictError(
            f"Profile {profile.display_name} is the own profile of station {profile.management_station_id}; it {what}."
        )


def _find(tx: sa.Connection, profile_id: str) -> Any:
    return tx.execute(sa.select(schema.profiles).where(schema.profiles.c.id == profile_id)).one()


def _following(station: Any) -> dict[str, Any]:
    return {
        "compartment_id": station.compartment_id,
        "display_name": f"{station.display_name[:240]}-{station.id[-8:]}",
        "vendor_name": vendor_of(base.OsFamily(station.os_family)).value,
        "os_family": station.os_family,
        "arch_type": station.arch_type,
    }


def vendor_of(family: base.OsFamily) -> base.Vendor:
    """Who makes a family."""
    if family.is_windows:
        return base.Vendor.MICROSOFT
    if family.startswith("UBUNTU_"):
        return base.Vendor.CANONICAL
    return base.Vendor.DEBIAN if family.startswith("DEBIAN_") else base.Vendor.ORACLE
