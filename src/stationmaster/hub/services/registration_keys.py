"""Registration keys and the response files that carry them. Only a key's digest is kept: what was lost is made anew."""

from __future__ import annotations

import datetime
import hashlib
import secrets
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import events, facts
from stationmaster.model import errors, response_file

# Design 12a: a station's key serves once within a day, others a fleet within a month.
_USUAL = {"STATION": (1, 1)}
_USUAL_OTHERS = (1000, 30)


def find_profile(tx: sa.Connection, profile_id: str) -> sa.Row[Any]:
    """The profile; NotFoundError otherwise."""
    table = schema.profiles
    row = tx.execute(
        sa.select(table).where(table.c.id == profile_id, table.c.lifecycle_state == "ACTIVE")
    ).one_or_none()
    if row is None:
        raise errors.NotFoundError(f"Unknown profile {profile_id}.")
    return row


def make_response_file(
    tx: sa.Connection,
    now: datetime.datetime,
    hub: context.Hub,
    profile_id: str,
    *,
    limits: tuple[int | None, int | None],
    actor: events.Actor,
) -> str:
    """A new key for the profile in the text of an ``input.rsp``; ``limits`` are uses and days, None for the usual."""
    profile = find_profile(tx, profile_id)
    usual = _USUAL.get(profile.profile_type, _USUAL_OTHERS)
    uses, days = limits[0] or usual[0], limits[1] or usual[1]
    gateway_host, gateway_port = _gateway(tx, hub, profile)
    key = secrets.token_urlsafe(32)
    tx.execute(
        schema.registration_keys.insert().values(
            key_digest=digest_of_key(key),
            profile_id=profile.id,
            uses_left=uses,
            time_expires=now + datetime.timedelta(days=days),
            created_by=actor.principal_id,
            time_created=now,
        )
    )
    events.record(
        tx,
        now,
        events.EventKind.REGISTRATION_KEY_MADE,
        events.Subject(profile.id, profile.display_name, profile.compartment_id),
        f"A registration key for {profile.display_name} was made: {uses} uses within {days} days.",
        actor=actor,
    )
    return response_file.render(
        response_file.ResponseFile(
            registration_key=key,
            gateway_host=gateway_host,
            gateway_port=gateway_port,
            hub_url=hub.public_url,
            ca_pem=hub.authority.ca_pem if hub.public_url.startswith("https:") else "",
        )
    )


def digest_of_key(key: str) -> str:
    """What is stored of a key; it has 256 random bits, so that it needs no salt."""
    return hashlib.sha256(key.encode()).hexdigest()


def find_key(tx: sa.Connection, key: str) -> sa.Row[Any]:
    """The stored key, used up or not; NotAuthenticatedError when there is none such."""
    table = schema.registration_keys
    row = tx.execute(sa.select(table).where(table.c.key_digest == digest_of_key(key))).one_or_none()
    if row is None:
        raise errors.NotAuthenticatedError(
            "The registration key is unknown.",
            hint="Make a new response file with `stationmaster profile response-file --profile-id OCID`.",
        )
    return row


def require_usable(row: sa.Row[Any], now: datetime.datetime) -> None:
    """Refused with 403 when the key's time is over or its uses are. Only who holds the key learns that."""
    hint = "Make a new response file with `stationmaster profile response-file --profile-id OCID`."
    if row.time_expires <= now:
        raise errors.CallerError(
            f"The registration key expired at {row.time_expires:%Y-%m-%dT%H:%M:%SZ}.", hint=hint, code="NotAllowed"
        )
    if row.uses_left < 1:
        raise errors.CallerError("The registration key has been used up.", hint=hint, code="NotAllowed")


def use_key(tx: sa.Connection, row: sa.Row[Any]) -> None:
    """Take one use; of two at once for the last one, one is refused."""
    table = schema.registration_keys
    done = tx.execute(
        table.update()
        .where(table.c.key_digest == row.key_digest, table.c.uses_left > 0)
        .values(uses_left=table.c.uses_left - 1)
    )
    if done.rowcount != 1:
        raise errors.CallerError("The registration key has been used up.", code="NotAllowed")


def _gateway(tx: sa.Connection, hub: context.Hub, profile: sa.Row[Any]) -> tuple[str, int]:
    if profile.profile_type == "STATION":
        address = facts.hub_facts(hub).address
        return address.host, address.port
    if profile.management_station_id is None:
        raise errors.ConflictError(
            f"The profile {profile.display_name} names no management station, so it has no gateway.",
            hint="Attach a station to the profile first.",
        )
    station = facts.station_facts(facts.find_station(tx, profile.management_station_id))
    return station.client_address.host, station.client_address.ports.proxy
