"""Attaching a profile to a registered instance, and detaching it.

A profile acts at one moment (OSMH rule 71): at registration, or when it is attached. Attached, it makes the instance
what a registration by it would have made: its sources, its station. What people attached by hand stays; what came by
the former profile and is not in the new one goes. Detached, its sources go; the station stays, since the agent reaches
the hub by it. The agent follows at its next check-in; mirror lists, which rest on instances (I3), follow at once.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api.wire import base
from stationmaster.hub.db import schema
from stationmaster.hub.services import (
    events,
    managed_instances,
    profile_views,
    profiles,
    registrations,
    software_sources,
)
from stationmaster.model import errors


def attach(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, profile_id: str) -> None:
    """Make the instance what a registration by the profile would make it."""
    _require_managed(row)
    profile = profiles.find(tx, profile_id)
    sources = _content(tx, profile, row)
    registrations.require_registered_station(tx, profile)
    wanted = {source.id for source in sources}
    present = {source.id for source in managed_instances.attached_sources(tx, row.id)}
    gone = (_brought(tx, row) & present) - wanted
    _detach(tx, row, gone)
    fresh = sorted(wanted - present)
    if fresh:
        table = schema.instance_sources
        values = {"managed_instance_id": row.id, "is_enabled": True, "time_attached": now}
        tx.execute(table.insert(), [{**values, "source_id": one} for one in fresh])
    columns = {"profile_id": profile.id, "profile_version": profile.profile_version}
    if profile.management_station_id is not None:
        columns["primary_station_id"] = profile.management_station_id
    what = f"got profile {profile.display_name}: {len(fresh)} sources came, {len(gone)} went"
    managed_instances.update(tx, now, actor, row, columns, what=what)


def detach(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any) -> None:
    """Take the profile away, and the sources that came by it."""
    _require_managed(row)
    if row.profile_id is None:
        raise errors.ConflictError(f"{row.display_name} has no profile attached.", hint="There is nothing to detach.")
    gone = _brought(tx, row) & {source.id for source in managed_instances.attached_sources(tx, row.id)}
    _detach(tx, row, gone)
    what = f"lost its profile: {len(gone)} sources went"
    managed_instances.update(tx, now, actor, row, {"profile_id": None, "profile_version": None}, what=what)


def _require_managed(row: Any) -> None:
    if row.is_management_station:
        raise errors.ConflictError(
            f"{row.display_name} is a management station itself; its profile is the station's own."
        )
    if row.lifecycle_state == "DELETING":
        raise errors.ConflictError(f"{row.display_name} is being unregistered.")


def _content(tx: sa.Connection, profile: Any, row: Any) -> list[Any]:
    """The profile's sources; an error says why this profile is none for this instance."""
    if profile.profile_type == "STATION":
        raise errors.ConflictError(
            f"The profile {profile.display_name} registers a station, not an instance.",
            hint="Attach a profile with software sources.",
        )
    sources = list(profile_views.attached(tx, profile.id))
    if not sources:
        raise errors.ConflictError(
            f"The profile {profile.display_name} has no content, so nothing can register with it.",
            hint="Attach software sources to the profile first.",
        )
    software_sources.require_fitting(sources, base.OsFamily(row.os_family), base.ArchType(row.architecture))
    return sources


def _brought(tx: sa.Connection, row: Any) -> set[str]:
    """What came by the profile that is attached now, in the version that acted; nothing when that is gone."""
    if row.profile_id is None:
        return set()
    try:
        version = profile_views.find_version(tx, row.profile_id, str(row.profile_version))
    except errors.NotFoundError:
        return set()  # the profile was deleted: what it brought is the instance's own now (OSMH rule 71)
    return {source.id for source in version.software_sources}


def _detach(tx: sa.Connection, row: Any, source_ids: set[str]) -> None:
    table = schema.instance_sources
    tx.execute(table.delete().where(table.c.managed_instance_id == row.id, table.c.source_id.in_(sorted(source_ids))))
