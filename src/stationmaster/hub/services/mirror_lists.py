"""Which stations are peers, and what they mirror: facts of the database given to I1 and I3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.model import addresses, groups

Row = Any


def members(tx: sa.Connection, hostname: str, compartment_id: str) -> Sequence[Row]:
    """I1: all stations of a group, by id."""
    table = schema.stations
    query = sa.select(table).where(
        table.c.hostname_key == addresses.canonical_host(hostname), table.c.compartment_id == compartment_id
    )
    return tx.execute(query.order_by(table.c.id)).all()


def membership(station: Row) -> groups.Membership:
    """What makes a station's group."""
    return groups.Membership(station.id, station.hostname, station.compartment_id)


def source_ids(tx: sa.Connection, stations: Sequence[Row]) -> tuple[str, ...]:
    """I3: what each of ``stations``, all members of one group, mirrors."""
    if not stations:
        return ()
    memberships = [membership(station) for station in stations]
    return groups.mirror_list(memberships[0], memberships, needs(tx, [station.id for station in stations]))


def sources(tx: sa.Connection, stations: Sequence[Row]) -> Sequence[Row]:
    """The rows of the mirror list of a group, by id."""
    table = schema.software_sources
    query = sa.select(table).where(table.c.id.in_(source_ids(tx, stations)))
    return tx.execute(query.order_by(table.c.id)).all()


def needs(tx: sa.Connection, station_ids: Sequence[str]) -> list[groups.Need]:
    """Who needs which source from these stations: profiles and instances that refer to them (OSMH rules 32-34).

    A source that may not be mirrored is needed by nobody here; its clients read it from upstream.
    """
    profiles, links, sources_ = schema.profiles.c, schema.profile_sources.c, schema.software_sources.c
    by_profile = (
        sa.select(profiles.management_station_id, links.source_id, profiles.id)
        .join_from(schema.profiles, schema.profile_sources, links.profile_id == profiles.id)
        .join(schema.software_sources, sources_.id == links.source_id)
        .where(profiles.management_station_id.in_(station_ids), sources_.is_mirror_sync_allowed)
    )
    found = [groups.Need(station, source, f"profile {who}") for station, source, who in tx.execute(by_profile)]
    instances, attached = schema.managed_instances.c, schema.instance_sources.c
    for column in (instances.primary_station_id, instances.secondary_station_id):
        by_instance = (
            sa.select(column, attached.source_id, sa.func.min(instances.id))
            .join_from(
                schema.managed_instances,
                schema.instance_sources,
                attached.managed_instance_id == instances.id,
            )
            .join(schema.software_sources, sources_.id == attached.source_id)
            .where(column.in_(station_ids), sources_.is_mirror_sync_allowed)
            .group_by(column, attached.source_id)
        )
        found += [groups.Need(station, source, f"instance {who}") for station, source, who in tx.execute(by_instance)]
    return found
