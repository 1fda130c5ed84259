"""What a view of a group is made from: one query each, and what reports bring that is not stored yet."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.services import facts, station_facts
from stationmaster.model import moments, rotation, sharing


def unseen(
    sources: facts.Rows, reports: station_facts.Reports, known: Mapping[str, Mapping[str, Any]], now: datetime.datetime
) -> tuple[tuple[str, rotation.Generation], ...]:
    """Generations that were reported and are not stored yet, by source and name."""
    mirrored, found = {source.id for source in sources}, {}
    for _, report in reports.values():
        for told in report.sources:
            for held in told.held if told.source_id in mirrored else ():
                is_known = held.generation in known.get(told.source_id, {})
                if not is_known and station_facts.GENERATION.fullmatch(held.generation):
                    generation = rotation.Generation(held.generation, now, moments.as_utc_or_none(held.time_root))
                    found[told.source_id, held.generation] = generation
    return tuple(
        (source_id, generation) for (source_id, _), generation in sorted(found.items(), key=lambda one: one[0])
    )


def known_generations(tx: sa.Connection, source_ids: list[str]) -> dict[str, dict[str, rotation.Generation]]:
    """What is stored of each source's generations."""
    table = schema.source_generations
    known: dict[str, dict[str, rotation.Generation]] = {}
    for row in tx.execute(sa.select(table).where(table.c.source_id.in_(source_ids))) if source_ids else ():
        generation = rotation.Generation(row.generation, row.time_first_seen, row.time_root)
        known.setdefault(row.source_id, {})[row.generation] = generation
    return known


def raised(tx: sa.Connection, group_id: str) -> dict[str, tuple[int, datetime.datetime]]:
    """By source the highest number that a sync was asked for, and when."""
    table = schema.sync_requests.c
    query = sa.select(table.source_id, sa.func.max(table.number), sa.func.max(table.time_requested))
    rows = tx.execute(query.where(table.group_id == group_id).group_by(table.source_id))
    return {source_id: (number, time) for source_id, number, time in rows}


def lags(tx: sa.Connection, station_ids: list[str]) -> dict[tuple[str, str], sa.Row[Any]]:
    """By station and source what is stored of its delay."""
    table = schema.station_lags
    rows = tx.execute(sa.select(table).where(table.c.station_id.in_(station_ids))).all()
    return {(row.station_id, row.source_id): row for row in rows}


def orphans(tx: sa.Connection, group_id: str) -> dict[str, datetime.datetime]:
    """Since when sources have had nobody who holds what is visible."""
    table = schema.orphaned_sources
    rows = tx.execute(sa.select(table).where(table.c.group_id == group_id))
    return {row.source_id: row.time_orphaned for row in rows}


def by_source(tx: sa.Connection, table: sa.Table, group_id: str) -> dict[str, sa.Row[Any]]:
    """The rows of a table that has one for each source of a group."""
    return {row.source_id: row for row in tx.execute(sa.select(table).where(table.c.group_id == group_id))}


def volumes(tx: sa.Connection, reports: station_facts.Reports) -> dict[str, str]:
    """By station the volume that it is proved to use (R10)."""
    table = schema.station_reports.c
    rows = tx.execute(sa.select(table.station_id, table.nonces).where(table.station_id.in_(sorted(reports))))
    nonces = {row.station_id: tuple(row.nonces or ()) for row in rows}
    return sharing.volumes_of(
        sharing.Sight(station_id, report.volume.volume_id, nonces.get(station_id, ()), report.volume.nonces)
        for station_id, (_, report) in reports.items()
        if report.volume.volume_id is not None
    )


def recent(tx: sa.Connection, group_id: str) -> dict[str, facts.Rows]:
    """By source the numbers that some station may show."""
    table = schema.visible
    found: dict[str, list[sa.Row[Any]]] = {}
    for row in tx.execute(sa.select(table).where(table.c.group_id == group_id, table.c.time_left.is_(None))):
        found.setdefault(row.source_id, []).append(row)
    return dict(found)


def writers(tx: sa.Connection, volumes: Mapping[str, str]) -> dict[str, str]:
    """By volume the holder of its lease."""
    table = schema.volume_leases.c
    rows = tx.execute(sa.select(table.station_id).where(table.station_id.in_(sorted(volumes))))
    return {volumes[row.station_id]: row.station_id for row in rows}
