"""What an agent calls: its check-in, and its goodbye."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api.call import Answer, Call, empty
from stationmaster.hub.api.routes import OWN, Access, Route, Transaction
from stationmaster.hub.db import schema, store
from stationmaster.hub.services import checkin, events, leaving
from stationmaster.model import errors, protocol

_LARGEST_INVENTORY = 32 << 20
_INSTANCE = sa.select(schema.managed_instances).where(schema.managed_instances.c.id == sa.bindparam("this"))


def receive_checkin(call: Call, _reading: sa.Connection) -> Answer:
    """POST managedInstances/{managedInstanceId}/checkin. What an agent forgets once acknowledged is a decision."""
    told = call.body(protocol.Checkin)
    kind = store.Kind.DECISION if told.reports or told.inventory is not None else store.Kind.FACT
    answer = call.hub.store.transact(
        lambda tx: checkin.receive(tx, call.now, call.hub, _require_own(call, tx), told), kind=kind
    )
    return Answer(200, answer)


def leave(call: Call, tx: sa.Connection) -> Answer:
    """POST managedInstances/{managedInstanceId}/leave."""
    leaving.remove(tx, call.now, _require_own(call, tx), events.Actor(call.principal.id, call.request_id))
    return empty()


def _require_own(call: Call, tx: sa.Connection) -> sa.Row[Any]:
    instance_id = call.path["managedInstanceId"]
    row = tx.execute(_INSTANCE, {"this": instance_id}).one_or_none() if instance_id == call.principal.id else None
    if row is None:
        raise errors.NotFoundError(f"Unknown managed instance {instance_id}.")
    return row


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{OWN}/managedInstances/{{managedInstanceId}}/checkin",
        handler=receive_checkin,
        body=protocol.Checkin,
        answers=protocol.CheckinAnswer,
        access=Access.MACHINES,
        transaction=Transaction.READ,
        takes_retry_token=False,
        max_body_bytes=_LARGEST_INVENTORY,
    ),
    Route(
        method="POST",
        path=f"{OWN}/managedInstances/{{managedInstanceId}}/leave",
        handler=leave,
        access=Access.MACHINES,
        takes_retry_token=False,
    ),
)
