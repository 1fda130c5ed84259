"""Wishes that a source be synced: numbered per group and source; stations see the highest number and answer it.

A new number is higher than all that were ever asked for, and than all that stations say they answered: a hub from a
backup would else ask for what was done long ago (R8).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

import msgspec
import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.services import mirror_lists
from stationmaster.model import groups


def ask(
    tx: sa.Connection,
    now: datetime.datetime,
    group_id: str,
    source_ids: Iterable[str],
    work_request_id: str | None = None,
) -> dict[str, int]:
    """Ask the stations of a group to sync; the new number of each source."""
    latest, answered = latest_numbers(tx, group_id), _answered_numbers(tx, group_id)
    numbers = {
        source_id: max(latest.get(source_id, 0), answered.get(source_id, 0)) + 1
        for source_id in dict.fromkeys(source_ids)
    }
    for source_id, number in numbers.items():
        tx.execute(
            schema.sync_requests.insert().values(
                group_id=group_id,
                source_id=source_id,
                number=number,
                time_requested=now,
                work_request_id=work_request_id,
            )
        )
    return numbers


def latest_numbers(tx: sa.Connection, group_id: str) -> Mapping[str, int]:
    """The highest number of each source that was ever asked for in the group."""
    table = schema.sync_requests
    query = sa.select(table.c.source_id, sa.func.max(table.c.number).label("number"))
    rows = tx.execute(query.where(table.c.group_id == group_id).group_by(table.c.source_id))
    return {row.source_id: row.number for row in rows}


class _Sync(msgspec.Struct, rename="camel"):
    number: int


class _Source(msgspec.Struct, rename="camel"):
    source_id: str
    sync: _Sync | None = None


class _Told(msgspec.Struct, rename="camel"):
    """What of a stored heartbeat is looked at here."""

    sources: list[_Source]


_TOLD = msgspec.json.Decoder(_Told)
_HIGHEST = 2**30


def _answered_numbers(tx: sa.Connection, group_id: str) -> dict[str, int]:
    stations, reports = schema.stations.c, schema.station_reports.c
    query = sa.select(stations.hostname, stations.compartment_id, reports.report).join_from(
        schema.stations, schema.station_reports, reports.station_id == stations.id
    )
    answered: dict[str, int] = {}
    for hostname, compartment_id, report in tx.execute(query):
        if groups.group_id(hostname, compartment_id) != group_id:
            continue
        for source in _sources_of(report):
            if source.sync is not None and source.sync.number < _HIGHEST:
                answered[source.source_id] = max(answered.get(source.source_id, 0), source.sync.number)
    return answered


def _sources_of(report: str) -> list[_Source]:
    try:
        return _TOLD.decode(report).sources
    except msgspec.MsgspecError:
        return []


def ask_everywhere(tx: sa.Connection, now: datetime.datetime, source_id: str) -> None:
    """Ask each group that mirrors the source: it is read from elsewhere now."""
    table = schema.stations
    asked = set()
    for station in tx.execute(sa.select(table).order_by(table.c.id)).all():
        group_id = groups.group_id(station.hostname, station.compartment_id)
        if group_id in asked:
            continue
        asked.add(group_id)
        members = mirror_lists.members(tx, station.hostname, station.compartment_id)
        if source_id in mirror_lists.source_ids(tx, members):
            ask(tx, now, group_id, [source_id])
