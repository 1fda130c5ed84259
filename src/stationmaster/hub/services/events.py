"""What happened, for people: one row in the transaction that made it happen."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.model import ocid

HUB_ITSELF = "hub"


class EventKind(enum.StrEnum):
    """What can happen beyond the creation, change and removal of resources."""

    MACHINE_REGISTERED = "MACHINE_REGISTERED"
    MACHINE_LEFT = "MACHINE_LEFT"
    REGISTRATION_KEY_MADE = "REGISTRATION_KEY_MADE"
    STATION_HEALTH_CHANGED = "STATION_HEALTH_CHANGED"
    STATION_NOTICE = "STATION_NOTICE"
    STATION_DRAINED = "STATION_DRAINED"
    STATION_UNDRAINED = "STATION_UNDRAINED"
    STATION_LEFT_ROTATION = "STATION_LEFT_ROTATION"
    STATION_RETURNED_TO_ROTATION = "STATION_RETURNED_TO_ROTATION"
    GENERATION_VISIBLE = "GENERATION_VISIBLE"
    GENERATION_ADOPTED = "GENERATION_ADOPTED"
    GENERATION_RESTORED = "GENERATION_RESTORED"
    STATION_LEAVES_WITH_DATA = "STATION_LEAVES_WITH_DATA"
    CANDIDATE_SET = "CANDIDATE_SET"
    CANDIDATE_WITHDRAWN = "CANDIDATE_WITHDRAWN"
    LEASE_MOVED = "LEASE_MOVED"
    VOLUME_LEASE_MOVED = "VOLUME_LEASE_MOVED"
    SHARING_BROKEN = "SHARING_BROKEN"
    SHARING_RESTORED = "SHARING_RESTORED"
    BALANCERS_CHANGED = "BALANCERS_CHANGED"
    BALANCER_CERTIFIED = "BALANCER_CERTIFIED"
    PORTS_CHANGING = "PORTS_CHANGING"
    PORTS_TOLD = "PORTS_TOLD"
    PORTS_CHANGED = "PORTS_CHANGED"
    PORTS_CHANGE_UNDONE = "PORTS_CHANGE_UNDONE"
    INSTANCE_UPDATED = "INSTANCE_UPDATED"
    INSTANCE_RE_POINTED = "INSTANCE_RE_POINTED"
    WORK_REQUEST_FINISHED = "WORK_REQUEST_FINISHED"
    SCHEDULED_JOB_CREATED = "SCHEDULED_JOB_CREATED"
    SCHEDULED_JOB_UPDATED = "SCHEDULED_JOB_UPDATED"
    SCHEDULED_JOB_DELETED = "SCHEDULED_JOB_DELETED"
    SCHEDULED_JOB_RUN = "SCHEDULED_JOB_RUN"


@dataclasses.dataclass(frozen=True)
class Actor:
    """Who did it, and in which request; the hub itself when nobody asked."""

    principal_id: str = HUB_ITSELF
    request_id: str = ""


@dataclasses.dataclass(frozen=True)
class Subject:
    """What it happened to."""

    id: str
    name: str
    compartment_id: str


def record(
    tx: sa.Connection,
    now: datetime.datetime,
    kind: str,
    subject: Subject,
    message: str,
    *,
    actor: Actor = Actor(),
    data: Mapping[str, Any] | None = None,
) -> None:
    """One event. ``message`` is for a person and says what changed and why; ``data`` the same for a program."""
    tx.execute(
        schema.events.insert().values(
            id=ocid.mint(ocid.Kind.EVENT, region_of(subject.compartment_id)),
            time_occurred=now,
            kind=str(kind),
            compartment_id=subject.compartment_id,
            resource_id=subject.id,
            resource_name=subject.name,
            principal_id=actor.principal_id or HUB_ITSELF,
            request_id=actor.request_id,
            message=message,
            data=dict(data or {}),
        )
    )


def region_of(resource_id: str) -> str:
    """The region as it stands in an OCID: what belongs to a resource is minted in the same one."""
    parts = resource_id.split(".")
    return parts[3] if len(parts) > 4 else ""
