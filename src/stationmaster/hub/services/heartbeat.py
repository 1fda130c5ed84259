"""A station's heartbeat: stored whole, answered with what the station should be and what its group shows.

Nothing is decided here: the scheduler looks at the stored reports every second. A heartbeat that was overtaken by a
newer one is answered and not stored.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

import msgspec
import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema, store
from stationmaster.hub.services import (
    events,
    facts,
    joining,
    leases,
    mirror_lists,
    port_changes,
    retention,
    scripts,
    sync_requests,
    volume_leases,
)
from stationmaster.hub.services.work_requests import clean
from stationmaster.model import addresses, desired, digest, errors, groups, moments, protocol, sharing

_SEEN_INTERVAL = datetime.timedelta(seconds=30)
_MOST_ADDRESSES = 16
_MOST_NOTICES = 50
_NO_TIME = datetime.timedelta(0)
_NONCE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class _Sent(msgspec.Struct, rename="camel"):
    """What orders a stored report, and what was noted with it."""

    time_sent: datetime.datetime
    notices: list[protocol.Notice] = []


def require_own(tx: sa.Connection, station_id: str, principal_id: str) -> sa.Row[Any]:
    """The station, when the caller is the host that registered as it; NotFoundError otherwise."""
    station = facts.find_station(tx, station_id)
    if station.managed_instance_id != principal_id:
        raise errors.NotFoundError(f"Unknown management station {station_id}.")
    return station


def receive(
    tx: sa.Connection,
    now: datetime.datetime,
    hub: context.Hub,
    station: sa.Row[Any],
    heartbeat: protocol.StationHeartbeat,
) -> protocol.HeartbeatAnswer:
    """Store what the station told, and answer. A lease is renewed only by what was stored (R5, R8)."""
    is_stored = _store_report(tx, now, hub, station, heartbeat)
    told = _addresses(heartbeat)
    if told and told != list(station.addresses):
        tx.execute(schema.stations.update().where(schema.stations.c.id == station.id).values(addresses=told))
        station = facts.find_station(tx, station.id)
    _mark_seen(tx, now, station.managed_instance_id, heartbeat)
    wanted = build_desired(tx, now, hub, station)
    wanted_digest = digest.digest_of(wanted)
    visible = facts.visible_generations(tx, wanted.group_id)
    is_leading = is_stored and hub.is_settled
    volume_id = volume_leases.believable_id(heartbeat.volume.volume_id)
    mirrored = [source.source_id for source in wanted.sources]
    removing = volume_leases.renew(tx, now, station.id, volume_id) if is_leading else None
    room = hub.orders.room_of(volume_id) if removing is not None else 0
    if removing is not None and room:
        removing = msgspec.structs.replace(removing, room_bytes=room)
    return protocol.HeartbeatAnswer(
        time_received=now,
        desired_digest=wanted_digest,
        desired=wanted if heartbeat.desired_digest != wanted_digest else None,
        visible=[visible[source.source_id] for source in wanted.sources if source.source_id in visible],
        is_in_rotation=not _is_excluded(tx, station.id)
        and joining.may_join(tx, now, hub, station, heartbeat, visible, mirrored),
        leases=leases.renew(tx, now, wanted.group_id, station.id, mirrored) if is_leading else [],
        copies=hub.orders.copies_of(station.id),
        volume_lease=removing,
        retained=retention.retained(tx, now, hub.times.retention, station, volume_id),
        volume_problem=hub.orders.problem_of(station.id),
        record=hub.orders.record_for(wanted.group_id, heartbeat.record),
        pinned=retention.retained(tx, now, _NO_TIME, station, volume_id) if room else None,
        noted=[one.id for one in heartbeat.notices] if is_stored else [],
    )


def build_desired(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, station: sa.Row[Any]
) -> protocol.StationDesired:
    """What this station should be."""
    members = mirror_lists.members(tx, station.hostname, station.compartment_id)
    own = facts.station_facts(station)
    group = desired.GroupFacts(
        members=tuple(facts.station_facts(member) for member in members),
        balancer_addresses=facts.balancer_addresses(tx, own.group_id, now),
        sync_numbers=sync_requests.latest_numbers(tx, own.group_id),
        beside=port_changes.beside(tx, own.group_id),
    )
    sources = [facts.source_facts(row) for row in mirror_lists.sources(tx, members)]
    script = scripts.instance_setup(hub, own)
    return desired.station_desired(own, group, sources, facts.hub_facts(hub), instance_setup_script=script)


def certificate_names(tx: sa.Connection, hub: context.Hub, station: sa.Row[Any]) -> list[str]:
    """What a station's certificate names: the group first (R2), then the station's own addresses.

    The addresses are the station's word. One by which the hub or another group is reached is not believed: a station is
    the way to the hub, and would with such a certificate be taken for it. What two groups claim goes to neither.
    """
    group = groups.group_key(station.hostname, station.compartment_id)
    table = schema.stations.c
    taken = {facts.hub_facts(hub).address.host}
    for other in tx.execute(sa.select(table.hostname, table.compartment_id, table.addresses)):
        if groups.group_key(other.hostname, other.compartment_id) != group:
            taken |= {addresses.canonical_host(one) for one in (other.hostname, *other.addresses)}
    return [group[0], *(one for one in station.addresses if one not in taken)]


def _store_report(
    tx: sa.Connection,
    now: datetime.datetime,
    hub: context.Hub,
    station: sa.Row[Any],
    heartbeat: protocol.StationHeartbeat,
) -> bool:
    """Whether it was stored: one that was overtaken by a newer one is not."""
    table, station_id = schema.station_reports, station.id
    former = tx.execute(sa.select(table).where(table.c.station_id == station_id)).one_or_none()
    nonces = list(former.nonces or ()) if former is not None else []
    own = heartbeat.volume.own_nonce
    if _NONCE.fullmatch(own) and own not in nonces:
        nonces = [own, *nonces][: sharing.KEPT_NONCES]
    values = {"time_received": now, "report": msgspec.json.encode(heartbeat).decode(), "nonces": nonces}
    if former is None:
        store.insert_first(tx, table, station_id=station_id, **values)
        _note(tx, now, station, heartbeat.notices)
        return True
    told = msgspec.json.decode(former.report, type=_Sent)
    sent = moments.as_utc(told.time_sent)
    # A station whose clock was set back is believed again after the liveness time.
    is_newer = moments.as_utc(heartbeat.time_sent) >= sent or now - former.time_received > hub.times.liveness
    if is_newer:
        tx.execute(table.update().where(table.c.station_id == station_id).values(values))
        known = {one.id for one in told.notices}
        _note(tx, now, station, [one for one in heartbeat.notices if one.id not in known])
    return is_newer


def _note(tx: sa.Connection, now: datetime.datetime, station: sa.Row[Any], notices: list[protocol.Notice]) -> None:
    """What a station did by itself becomes an event, once: those of its former report were noted with it."""
    subject = events.Subject(station.id, station.display_name, station.compartment_id)
    for one in notices[:_MOST_NOTICES]:
        line = clean(" ".join(one.message.split()), 1000)
        message = f"{station.display_name}: {line}"
        data = {"code": clean(one.code, 64), "time": moments.as_utc(one.time).isoformat()}
        events.record(tx, now, events.EventKind.STATION_NOTICE, subject, message, data=data)


def _mark_seen(
    tx: sa.Connection, now: datetime.datetime, instance_id: str, heartbeat: protocol.StationHeartbeat
) -> None:
    """The station's host is a managed instance as well; half a minute is exact enough for its status."""
    table = schema.managed_instances
    tx.execute(
        table.update()
        .where(table.c.id == instance_id)
        .where(sa.or_(table.c.time_last_checkin.is_(None), table.c.time_last_checkin < now - _SEEN_INTERVAL))
        .values(time_last_checkin=now, lifecycle_state="ACTIVE", agent_version=clean(heartbeat.daemon_version, 64))
    )


def _addresses(heartbeat: protocol.StationHeartbeat) -> list[str]:
    found = [addresses.canonical_host(one) for one in heartbeat.addresses[:_MOST_ADDRESSES]]
    return list(dict.fromkeys(one for one in found if addresses.is_address(one)))


def _is_excluded(tx: sa.Connection, station_id: str) -> bool:
    table = schema.station_lags.c
    query = sa.select(sa.func.count()).where(table.station_id == station_id, table.time_excluded.is_not(None))
    return bool(tx.execute(query).scalar_one())
