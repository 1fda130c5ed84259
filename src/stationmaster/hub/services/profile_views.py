"""Profiles as they are shown, now and in each version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from stationmaster.hub.api.wire import base, sources
from stationmaster.hub.api.wire import profiles as wire
from stationmaster.hub.db import schema
from stationmaster.model import errors


def full(tx: sa.Connection, row: Any) -> wire.Profile:
    """A profile as GET shows it."""
    shared = {
        **_shared(row),
        "time_modified": base.moment(row.time_modified),
        "profile_version": str(row.profile_version),
        **_tags(row),
    }
    if row.profile_type == wire.ProfileType.SOFTWARESOURCE:
        return wire.SoftwareSourceProfile(**shared, software_sources=source_details(attached(tx, row.id)))
    return wire.Profile(**shared)


def summary(row: Any) -> wire.ProfileSummary:
    """A profile as the list shows it."""
    return wire.ProfileSummary(**_shared(row), **_tags(row))


def attached(tx: sa.Connection, profile_id: str) -> Sequence[Any]:
    """The sources of a profile, in the order in which they were attached."""
    links, table = schema.profile_sources, schema.software_sources
    query = sa.select(table).join(links, links.c.source_id == table.c.id).where(links.c.profile_id == profile_id)
    return tx.execute(query.order_by(links.c.position, table.c.id)).all()


def source_details(rows: Sequence[Any]) -> list[sources.SoftwareSourceDetails]:
    """Sources as a profile or instance names them."""
    return [
        sources.SoftwareSourceDetails(
            id=row.id,
            display_name=row.display_name,
            description=row.description,
            software_source_type=row.software_source_type,
        )
        for row in rows
    ]


def store_version(tx: sa.Connection, row: Any) -> None:
    """Keep the profile's present version; it stays readable when the profile has moved on (OSMH rule 72)."""
    content = wire.ProfileVersion(
        **_shared(row),
        time_modified=base.moment(row.time_modified),
        profile_version=str(row.profile_version),
        software_sources=source_details(attached(tx, row.id)),
    )
    tx.execute(
        schema.profile_versions.insert().values(
            profile_id=row.id, profile_version=row.profile_version, content=msgspec.to_builtins(content)
        )
    )


def find_version(tx: sa.Connection, profile_id: str, version: str) -> wire.ProfileVersion:
    """One version of a profile."""
    table = schema.profile_versions
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 9 else -1
    query = sa.select(table.c.content).where(table.c.profile_id == profile_id, table.c.profile_version == number)
    content = tx.execute(query).scalar_one_or_none()
    if content is None:
        raise errors.NotFoundError(f"Profile {profile_id} has no version {version[:20]}.")
    return msgspec.convert(content, wire.ProfileVersion)


def _shared(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "compartment_id": row.compartment_id,
        "display_name": row.display_name,
        "description": row.description,
        "management_station_id": row.management_station_id,
        "profile_type": row.profile_type,
        "vendor_name": row.vendor_name,
        "os_family": row.os_family,
        "arch_type": row.arch_type,
        "registration_type": row.registration_type,
        "lifecycle_state": row.lifecycle_state,
        "is_default_profile": row.is_default_profile,
        "is_service_provided_profile": row.is_service_provided_profile,
        "time_created": base.moment(row.time_created),
    }


def _tags(row: Any) -> dict[str, Any]:
    return {
        "freeform_tags": row.freeform_tags,
        "defined_tags": base.shown_tags(row.defined_tags, row.created_by, row.time_created),
        "system_tags": {},
    }
