"""How much was free on each station's volume, once an hour for two weeks: what `model.volume_trend` reads."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import sqlalchemy as sa

from stationmaster.hub.db import schema, store
from stationmaster.hub.services import facts
from stationmaster.model import volume_trend


def keep(tx: sa.Connection, now: datetime.datetime) -> None:
    """One sample of each volume that is due, and none that is too old."""
    table = schema.volume_samples
    tx.execute(table.delete().where(table.c.time_sampled < now - volume_trend.KEEP_FOR))
    newest = sa.select(table.c.station_id, sa.func.max(table.c.time_sampled).label("newest"))
    last: dict[str, datetime.datetime] = {
        row.station_id: row.newest for row in tx.execute(newest.group_by(table.c.station_id))
    }
    stations = schema.stations.c
    station_ids = tx.execute(sa.select(stations.id).where(stations.lifecycle_state != "DELETED")).scalars().all()
    for station_id, (time_received, report) in facts.last_reports(tx, station_ids).items():
        volume = report.volume
        is_due = station_id not in last or now - last[station_id] >= volume_trend.SAMPLE_EVERY
        is_fresh = now - time_received < volume_trend.SAMPLE_EVERY
        if not (is_due and is_fresh) or volume.problem is not None or not volume.total_bytes:
            continue
        values = {"available_bytes": volume.available_bytes, "total_bytes": volume.total_bytes}
        store.insert_first(tx, table, station_id=station_id, time_sampled=now, **values)


def read(tx: sa.Connection, station_ids: Sequence[str]) -> dict[str, list[volume_trend.Sample]]:
    """By station, oldest first."""
    table = schema.volume_samples
    rows = tx.execute(
        sa.select(table).where(table.c.station_id.in_(sorted(station_ids))).order_by(table.c.time_sampled)
    )
    found: dict[str, list[volume_trend.Sample]] = {}
    for row in rows:
        sample = volume_trend.Sample(row.time_sampled, row.available_bytes, row.total_bytes)
        found.setdefault(row.station_id, []).append(sample)
    return found
