"""Wishes that a source be synced: numbered per group and source; stations see the highest number and answer it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from stationmaster.hub.db import schema


def ask(
    tx: sa.Connection,
    now: datetime.datetime,
    group_id: str,
    source_ids: Iterable[str],
    work_request_id: str | None = None,
) -> dict[str, int]:
    """Ask the stations of a group to sync; the new number of each source."""
    latest = latest_numbers(tx, group_id)
    numbers = {source_id: latest.get(source_id, 0) + 1 for source_id in dict.fromkeys(source_ids)}
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
    query = sa.select(table.c.source_id, sa.func.max(table.c.number).label("number")).where(
        table.c.group_id == group_id
    )
    return {row.source_id: row.number for row in tx.execute(query.group_by(table.c.source_id))}
