"""What must stay on a volume (R10, R12-R18): the union over all groups whose stations show its id.

A number that was visible is retained until the retention time has passed, in hub time, since no station could show it
any more; the newest and the generation before it always. A silent station may show for ever what it showed last.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.services import group_view
from stationmaster.model import groups
from stationmaster.model import retained as retained_numbers

Left = tuple[str, int]


def plan_left(view: group_view.GroupView) -> tuple[Left, ...]:
    """Numbers that no station of the group can show any more, from now on."""
    found: list[Left] = []
    for source_id, rows in view.recent.items():
        reports = (view.report_of(member.id, source_id) for member in view.members)
        shown = (report.shown.number for report in reports if report and report.shown)
        left = retained_numbers.numbers_left(((row.number, row.generation) for row in rows), shown)
        found += [(source_id, number) for number in left]
    return tuple(found)


def write_left(tx: sa.Connection, now: datetime.datetime, group_id: str, left: tuple[Left, ...]) -> None:
    """Their retention begins to run."""
    table = schema.visible
    for source_id, number in left:
        this = sa.and_(table.c.group_id == group_id, table.c.source_id == source_id, table.c.number == number)
        tx.execute(table.update().where(this, table.c.time_left.is_(None)).values(time_left=now))


def retained(
    tx: sa.Connection, now: datetime.datetime, retention: datetime.timedelta, station: sa.Row[Any], volume_id: str
) -> dict[str, list[str]]:
    """By source, the generations that must stay on the volume."""
    group_ids = sorted(_groups_on(tx, volume_id) | {groups.group_id(station.hostname, station.compartment_id)})
    table, staged = schema.visible.c, schema.candidates.c
    is_kept = sa.or_(table.time_left.is_(None), table.time_left > now - retention)
    shown = sa.select(table.source_id, table.generation).where(table.group_id.in_(group_ids), is_kept)
    coming = sa.select(staged.source_id, staged.generation).where(
        staged.group_id.in_(group_ids), staged.generation.is_not(None)
    )
    found: dict[str, set[str]] = {}
    for source_id, generation in [*tx.execute(shown), *tx.execute(coming)]:
        found.setdefault(source_id, set()).add(generation)
    return {source_id: sorted(names) for source_id, names in sorted(found.items())}


def _groups_on(tx: sa.Connection, volume_id: str) -> set[str]:
    stations, shown = schema.stations.c, schema.station_volumes.c
    query = sa.select(stations.hostname, stations.compartment_id).join_from(
        schema.stations, schema.station_volumes, shown.station_id == stations.id
    )
    return {groups.group_id(*row) for row in tx.execute(query.where(shown.volume_id == volume_id))}
