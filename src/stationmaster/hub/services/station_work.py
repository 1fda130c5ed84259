"""Work that a station is asked to do: read its configuration again, sync mirrors. Each becomes a work request."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.services import events, mirror_lists, sync_requests, work_requests
from stationmaster.model import errors, groups


def refresh(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, station: Any) -> str:
    """A request that is done when the station has applied what the hub wants of it (OSMH rule 36)."""
    return _open(tx, now, actor, station, "SET_MANAGEMENT_STATION_CONFIG", f"Refresh station {station.display_name}")


def synchronize(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, station: Any, source_ids: Sequence[str]
) -> str:
    """A request that is done when each source was synced for the station's group, which the station is one of."""
    if not source_ids:
        raise errors.CallerError(
            "softwareSourceList is empty.", hint="Name each mirror to be synced; `list mirrors` shows them."
        )
    mirrored = mirror_lists.source_ids(tx, mirror_lists.members(tx, station.hostname, station.compartment_id))
    for source_id in source_ids:
        if source_id not in mirrored:
            raise errors.NotFoundError(
                f"Station {station.display_name} has no mirror {source_id}.",
                hint="A source is mirrored once a profile or instance that refers to a station of the group needs it.",
            )
    wanted = list(dict.fromkeys(source_ids))
    work_request_id = _open(
        tx,
        now,
        actor,
        station,
        "SYNC_MANAGEMENT_STATION_MIRROR",
        f"Sync {len(wanted)} mirror{'s' if len(wanted) > 1 else ''} of station {station.display_name}",
        wanted,
    )
    group_id = groups.group_id(station.hostname, station.compartment_id)
    sync_requests.ask(tx, now, group_id, wanted, work_request_id)
    return work_request_id


def _open(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    station: Any,
    operation_type: str,
    display_name: str,
    source_ids: Sequence[str] = (),
) -> str:
    if station.managed_instance_id is None:
        raise errors.ConflictError(
            f"No host has registered as station {station.display_name} yet.",
            hint="Register one with `stationmaster station register` and a response file of the station's profile.",
        )
    payload: dict[str, Any] = {"stationId": station.id}
    if source_ids:
        payload["softwareSourceIds"] = list(source_ids)
    return work_requests.open_request(
        tx,
        now,
        operation_type=operation_type,
        compartment_id=station.compartment_id,
        display_name=display_name,
        instance_ids=[station.managed_instance_id],
        metadata={"managementStationId": station.id},
        payload=payload,
        station_id=station.id,
        initiator_id=actor.principal_id,
    )
