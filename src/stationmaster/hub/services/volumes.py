"""Volumes over all groups: who is proved to share one, who may not use the one it shows, who may remove (R10).

One look a second at what all stations said of their volumes. Rows change only when something happened.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema, store
from stationmaster.hub.services import events, volume_leases
from stationmaster.model import leadership, protocol, sharing


class _Told(msgspec.Struct, rename="camel"):
    """What of a stored heartbeat is looked at here."""

    volume: protocol.VolumeReport


_TOLD = msgspec.json.Decoder(_Told)


@dataclasses.dataclass(frozen=True)
class Look:
    """All stations in touch whose volume can be used, and what is stored of volumes."""

    stations: Mapping[str, sa.Row[Any]]
    told: Mapping[str, protocol.VolumeReport]
    known: Mapping[str, sa.Row[Any]]
    leases: Mapping[str, sa.Row[Any]]
    doubts: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be written: stations whose volume is new, whose doubt or refusal begins or ends, and leases."""

    seen: tuple[str, ...]
    doubts: Mapping[str, bool]
    refusals: Mapping[str, bool]
    leases: Mapping[str, leadership.Ruling]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.seen or self.doubts or self.refusals or self.leases)


def step(hub: context.Hub, now: datetime.datetime, *, is_settled: bool) -> None:
    """Look, write what changed, and leave for the heartbeats what speaks against volumes."""
    with hub.store.read() as tx:
        look = look_at(tx, now, hub.times.liveness)
    if not plan(look, now, hub, is_settled=is_settled).is_empty:

        def work(tx: sa.Connection) -> Look:
            fresh = look_at(tx, now, hub.times.liveness)
            _write(tx, now, fresh, plan(fresh, now, hub, is_settled=is_settled))
            return look_at(tx, now, hub.times.liveness)

        look = hub.store.transact_as_one("volumes", work) or look
    hub.orders.set_room(_room(look))
    refused = {one: look.doubts[one] for one, row in look.known.items() if row.is_refused and one in look.doubts}
    hub.orders.set_problems({one: _problem(look, one, other) for one, other in refused.items()})


def look_at(tx: sa.Connection, now: datetime.datetime, liveness: datetime.timedelta) -> Look:
    """Everything in four queries."""
    known = {row.station_id: row for row in tx.execute(sa.select(schema.station_volumes))}
    stations, told, nonces = {}, {}, {}
    query = sa.select(schema.stations, schema.station_reports.c.report, schema.station_reports.c.nonces).join(
        schema.station_reports, schema.station_reports.c.station_id == schema.stations.c.id
    )
    for row in tx.execute(query.where(schema.station_reports.c.time_received >= now - liveness)):
        volume = _decode(row.report)
        if volume is not None:
            stations[row.id], told[row.id], nonces[row.id] = row, volume, tuple(row.nonces or ())
    sights = [
        sharing.Sight(
            one,
            str(volume.volume_id),
            nonces[one],
            volume.nonces,
            known[one].time_first_seen if one in known and known[one].volume_id == volume.volume_id else now,
        )
        for one, volume in told.items()
    ]
    leases = {row.volume_id: row for row in tx.execute(sa.select(schema.volume_leases))}
    return Look(stations, told, known, leases, sharing.doubted(sights))


def plan(look: Look, now: datetime.datetime, hub: context.Hub, *, is_settled: bool) -> Plan:
    """Decide. A doubt becomes a refusal when it lasts a liveness period: a nonce takes its time."""
    seen = tuple(
        one
        for one, volume in sorted(look.told.items())
        if one not in look.known or look.known[one].volume_id != volume.volume_id
    )
    doubts, refusals = {}, {}
    for one, row in look.known.items():
        if one not in look.told or one in seen:
            continue
        is_doubted = one in look.doubts
        if is_doubted != (row.time_doubted is not None):
            doubts[one] = is_doubted
        is_refused = is_doubted and row.time_doubted is not None and now - row.time_doubted >= hub.times.liveness
        if is_refused != row.is_refused and is_settled:
            refusals[one] = is_refused
    terms = leadership.Terms(lease=hub.times.lease.total_seconds())
    rulings = volume_leases.plan_leases(_contenders(look), look.leases, now, terms, is_settled=is_settled)
    return Plan(seen, doubts, refusals, rulings)


