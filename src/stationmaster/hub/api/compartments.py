"""Operations on compartments, which the OSMH API leaves to the identity service."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import sqlalchemy as sa

from stationmaster.hub.api.call import Answer, Call
from stationmaster.hub.api.routes import OWN, Route
from stationmaster.hub.api.wire import base
from stationmaster.hub.services import compartments


class Compartment(base.Shown, frozen=True):
    """A compartment; the root has no parent."""

    id: str
    compartment_id: str | None
    name: str
    description: str
    time_created: str
    lifecycle_state: str = "ACTIVE"


class CompartmentCollection(base.Shown, frozen=True):
    """All compartments."""

    items: list[Compartment]


class CreateCompartmentDetails(base.Details, frozen=True):
    """A new compartment; below the root when no parent is named."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._ -]+$")]
    parent_id: str | None = None
    description: str = ""


def create_compartment(call: Call, tx: sa.Connection) -> Answer:
    """Make one."""
    details = call.body(CreateCompartmentDetails)
    row = compartments.create(
        tx,
        call.now,
        call.actor,
        parent_id=details.parent_id or call.hub.tenancy_id,
        name=details.name,
        description=details.description,
    )
    return Answer(200, _shown(row))


def list_compartments(call: Call, tx: sa.Connection) -> Answer:
    """All of them."""
    del call
    return Answer(200, CompartmentCollection(items=[_shown(row) for row in compartments.list_all(tx)]))


def _shown(row: Any) -> Compartment:
    return Compartment(
        id=row.id,
        compartment_id=row.parent_id,
        name=row.display_name,
        description=row.description,
        time_created=base.moment(row.time_created),
    )


ROUTES = (
    Route(
        method="POST",
        path=f"{OWN}/compartments",
        handler=create_compartment,
        body=CreateCompartmentDetails,
        answers=Compartment,
    ),
    Route(method="GET", path=f"{OWN}/compartments", handler=list_compartments, answers=CompartmentCollection),
)
