"""Response files for people, and the registration of machines, which show a registration key and no signature."""

from __future__ import annotations

from typing import Annotated

import msgspec
import sqlalchemy as sa

from stationmaster.hub.api.call import Answer, Call
from stationmaster.hub.api.routes import OWN, Access, Route, Transaction
from stationmaster.hub.api.wire.base import Details, Shown
from stationmaster.hub.services import events, registration_keys, registrations
from stationmaster.model import protocol


class ResponseFileDetails(Details, frozen=True):
    """How often and how long the key serves; the usual limits of design 12a when left out."""

    uses: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=366)] | None = None


class ResponseFileContent(Shown, frozen=True):
    """The text of an ``input.rsp``; it is shown once, the hub keeps a digest of the key."""

    content: str


def make_response_file(call: Call, tx: sa.Connection) -> Answer:
    """POST profiles/{profileId}/responseFile."""
    details = call.body(ResponseFileDetails) if call.decoded_body is not None else ResponseFileDetails()
    content = registration_keys.make_response_file(
        tx,
        call.now,
        call.hub,
        call.path["profileId"],
        limits=(details.uses, details.days),
        actor=events.Actor(call.principal.id, call.request_id),
    )
    return Answer(200, ResponseFileContent(content=content))


def register(call: Call, reading: sa.Connection) -> Answer:
    """POST registrations. The key is looked at before the database is locked: anybody may call this."""
    request = call.body(protocol.RegistrationRequest)
    registration_keys.find_key(reading, request.registration_key)
    answer = call.hub.store.transact(
        lambda tx: registrations.register(tx, call.now, call.hub, request, request_id=call.request_id)
    )
    return Answer(200, answer)


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{OWN}/profiles/{{profileId}}/responseFile",
        handler=make_response_file,
        body=ResponseFileDetails,
        answers=ResponseFileContent,
        is_body_optional=True,
        # A repeated answer would have to be stored, and with it the key.
        takes_retry_token=False,
    ),
    Route(
        method="POST",
        path=f"{OWN}/registrations",
        handler=register,
        body=protocol.RegistrationRequest,
        answers=protocol.RegistrationAnswer,
        access=Access.ANYONE,
        transaction=Transaction.READ,
        takes_retry_token=False,
        max_body_bytes=1 << 16,
    ),
)