def _room(look: Look) -> dict[str, int]:
    """By volume, the most that one of its stations waits for."""
    found: dict[str, int] = {}
    for volume in look.told.values():
        if volume.volume_id and volume.room_bytes > 0:
            found[volume.volume_id] = max(volume.room_bytes, found.get(volume.volume_id, 0))
    return found


def _contenders(look: Look) -> dict[str, list[leadership.Contender]]:
    found: dict[str, list[leadership.Contender]] = {}
    for one, volume in sorted(look.told.items()):
        contender = leadership.Contender(
            id=one, hindrance=_hindrance(look, one, volume), token=volume_leases.believable(volume.writer_token)
        )
        found.setdefault(str(volume.volume_id), []).append(contender)
    return found


def _hindrance(look: Look, station_id: str, volume: protocol.VolumeReport) -> str:
    if not volume.own_nonce:
        return "It writes no nonces."
    if station_id in look.doubts:
        return "It is not proved that it shares the volume."
    return "" if volume.is_writable else "It cannot write."


def _decode(report: str) -> protocol.VolumeReport | None:
    try:
        volume = _TOLD.decode(report).volume
    except msgspec.MsgspecError:
        return None
    return volume if volume_leases.believable_id(volume.volume_id) and volume.problem is None else None


def _write(tx: sa.Connection, now: datetime.datetime, look: Look, made: Plan) -> None:
    table = schema.station_volumes
    for one in made.seen:
        tx.execute(table.delete().where(table.c.station_id == one))
        values = {"volume_id": look.told[one].volume_id, "time_first_seen": now, "is_refused": False}
        store.insert_first(tx, table, station_id=one, **values)
    for one, is_doubted in made.doubts.items():
        tx.execute(table.update().where(table.c.station_id == one).values(time_doubted=now if is_doubted else None))
    for one, is_refused in made.refusals.items():
        same = sa.and_(table.c.station_id == one, table.c.is_refused.is_(not is_refused))
        if tx.execute(table.update().where(same).values(is_refused=is_refused)).rowcount == 1:
            _tell(tx, now, look, one, is_refused=is_refused)
    volume_leases.write_leases(tx, now, look.stations, look.leases, made.leases)


def _tell(tx: sa.Connection, now: datetime.datetime, look: Look, station_id: str, *, is_refused: bool) -> None:
    row = look.stations[station_id]
    kind = events.EventKind.SHARING_BROKEN if is_refused else events.EventKind.SHARING_RESTORED
    message = (
        _problem(look, station_id, look.doubts[station_id]).message
        if is_refused
        else f"{row.display_name} may use its volume again."
    )
    subject = events.Subject(row.id, row.display_name, row.compartment_id)
    events.record(tx, now, kind, subject, message, data={"volumeId": look.told[station_id].volume_id})


def _problem(look: Look, station_id: str, other: str) -> protocol.Problem:
    name = look.stations[other].display_name if other in look.stations else other
    volume = look.told[station_id]
    return protocol.Problem(
        code="VolumeCopied",
        message=(
            f"{name} shows the same volume id {volume.volume_id}, and neither reads what the other writes: the "
            f"directory {volume.directory} was copied, or one of them sees stale data. If it was copied, stop this "
            "station, run `stationmaster station take-volume --new-id --state-dir DIR` on its host, and start it again."
        ),
    )


def refused(tx: sa.Connection, station_ids: Sequence[str]) -> frozenset[str]:
    """Which of these stations may not use the volume they show."""
    table = schema.station_volumes.c
    query = sa.select(table.station_id).where(table.station_id.in_(station_ids), table.is_refused)
    return frozenset(tx.execute(query).scalars())
