"""What a change does to groups beyond what was asked for: looked at before and after it, in its own transaction."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import departures, mirror_lists
from stationmaster.model import consequences


def keys_of(tx: sa.Connection, path: Mapping[str, str]) -> set[consequences.Key]:
    """The groups that a request is about, by the parameters of its path; none when it names nothing that is there."""
    stations, profiles, instances = schema.stations.c, schema.profiles.c, schema.managed_instances.c
    wanted = {path.get("managementStationId")}
    if "profileId" in path:
        query = sa.select(profiles.management_station_id).where(profiles.id == path["profileId"])
        wanted |= set(tx.execute(query).scalars())
    if "managedInstanceId" in path:
        both = sa.select(instances.primary_station_id, instances.secondary_station_id)
        for row in tx.execute(both.where(instances.id == path["managedInstanceId"])):
            wanted |= set(row)
    found = tx.execute(
        sa.select(stations.hostname_key, stations.compartment_id).where(
            stations.id.in_(sorted(one for one in wanted if one))
        )
    )
    return {(row.hostname_key, row.compartment_id) for row in found}


def look(tx: sa.Connection, keys: Iterable[consequences.Key]) -> consequences.Groups:
    """Those of the groups that are there, with what they mirror; of others in their compartments the members only."""
    table = schema.stations
    groups: dict[consequences.Key, list[Any]] = {}
    # One that waits to be deleted has left already, as far as anybody should rely on it.
    staying = sa.select(table).where(table.c.lifecycle_state != departures.DELETING)
    for row in tx.execute(staying.order_by(table.c.id)):
        groups.setdefault((row.hostname_key, row.compartment_id), []).append(row)
    wanted = set(keys)
    return {
        key: consequences.Group(
            members={row.id: consequences.Member(row.display_name, row.mirror_directory) for row in rows},
            sources={one.id: one.display_name for one in mirror_lists.sources(tx, rows)} if key in wanted else {},
        )
        for key, rows in groups.items()
    }


def losses(tx: sa.Connection, now: datetime.datetime, hub: context.Hub, station_id: str | None) -> list[str]:
    """What only this station holds of what its group needs, in words."""
    table = schema.stations
    row = tx.execute(sa.select(table).where(table.c.id == station_id)).one_or_none() if station_id else None
    return departures.what_is_lost(tx, now, hub, row) if row is not None else []
