"""What anybody may ask the hub: whether it lives, and which CA to trust."""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from stationmaster.hub.api.call import Answer, Call
from stationmaster.hub.api.routes import OWN, Access, Route
from stationmaster.hub.api.wire.base import Shown


class Health(Shown, frozen=True):
    """That it lives, and its clock."""

    status: str
    time: datetime.datetime


def show_health(call: Call, tx: sa.Connection) -> Answer:
    """200 when the hub answers and its database does, and may be written: a balancer then sends machines here."""
    call.hub.store.look()
    tx.execute(sa.text("SELECT 1"))
    return Answer(200, Health(status="UP", time=call.now))


def show_ca(call: Call, tx: sa.Connection) -> Answer:
    """The CA certificate as PEM. Whoever fetches it over a connection that it does not yet trust compares it first."""
    del tx
    return Answer(200, content=call.hub.authority.ca_pem.encode(), content_type="application/x-pem-file")


ROUTES = (
    Route(method="GET", path=f"{OWN}/health", handler=show_health, answers=Health, access=Access.ANYONE),
    Route(method="GET", path=f"{OWN}/ca", handler=show_ca, answers=str, access=Access.ANYONE),
)
