"""A station that goes and takes with it what only it holds: warned of, and deleted when the others have it (R12-R18).

A station that is deleted stays for at most the lag limit while others of its group lack what clients are told of a
source, or what is staged, and could copy it. One that is moved or renamed goes at once, as the API has it; what its
former group loses is said in the event.
"""

from __future__ import annotations

import contextlib
import datetime
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import events, group_view, stations
from stationmaster.model import errors, rotation

DELETING = "DELETING"


def delete(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, hub: context.Hub, row: Any) -> None:
    """Delete a station, at once unless the others should have something of it first. Asked again, it goes at once."""
    stations.require_deletable(tx, row)
    losses = what_is_lost(tx, now, hub, row)
    if not losses or row.lifecycle_state == DELETING:
        stations.delete(tx, now, actor, row)
        return
    table = schema.stations
    values = {"lifecycle_state": DELETING, "time_updated": now, "revision": row.revision + 1}
    tx.execute(table.update().where(table.c.id == row.id).values(values))
    seconds = hub.times.lag_limit.total_seconds()
    message = (
        f"{row.display_name} goes when its peers have what only it holds, or in {seconds:.0f} s. {' '.join(losses)}"
    )
    _tell(tx, now, actor, row, message)


def warn(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, hub: context.Hub, row: Any) -> None:
    """Before ``row`` leaves its group: an event, when that takes something from the others."""
    losses = what_is_lost(tx, now, hub, row)
    if losses:
        _tell(tx, now, actor, row, f"{row.display_name} leaves the group of {row.hostname}. {' '.join(losses)}")


def what_is_lost(tx: sa.Connection, now: datetime.datetime, hub: context.Hub, row: Any) -> list[str]:
    """What others of the group could copy from this station and from no other in touch, in words."""
    view, limits = group_view.view_group(tx, now, row), group_view.limits_of(hub)
    names = {source.id: source.display_name for source in view.sources}
    losses = []
    for source_id, snapshot in view.snapshots.items():
        losses += [
            f"It is the only one in touch that holds generation {generation} of {names[source_id]}."
            for generation in rotation.held_alone(snapshot, row.id, limits)
        ]
    return losses


def finish(tx: sa.Connection, now: datetime.datetime, hub: context.Hub, view: group_view.GroupView) -> None:
    """Delete those that wait to be deleted and hold nothing alone any more, or have waited long enough."""
    for member in view.members:
        if member.lifecycle_state != DELETING:
            continue
        row = stations.find(tx, member.id)
        is_overdue = now - row.time_updated >= hub.times.lag_limit
        if is_overdue or not what_is_lost(tx, now, hub, row):
            with contextlib.suppress(errors.ConflictError):  # something refers to it since: it stays until that goes
                stations.delete(tx, now, events.Actor(), row)


def _tell(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, message: str) -> None:
    subject = events.Subject(row.id, row.display_name, row.compartment_id)
    events.record(tx, now, events.EventKind.STATION_LEAVES_WITH_DATA, subject, message, actor=actor)
