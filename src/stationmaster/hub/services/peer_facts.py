"""What people are shown of a group beside its view: who needs a source, by name, and since when things are so."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.services import group_view, mirror_lists


@dataclasses.dataclass(frozen=True, order=True)
class Need:
    """Why a source is on the mirror list (I3): ``kind`` is ``profile`` or ``instance``."""

    kind: str
    name: str
    id: str
    station_id: str


def needs(tx: sa.Connection, view: group_view.GroupView) -> dict[str, list[Need]]:
    """By source, sorted."""
    found = mirror_lists.needs(tx, [member.id for member in view.members])
    named = {
        id_: name for table in (schema.profiles, schema.managed_instances) for id_, name in _names(tx, table, found)
    }
    needed: dict[str, set[Need]] = {}
    for one in found:
        kind, _, id_ = one.reason.partition(" ")
        needed.setdefault(one.source_id, set()).add(Need(kind, named.get(id_, id_), id_, one.station_id))
    return {source_id: sorted(all_of_it) for source_id, all_of_it in needed.items()}


def _names(tx: sa.Connection, table: sa.Table, found: Sequence[object]) -> Iterable[tuple[str, str]]:
    ids = {str(getattr(one, "reason", "")).partition(" ")[2] for one in found}
    rows = tx.execute(sa.select(table.c.id, table.c.display_name).where(table.c.id.in_(sorted(ids))))
    return [(row.id, row.display_name) for row in rows]


def wanted_generation(view: group_view.GroupView, source_id: str) -> str | None:
    """What every station should hold: what is staged next (R7), else what is visible."""
    staged = view.candidates.get(source_id)
    if staged is not None and staged.generation is not None:
        return str(staged.generation)
    visible = view.snapshots[source_id].visible
    return visible.generation if visible is not None else None


def times_visible(tx: sa.Connection, view: group_view.GroupView) -> dict[str, datetime.datetime]:
    """By source, since when clients are told what they are told."""
    table = schema.visible.c
    shown = {one.visible.number: source_id for source_id, one in view.snapshots.items() if one.visible is not None}
    query = sa.select(table.source_id, table.number, table.time_visible)
    rows = tx.execute(query.where(table.group_id == view.group_id, table.number.in_(sorted(shown))))
    found = {}
    for row in rows:
        snapshot = view.snapshots.get(row.source_id)
        if snapshot is not None and snapshot.visible is not None and snapshot.visible.number == row.number:
            found[row.source_id] = row.time_visible
    return found


def times_health_changed(tx: sa.Connection, station_ids: Sequence[str]) -> dict[str, datetime.datetime]:
    """By station, since when its health is what it is."""
    table = schema.station_healths.c
    rows = tx.execute(sa.select(table.station_id, table.time_changed).where(table.station_id.in_(sorted(station_ids))))
    return {row.station_id: row.time_changed for row in rows}
