"""An agent's check-in: what it reports is stored once, what it should be and do is answered.

1. Job reports, by number: one that is known already changes nothing; all are acknowledged once they are stored.
2. Facts and inventory; the inventory travels only when its digest changed.
3. What the instance should be, when its digest differs.
4. Jobs: dispatched at least once, again until the agent reports an end (it knows them by their id). A job that needs
   packages waits until the group's visible generations hold what it needs (I14), and runs on exactly those.
"""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
import zstandard

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import facts, job_reports, work_requests
from stationmaster.model import desired, digest, dispatch, plain_text, protocol, work_request
from stationmaster.model.work_request import Status

LEAVING = "DELETING"

# Built once: a check-in is most of what a hub does, and building a statement costs more than running it.
_THIS: sa.BindParameter[str] = sa.bindparam("this")
_SOURCES = (
    sa.select(schema.software_sources, schema.instance_sources.c.is_enabled)
    .join(schema.instance_sources, schema.instance_sources.c.source_id == schema.software_sources.c.id)
    .where(schema.instance_sources.c.managed_instance_id == _THIS)
)
_STATION = sa.select(schema.stations).where(schema.stations.c.id == _THIS)
_INVENTORY_DIGEST = sa.select(schema.instance_inventories.c.digest).where(
    schema.instance_inventories.c.managed_instance_id == _THIS
)
_STORE_FACTS = schema.managed_instances.update().where(schema.managed_instances.c.id == _THIS)
_OPEN_WORK = (
    sa.select(schema.work_requests)
    .where(schema.work_requests.c.managed_instance_id == _THIS)
    .where(schema.work_requests.c.status.in_(sorted(one.value for one in work_request.OPEN)))
    .where(schema.work_requests.c.operation_type.in_(sorted(dispatch.OPERATIONS)))
    .order_by(schema.work_requests.c.time_created, schema.work_requests.c.id)
)


def receive(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, instance: sa.Row[Any], told: protocol.Checkin
) -> protocol.CheckinAnswer:
    """Store what the agent told, and answer."""
    acknowledged = job_reports.store_reports(tx, now, instance.id, told.reports)
    wanted = build_desired(tx, hub, instance)
    wanted_digest = digest.digest_of(wanted)
    is_inventory_wanted = _store_inventory(tx, now, instance, told)
    _store_facts(tx, now, instance, told, wanted_digest)
    is_leaving = instance.lifecycle_state == LEAVING
    return protocol.CheckinAnswer(
        time_received=now,
        checkin_seconds=hub.times.checkin.total_seconds(),
        desired_digest=wanted_digest,
        desired=wanted if told.desired_digest != wanted_digest else None,
        is_inventory_wanted=is_inventory_wanted,
        acknowledged=acknowledged,
        jobs=[] if is_leaving else _dispatch(tx, now, instance),
        is_leaving=is_leaving,
    )


def build_desired(tx: sa.Connection, hub: context.Hub, instance: sa.Row[Any]) -> protocol.InstanceDesired:
    """What this instance should be pointed at."""
    station = None
    if instance.primary_station_id:
        station = tx.execute(_STATION, {"this": instance.primary_station_id}).one()
    rows = tx.execute(_SOURCES, {"this": instance.id}).all()
    return desired.instance_desired(
        instance.id,
        facts.station_facts(station) if station else None,
        [(facts.source_facts(row), row.is_enabled) for row in rows],
        facts.hub_facts(hub),
    )


def read_inventory(tx: sa.Connection, instance_id: str) -> protocol.Inventory:
    """The last inventory; an empty one when there is none yet."""
    table = schema.instance_inventories
    content = tx.execute(sa.select(table.c.content).where(table.c.managed_instance_id == instance_id)).scalar()
    if content is None:
        return protocol.Inventory(installed=[], updatable=[])
    return msgspec.json.decode(zstandard.decompress(content), type=protocol.Inventory)


def _store_inventory(tx: sa.Connection, now: datetime.datetime, instance: sa.Row[Any], told: protocol.Checkin) -> bool:
    """Whether the agent should send its inventory next time."""
    table = schema.instance_inventories
    stored = tx.execute(_INVENTORY_DIGEST, {"this": instance.id}).scalar()
    told_digest = work_requests.clean(told.inventory_digest, 64)
    if told.inventory is None:
        return bool(told_digest) and stored != told_digest
    values = {
        "digest": told_digest,
        "time_received": now,
        "content": zstandard.compress(msgspec.json.encode(told.inventory)),
    }
    if stored is None:
        tx.execute(table.insert().values(managed_instance_id=instance.id, **values))
    else:
        tx.execute(table.update().where(table.c.managed_instance_id == instance.id).values(values))
    return False


