"""Tells of changes of a station's health: one event when it turns, by whichever hub replica sees it first."""

from __future__ import annotations

import datetime
import functools
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema, store
from stationmaster.hub.services import events, group_view
from stationmaster.model import station_state


def tell_changes(hub: context.Hub, now: datetime.datetime, view: group_view.GroupView) -> None:
    """Events for the members whose health differs from what was last told."""
    with hub.store.read() as tx:
        known = _known(tx, view)
    for member in view.members:
        state = _health(hub, now, view, member)
        if known.get(member.id) != state.health_state:
            hub.store.transact(functools.partial(_tell, now=now, member=member, state=state))


def _health(
    hub: context.Hub, now: datetime.datetime, view: group_view.GroupView, member: Any
) -> station_state.StationState:
    time_received, report = view.reports.get(member.id, (None, None))
    told = station_state.Facts(
        is_registered=member.managed_instance_id is not None,
        source_ids=(),
        visible={},
        times_visible={},
        queued=(),
        report=report,
        time_received=time_received,
    )
    return station_state.compute_state(told, now, hub.times.liveness)


def _known(tx: sa.Connection, view: group_view.GroupView) -> dict[str, str]:
    table = schema.station_healths.c
    member_ids = [member.id for member in view.members]
    rows = tx.execute(sa.select(table.station_id, table.state).where(table.station_id.in_(member_ids)))
    return {row.station_id: row.state for row in rows}


def _tell(tx: sa.Connection, now: datetime.datetime, member: Any, state: station_state.StationState) -> None:
    table = schema.station_healths
    former = tx.execute(sa.select(table.c.state).where(table.c.station_id == member.id)).scalar()
    if former == state.health_state:
        return
    values = {"state": state.health_state, "description": state.health_description, "time_changed": now}
    if former is None:
        try:
            tx.execute(table.insert().values(station_id=member.id, **values))
        except sa.exc.IntegrityError as exc:
            raise store.RaceError from exc
        if state.health_state == "UNAVAILABLE":
            return  # as every station begins
    else:
        tx.execute(table.update().where(table.c.station_id == member.id).values(values))
    events.record(
        tx,
        now,
        events.EventKind.STATION_HEALTH_CHANGED,
        events.Subject(member.id, member.display_name, member.compartment_id),
        f"{member.display_name} is {state.health_state}. {state.health_description}",
        data={"healthState": state.health_state, "former": former},
    )
