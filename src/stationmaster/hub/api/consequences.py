"""Warnings with a change: in the header of its answer, and without making it.

An operation that goes through `weighed` answers as before, with the header ``stationmaster-warnings`` where there is
something to say: a JSON array of sentences in ASCII, which clients that do not know it ignore. It has a twin below
``/stationmaster/v1/consequences``, followed by its own path, with the same method and body, that tells the warnings
and undoes everything: what would be refused is refused, with the same words. A hub of an earlier release answers 404
there, and does not make the change by mistake.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.host import network
from stationmaster.hub.api.call import Answer, Call
from stationmaster.hub.api.routes import OWN, Route
from stationmaster.hub.api.wire.base import Shown
from stationmaster.hub.db import schema
from stationmaster.hub.services import consequences as services
from stationmaster.model import addresses, consequences

HEADER = "stationmaster-warnings"
_MOST = 8
_LONGEST = 400
_KNOCK_SECONDS = 1.0


class Consequences(Shown, frozen=True):
    """What would happen beside what was asked for."""

    warnings: list[str]


@dataclasses.dataclass(frozen=True)
class _Prepared:
    """What the operation prepared, and what is wrong with the address that is asked for."""

    inner: Any
    about_address: tuple[str, ...]


def weighed(*routes: Route) -> tuple[Route, ...]:
    """The routes with warnings, and the twin of each."""
    return tuple(one for route in routes for one in (_with_header(route), _twin(route)))


def _with_header(route: Route) -> Route:
    def handle(call: Call, tx: sa.Connection) -> Answer:
        answer, found = _weigh(route, call, tx)
        return dataclasses.replace(answer, headers={**answer.headers, HEADER: encode(found)}) if found else answer

    handle.__doc__ = route.handler.__doc__
    return dataclasses.replace(route, handler=handle)


def _twin(route: Route) -> Route:
    def prepare(call: Call) -> _Prepared:
        return _Prepared(route.prepare(call) if route.prepare else None, _about_address(call))

    def handle(call: Call, tx: sa.Connection) -> Answer:
        prepared: _Prepared = call.prepared
        undone = tx.begin_nested()
        try:
            _, found = _weigh(route, dataclasses.replace(call, prepared=prepared.inner), tx)
        finally:
            undone.rollback()
        return Answer(200, Consequences(warnings=[*found, *prepared.about_address]))

    handle.__doc__ = f"What this would do to groups, without doing it: {route.handler.__doc__}"
    path = f"{OWN}/consequences{route.path}"
    return dataclasses.replace(
        route, path=path, handler=handle, prepare=prepare, answers=Consequences, takes_retry_token=False
    )


def encode(found: Sequence[str]) -> str:
    """As a header: ASCII, and of bounded length."""
    return json.dumps([one if len(one) <= _LONGEST else f"{one[: _LONGEST - 3]}..." for one in found[:_MOST]])


def _weigh(route: Route, call: Call, tx: sa.Connection) -> tuple[Answer, tuple[str, ...]]:
    keys = services.keys_of(tx, call.path)
    before = services.look(tx, keys)
    lost = services.losses(tx, call.now, call.hub, call.path.get("managementStationId"))
    answer = route.handler(call, tx)
    keys |= services.keys_of(tx, call.path)
    after = services.look(tx, keys)
    days = call.hub.times.retention.total_seconds() / 86400
    found = consequences.of_change(before, after, kept=f"for {days:g} days")
    is_leaving = call.method == "DELETE" or any("leaves the group" in one for one in found)
    return answer, (*(lost if is_leaving else ()), *found)


def _about_address(call: Call) -> tuple[str, ...]:
    """A group's name that is asked for anew: whether it resolves, and its mirror takes a connection from here."""
    hostname = getattr(call.decoded_body, "hostname", None)
    if not hostname:
        return ()
    host = addresses.canonical_host(hostname)
    table = schema.stations.c
    with call.hub.store.read() as tx:
        query = sa.select(table.hostname_key, table.mirror_port)
        row = tx.execute(query.where(table.id == call.path.get("managementStationId"))).one_or_none()
    if row is not None and row.hostname_key == host:
        return ()
    found = [host] if addresses.is_address(host) else call.hub.resolve(host)
    if not found:
        return (f"{host} does not resolve on the hub's host; clients and stations must know it.",)
    port = row.mirror_port if row is not None else None
    if port is None or any(network.is_answering(one, port, timeout=_KNOCK_SECONDS) for one in found[:2]):
        return ()
    return (f"{host} does not answer on port {port}, as seen from the hub: is there a balancer yet?",)
