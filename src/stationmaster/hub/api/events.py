"""What happened, newest first: the hub's own list, which the OSMH events do not cover."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from stationmaster.hub.api import decoding, paging
from stationmaster.hub.api.call import Answer, Call
from stationmaster.hub.api.routes import OWN, Route
from stationmaster.hub.api.wire import base
from stationmaster.hub.db import schema


class Event(base.Shown, frozen=True):
    """One event."""

    id: str
    time_occurred: str
    kind: str
    compartment_id: str
    resource_id: str
    resource_name: str
    principal_id: str
    request_id: str
    message: str
    data: dict[str, Any]


class EventCollection(base.Shown, frozen=True):
    """A page of events."""

    items: list[Event]


class EventsQuery(decoding.PageQuery, frozen=True, kw_only=True):
    """Filters of the list of events."""

    sort_by: Literal["timeOccurred"] = "timeOccurred"
    compartment_id: str | None = None
    resource_id: str | None = None
    kind: list[str] = msgspec.field(default_factory=list)


def list_events(call: Call, tx: sa.Connection) -> Answer:
    """ListEvents of Stationmaster's own API."""
    query, table = call.query(EventsQuery), schema.events.c
    statement = sa.select(schema.events)
    if query.compartment_id:
        statement = statement.where(table.compartment_id == query.compartment_id)
    if query.resource_id:
        statement = statement.where(table.resource_id == query.resource_id)
    if query.kind:
        statement = statement.where(table.kind.in_(query.kind))
    page = paging.select_page(call, tx, statement, columns={"timeOccurred": table.time_occurred}, id_column=table.id)
    return page.answer(EventCollection(items=[_shown(row) for row in page.items]))


def _shown(row: Any) -> Event:
    return Event(
        id=row.id,
        time_occurred=base.moment(row.time_occurred),
        kind=row.kind,
        compartment_id=row.compartment_id,
        resource_id=row.resource_id,
        resource_name=row.resource_name,
        principal_id=row.principal_id,
        request_id=row.request_id,
        message=row.message,
        data=row.data,
    )


ROUTES = (Route(method="GET", path=f"{OWN}/events", handler=list_events, query=EventsQuery, answers=EventCollection),)
