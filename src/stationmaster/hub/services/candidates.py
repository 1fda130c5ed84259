"""Stores what `model.candidates` rules: one row per group and source, whose number rises with each candidate (R7)."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema, store
from stationmaster.hub.services import events, group_view
from stationmaster.model import candidates, rotation


@dataclasses.dataclass(frozen=True)
class Change:
    """What becomes of the candidate. ``is_lost`` is set when holders went or came back."""

    ruling: candidates.Ruling
    is_lost: bool | None = None


def plan_candidate(view: group_view.GroupView, snapshot: rotation.Snapshot, limits: rotation.Limits) -> Change | None:
    """What is to be written for one source; None when there is no news."""
    ruling = candidates.rule(snapshot, limits)
    if ruling.verdict is not candidates.Verdict.KEEP:
        return Change(ruling)
    row = view.candidates.get(snapshot.source_id)
    if row is None or row.generation is None:
        return None
    is_lost = not rotation.holders_in_touch(snapshot, row.generation, limits)
    return Change(ruling, is_lost) if is_lost != (row.time_lost is not None) else None


def write_candidate(
    tx: sa.Connection, now: datetime.datetime, view: group_view.GroupView, source_id: str, change: Change
) -> None:
    """In the transaction in which ``view`` was read."""
    row = view.candidates.get(source_id)
    if change.is_lost is not None:
        _update(tx, row, {"time_lost": now if change.is_lost else None})
        return
    generation = change.ruling.generation
    number = (row.number if row is not None else 0) + (1 if generation is not None else 0)
    values: dict[str, Any] = {"number": number, "generation": generation, "time_set": now, "time_lost": None}
    if row is not None:
        _update(tx, row, values)
    else:
        store.insert_first(tx, schema.candidates, group_id=view.group_id, source_id=source_id, **values)
    if change.ruling.verdict is not candidates.Verdict.DONE:
        _tell(tx, now, view, source_id, number, change.ruling)


def _update(tx: sa.Connection, row: sa.Row[Any] | None, values: dict[str, Any]) -> None:
    if row is None:
        raise store.RaceError
    table = schema.candidates
    same = sa.and_(
        table.c.group_id == row.group_id,
        table.c.source_id == row.source_id,
        table.c.number == row.number,
        table.c.generation.is_not_distinct_from(row.generation),
    )
    store.update_unchanged(tx, table, same, values)


def _tell(
    tx: sa.Connection,
    now: datetime.datetime,
    view: group_view.GroupView,
    source_id: str,
    number: int,
    ruling: candidates.Ruling,
) -> None:
    name = next((row.display_name for row in view.sources if row.id == source_id), source_id)
    is_set = ruling.verdict is candidates.Verdict.SET
    generation = ruling.generation or view.candidates[source_id].generation
    leader = view.leases[source_id].station_id if source_id in view.leases else None
    message = (
        f"{view.hostname} stages generation {generation} of {name} next; {view.name_of(leader or '')} brought it."
        if is_set
        else f"{view.hostname} no longer stages generation {generation} of {name}: {ruling.reason}"
    )
    events.record(
        tx,
        now,
        events.EventKind.CANDIDATE_SET if is_set else events.EventKind.CANDIDATE_WITHDRAWN,
        events.Subject(source_id, name, view.compartment_id),
        message,
        data={"groupId": view.group_id, "number": number, "generation": generation, "leaderId": leader},
    )