def _store_facts(
    tx: sa.Connection, now: datetime.datetime, instance: sa.Row[Any], told: protocol.Checkin, wanted_digest: str
) -> None:
    clean, given = work_requests.clean, told.facts
    values: dict[str, Any] = {
        "time_last_checkin": now,
        "host_name": clean(given.host_name, 255) or instance.host_name,
        "os_name": clean(given.os_name, 255),
        "os_version": clean(given.os_version, 255),
        "os_kernel_version": clean(given.kernel_version, 255),
        "agent_version": clean(given.agent_version, 64),
        "package_manager": given.package_manager.value if given.package_manager else instance.package_manager,
        "is_reboot_required": told.is_reboot_required,
        "desired_digest": wanted_digest,
        "applied_digest": clean(told.applied_digest, 64),
        "problems": [_plain(problem) for problem in told.problems[:50]],
        "address_in_use": _plain(told.address_in_use) if told.address_in_use else None,
    }
    if instance.lifecycle_state == "ONBOARDING":
        values["lifecycle_state"] = "ACTIVE"
    if told.inventory is not None:
        values["installed_packages"] = len(told.inventory.installed)
        values["updates_available"] = len(told.inventory.updatable)
        values["time_last_software_refresh"] = now
    tx.execute(_STORE_FACTS, {"this": instance.id, **values})


def _plain(message: msgspec.Struct) -> Any:
    """As plain values, their texts without control characters: PostgreSQL has no place for NUL."""
    return _cleaned(msgspec.to_builtins(message))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return plain_text.without_control(value)
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if isinstance(value, dict):
        return {key: _cleaned(one) for key, one in value.items()}
    return value


def _dispatch(tx: sa.Connection, now: datetime.datetime, instance: sa.Row[Any]) -> list[protocol.Job]:
    rows = tx.execute(_OPEN_WORK, {"this": instance.id}).all()
    if not rows:
        return []
    pinned, missing = _visible_for(tx, instance)
    jobs = []
    for row in rows:
        operation = dispatch.OPERATIONS[row.operation_type]
        if missing and dispatch.needs_packages(operation):
            _wait(tx, now, row, missing)
            continue
        if Status(row.status) is Status.WAITING:
            work_requests.move(tx, now, row, Status.ACCEPTED)
        if row.time_dispatched is None:
            table = schema.work_requests
            tx.execute(table.update().where(table.c.id == row.id).values(time_dispatched=now))
            work_requests.add_log(tx, now, row.id, f"Handed to the agent of {instance.display_name}.")
        packages = row.payload.get("packageNames", [])
        jobs.append(protocol.Job(work_request_id=row.id, operation=operation, packages=packages, visible=pinned))
    return jobs


def _visible_for(tx: sa.Connection, instance: sa.Row[Any]) -> tuple[list[protocol.Visible], list[str]]:
    """I14: what is visible of the instance's sources in its group, and the names of those of which nothing is."""
    sources, attached = schema.software_sources.c, schema.instance_sources.c
    rows = tx.execute(
        sa.select(sources.id, sources.display_name)
        .join(schema.instance_sources, attached.source_id == sources.id)
        .where(attached.managed_instance_id == instance.id, attached.is_enabled, sources.is_mirror_sync_allowed)
        .order_by(sources.id)
    ).all()
    if instance.primary_station_id is None:
        return [], []
    station = facts.station_facts(facts.find_station(tx, instance.primary_station_id))
    visible = facts.visible_generations(tx, station.group_id)
    missing = sorted(row.display_name for row in rows if row.id not in visible)
    return [visible[row.id] for row in rows if row.id in visible], missing


def _wait(tx: sa.Connection, now: datetime.datetime, row: sa.Row[Any], missing: list[str]) -> None:
    reason = f"Waiting: the stations do not show {', '.join(missing)} yet."
    if Status(row.status) is Status.ACCEPTED and work_requests.move(tx, now, row, Status.WAITING, message=reason):
        work_requests.add_log(tx, now, row.id, reason)
