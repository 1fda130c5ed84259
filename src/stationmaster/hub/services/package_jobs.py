"""Work on packages: one work request per instance and kind of update, below a parent when there are several."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.services import events, work_requests
from stationmaster.model import dispatch, errors

_WORDS = {
    "INSTALL_PACKAGES": "Install packages",
    "REMOVE_PACKAGES": "Remove packages",
    "UPDATE_PACKAGES": "Update packages",
    dispatch.UPDATE_ALL_PACKAGES: "Update all packages",
    "UPDATE_SECURITY": "Install security updates",
    "UPDATE_BUGFIX": "Install bug fix updates",
    "UPDATE_ENHANCEMENT": "Install enhancement updates",
    "UPDATE_OTHER": "Install other updates",
    dispatch.LIST_PACKAGES: "Refresh software information",
    "SET_SOFTWARE_SOURCES": "Set software sources",
}


def order(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    instances: Sequence[Any],
    operations: Sequence[tuple[str, Sequence[str]]],
    **further: Any,
) -> str:
    """Work for instances: each operation with its packages. The id of the request, or of the parent of them all.

    ``further`` may hold ``display_name``, ``description`` and ``scheduled_job_id``.
    """
    for instance in instances:
        if instance.lifecycle_state == "DELETING":
            raise errors.ConflictError(f"{instance.display_name} is being unregistered.")
    name = further.pop("display_name", None)
    common = {"initiator_id": actor.principal_id, **further}
    if len(instances) == 1 and len(operations) == 1:
        return _open(tx, now, instances[0], operations[0], name, common)
    if not instances:
        raise errors.ConflictError("There is no instance to do this on.")
    words = _WORDS[operations[0][0]] if len(operations) == 1 else "Install updates"
    parent_id = work_requests.open_request(
        tx,
        now,
        operation_type=operations[0][0],
        compartment_id=instances[0].compartment_id,
        display_name=name or f"{words} on {len(instances)} instances",
        **common,
    )
    for instance in instances:
        for operation in operations:
            _open(tx, now, instance, operation, None, {**common, "parent_id": parent_id})
    return parent_id


def update_operations(
    package_names: Sequence[str] | None, update_types: Sequence[str] | None
) -> list[tuple[str, Sequence[str]]]:
    """What an update request asks for; packages and kinds exclude each other, neither means all."""
    if package_names and update_types:
        raise errors.CallerError("packageNames and updateTypes exclude each other.")
    if package_names:
        return [("UPDATE_PACKAGES", list(package_names))]
    wanted = list(dict.fromkeys(update_types or ["ALL"]))
    for one in wanted:
        if one.startswith("KSPLICE"):
            raise errors.CallerError(f"updateTypes: {one} is not supported.", hint="Use SECURITY, BUGFIX or ALL.")
    if "ALL" in wanted:
        wanted = ["ALL"]
    return [(dispatch.operation_of_update_type(one), []) for one in wanted]


def _open(
    tx: sa.Connection,
    now: datetime.datetime,
    instance: Any,
    operation: tuple[str, Sequence[str]],
    name: str | None,
    common: dict[str, Any],
) -> str:
    return work_requests.open_request(
        tx,
        now,
        operation_type=operation[0],
        compartment_id=instance.compartment_id,
        display_name=name or f"{_WORDS[operation[0]]} on {instance.display_name}",
        instance_ids=[instance.id],
        payload={"packageNames": list(operation[1])},
        **common,
    )
