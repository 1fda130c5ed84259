"""The right to remove from a volume: a row per volume id, whatever groups use it (R10). As `leases`, simpler."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema, store
from stationmaster.hub.services import events
from stationmaster.model import leadership, protocol

_HIGHEST = 2**30
_LONGEST = 255


def believable(token: int) -> int:
    """A token of a volume, unless it is nonsense."""
    return token if 0 <= token < _HIGHEST else 0


def believable_id(volume_id: str | None) -> str:
    """A volume id, unless it is nonsense: then none."""
    text = volume_id or ""
    return text if text.isprintable() and len(text) <= _LONGEST else ""


def plan_leases(
    contenders: Mapping[str, Sequence[leadership.Contender]],
    rows: Mapping[str, sa.Row[Any]],
    now: datetime.datetime,
    terms: leadership.Terms,
    *,
    is_settled: bool,
) -> dict[str, leadership.Ruling]:
    """By volume, what is to be written."""
    held = {volume_id for volume_id, row in rows.items() if row.station_id is not None}
    found = {}
    for volume_id in sorted(held | set(contenders)):
        lease = _lease(rows.get(volume_id), now)
        ruling = leadership.rule(lease, contenders.get(volume_id, ()), terms, is_settled=is_settled)
        if ruling.verdict is not leadership.Verdict.KEEP:
            found[volume_id] = ruling
    return found


def write_leases(
    tx: sa.Connection,
    now: datetime.datetime,
    stations: Mapping[str, sa.Row[Any]],
    rows: Mapping[str, sa.Row[Any]],
    rulings: Mapping[str, leadership.Ruling],
) -> None:
    """In the transaction in which ``rows`` were read."""
    table = schema.volume_leases
    for volume_id, ruling in rulings.items():
        row = rows.get(volume_id)
        values: dict[str, Any] = {"station_id": ruling.holder, "token": ruling.token}
        if ruling.holder is not None:
            values |= {"time_granted": now, "time_renewed": now}
        if row is None:
            if ruling.holder is not None:
                store.insert_first(tx, table, volume_id=volume_id, **values)
            continue
        same = sa.and_(
            table.c.volume_id == volume_id,
            table.c.token == row.token,
            table.c.station_id.is_not_distinct_from(row.station_id),
        )
        store.update_unchanged(tx, table, same, values)
        if ruling.holder is not None and ruling.holder in stations and ruling.holder != row.station_id:
            _tell(tx, now, volume_id, stations[ruling.holder], ruling)


def renew(
    tx: sa.Connection, now: datetime.datetime, station_id: str, volume_id: str | None
) -> protocol.VolumeLease | None:
    """The station's lease of the volume that it shows, from now on again for the full time."""
    table = schema.volume_leases
    mine = sa.and_(table.c.station_id == station_id, table.c.volume_id == volume_id)
    token = tx.execute(table.update().where(mine).values(time_renewed=now).returning(table.c.token)).scalar()
    return protocol.VolumeLease(volume_id=volume_id or "", token=token) if token is not None else None


def _lease(row: sa.Row[Any] | None, now: datetime.datetime) -> leadership.Lease:
    if row is None:
        return leadership.UNHELD
    renewed = max(0.0, (now - row.time_renewed).total_seconds())
    return leadership.Lease(token=row.token, holder=row.station_id, renewed_seconds=renewed)


def _tell(
    tx: sa.Connection, now: datetime.datetime, volume_id: str, station: sa.Row[Any], ruling: leadership.Ruling
) -> None:
    subject = events.Subject(station.id, station.display_name, station.compartment_id)
    message = f"{station.display_name} looks after the volume {volume_id} with token {ruling.token}. {ruling.reason}"
    data = {"volumeId": volume_id, "to": ruling.holder, "token": ruling.token}
    events.record(tx, now, events.EventKind.VOLUME_LEASE_MOVED, subject, message, data=data)
