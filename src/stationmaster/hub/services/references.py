"""Who refers to what: deleting something in use is refused, and the refusal names the users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.model import errors

_NAMED = 10


def require_station_unused(tx: sa.Connection, station: Any) -> None:
    """No profile but the station's own, and no instance, refers to it."""
    profiles, instances = schema.profiles.c, schema.managed_instances.c
    by_profile = sa.select(profiles.display_name, profiles.id).where(
        profiles.management_station_id == station.id, sa.not_(profiles.is_station_own)
    )
    by_instance = sa.select(instances.display_name, instances.id).where(
        sa.or_(instances.primary_station_id == station.id, instances.secondary_station_id == station.id)
    )
    _require_none(
        f"Station {station.display_name} is in use",
        {"profile": _named(tx, by_profile), "instance": _named(tx, by_instance)},
        hint="Give them another station first.",
    )


def require_source_unused(tx: sa.Connection, source: Any) -> None:
    """No profile and no instance has it attached."""
    profiles, links = schema.profiles.c, schema.profile_sources.c
    instances, attached = schema.managed_instances.c, schema.instance_sources.c
    by_profile = (
        sa.select(profiles.display_name, profiles.id)
        .join(schema.profile_sources, links.profile_id == profiles.id)
        .where(links.source_id == source.id)
    )
    by_instance = (
        sa.select(instances.display_name, instances.id)
        .join(schema.instance_sources, attached.managed_instance_id == instances.id)
        .where(attached.source_id == source.id)
    )
    _require_none(
        f"Software source {source.display_name} is in use",
        {"profile": _named(tx, by_profile), "instance": _named(tx, by_instance)},
        hint="Detach it there first.",
    )


def _named(tx: sa.Connection, query: sa.Select[Any]) -> Sequence[Any]:
    return tx.execute(query.order_by(sa.literal_column("1"), sa.literal_column("2")).limit(_NAMED + 1)).all()


def _require_none(what: str, users: dict[str, Sequence[Any]], *, hint: str) -> None:
    named = [f"{kind} {name} ({user_id})" for kind, rows in users.items() for name, user_id in rows]
    if named:
        more = " and others" if len(named) > _NAMED else ""
        raise errors.ConflictError(f"{what} by {', '.join(named[:_NAMED])}{more}.", hint=hint)
