"""Compartments: where resources live. The root is the tenancy itself."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.services import events
from stationmaster.model import errors, ocid


def find(tx: sa.Connection, compartment_id: str, *, field: str = "compartmentId") -> Any:
    """The compartment that a request names in ``field``; CallerError when it is no OCID, NotFoundError when unknown."""
    ocid.require_ocid(compartment_id, field=field)
    table = schema.compartments
    row = tx.execute(sa.select(table).where(table.c.id == compartment_id)).one_or_none()
    if row is None:
        raise errors.NotFoundError(f"{field}: there is no compartment {compartment_id}, or it is not yours to use.")
    return row


def create(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, *, parent_id: str, name: str, description: str
) -> Any:
    """A new compartment below ``parent_id``; its name is unique there."""
    find(tx, parent_id, field="parentId")
    table = schema.compartments
    taken = tx.execute(sa.select(table.c.id).where(table.c.parent_id == parent_id, table.c.display_name == name))
    if (other := taken.scalar_one_or_none()) is not None:
        raise errors.ConflictError(f"The compartment already has one named {name!r}: {other}.")
    compartment_id = ocid.mint(ocid.Kind.COMPARTMENT, "")
    tx.execute(
        table.insert().values(
            id=compartment_id,
            parent_id=parent_id,
            display_name=name,
            description=description,
            time_created=now,
            created_by=actor.principal_id,
        )
    )
    subject = events.Subject(compartment_id, name, compartment_id)
    events.record(tx, now, "COMPARTMENT_CREATED", subject, f"Compartment {name} was created.", actor=actor)
    return find(tx, compartment_id)


def list_all(tx: sa.Connection) -> Sequence[Any]:
    """All of them, root first, then by name."""
    table = schema.compartments
    return tx.execute(sa.select(table).order_by(table.c.parent_id.is_not(None), table.c.display_name)).all()
