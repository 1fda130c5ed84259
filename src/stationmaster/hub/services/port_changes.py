"""All ports of a group change together (ADR 24): begun, carried on, undone. When it goes on is `model.port_change`'s.

The columns of stations are what clients are told, at every moment and for all peers alike (I2, I12); the row of
`port_changes` holds what is served beside them. Telling clients is one transaction that exchanges the two.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema, store
from stationmaster.hub.services import events, facts, mirror_lists, port_users
from stationmaster.model import errors, groups, port_change, ports

Phase = port_change.Phase


@dataclasses.dataclass(frozen=True)
class Order:
    """The ports to go over to, and the bounds of how long the former ones stay after clients were told."""

    wanted: ports.PortTriple
    at_least: datetime.timedelta = datetime.timedelta(0)
    at_most: datetime.timedelta = datetime.timedelta(days=1)


def find(tx: sa.Connection, group_id: str) -> sa.Row[Any] | None:
    """The change-over of a group; None when its ports do not change."""
    return tx.execute(sa.select(schema.port_changes).where(schema.port_changes.c.group_id == group_id)).one_or_none()


def beside(tx: sa.Connection, group_id: str) -> port_change.PortSet | None:
    """What the group's stations serve beside what clients are told."""
    row = find(tx, group_id)
    return beside_of(row) if row is not None else None


def beside_of(row: sa.Row[Any]) -> port_change.PortSet:
    """The same, of a row."""
    return port_change.PortSet(ports.PortTriple(*row.beside["direct"]), ports.PortTriple(*row.beside["balancer"]))


def require_none(tx: sa.Connection, station: Any) -> None:
    """Before the ports of one station are edited: ConflictError while those of its group change."""
    row = find(tx, groups.group_id(station.hostname, station.compartment_id))
    if row is not None:
        raise errors.ConflictError(
            f"The ports of {station.hostname_key} are changing over, {row.beside['direct']} beside those of "
            f"{station.display_name}.",
            hint="Wait for the end, or change back: `stationmaster ha change-ports`.",
        )


def begin(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    hub: context.Hub,
    head: Any,
    order: Order,
) -> None:
    """Begin a change-over, or turn one round; to repeat the same order changes nothing."""
    wanted = order.wanted
    members = mirror_lists.members(tx, head.hostname, head.compartment_id)
    present = _present(members)
    group_id = groups.group_id(head.hostname, head.compartment_id)
    row = find(tx, group_id)
    if row is not None:
        _turn_round(tx, now, actor, head, row, present, order)
        return
    if wanted == present.direct:
        raise errors.ConflictError(
            f"{words(wanted)} are the ports of {head.hostname_key} already.", hint="Give other ports."
        )
    following = port_change.PortSet.of(wanted)
    ports.require_distinct(following.direct, following.balancer)
    port_change.require_room(following, present, port_users.neighbours(tx, hub, members))
    store.insert_first(tx, schema.port_changes, group_id=group_id, beside=_plain(following), **_opening(now, order))
    message = f"The ports of {head.hostname_key} change from {words(present.direct)} to {words(wanted)}."
    _tell(tx, now, actor, head, events.EventKind.PORTS_CHANGING, message)


def _turn_round(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    head: Any,
    row: sa.Row[Any],
    present: port_change.PortSet,
    order: Order,
) -> None:
    """An order while a change-over is under way: the same again, or back; a third set of ports has to wait."""
    wanted, other, table = order.wanted, beside_of(row).direct, schema.port_changes
    is_opening = Phase(row.phase) is Phase.OPENING
    if wanted == (other if is_opening else present.direct):
        return
    if is_opening and wanted == present.direct:
        tx.execute(table.delete().where(table.c.group_id == row.group_id))
        message = f"The ports of {head.hostname_key} stay {words(wanted)}; no client was told {words(other)}."
        _tell(tx, now, actor, head, events.EventKind.PORTS_CHANGE_UNDONE, message)
        return
    if is_opening or wanted != other:
        raise errors.ConflictError(
            f"The ports of {head.hostname_key} are changing already, {words(other)} beside {words(present.direct)}.",
            hint="Wait for the end, or change back to one of the two.",
        )
    tx.execute(table.update().where(table.c.group_id == row.group_id).values(_opening(now, order)))
    message = f"The ports of {head.hostname_key} change back from {words(present.direct)} to {words(wanted)}."
    _tell(tx, now, actor, head, events.EventKind.PORTS_CHANGING, message)


def _opening(now: datetime.datetime, order: Order) -> dict[str, Any]:
    return {
        "phase": Phase.OPENING.value,
        "at_least_seconds": int(order.at_least.total_seconds()),
        "at_most_seconds": int(order.at_most.total_seconds()),
        "time_started": now,
        "time_moved": None,
    }


def carry_on(hub: context.Hub, now: datetime.datetime, head: Any) -> None:
    """One look at a group's change-over; nothing is written while it waits for somebody."""
    group_id = groups.group_id(head.hostname, head.compartment_id)
    with hub.store.read() as tx:
        row = find(tx, group_id)
        if row is None or _decide(tx, now, hub, head, row).step is port_change.Step.WAIT:
            return
    hub.store.transact(lambda tx: _go_on(tx, now, hub, head))


def _go_on(tx: sa.Connection, now: datetime.datetime, hub: context.Hub, head: Any) -> None:
    row = find(tx, groups.group_id(head.hostname, head.compartment_id))
    if row is None:
        return
    decision = _decide(tx, now, hub, head, row)
    if decision.step is port_change.Step.TELL_CLIENTS:
        _tell_clients(tx, now, head, row)
    elif decision.step is port_change.Step.CLOSE_THE_OTHERS:
        _close(tx, now, head, row)


def _decide(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, head: Any, row: sa.Row[Any]
) -> port_change.Decision:
    members = mirror_lists.members(tx, head.hostname, head.compartment_id)
    return port_change.decide(port_users.situation(tx, now, hub, members, row, beside_of(row), most=1))


def _tell_clients(tx: sa.Connection, now: datetime.datetime, head: Any, row: sa.Row[Any]) -> None:
    members = mirror_lists.members(tx, head.hostname, head.compartment_id)
    former, following, table = _present(members), beside_of(row), schema.stations
    tx.execute(
        table.update()
        .where(table.c.id.in_([member.id for member in members]))
        .values(
            proxy_port=following.direct.proxy,
            mirror_port=following.direct.http,
            mirror_sslport=following.direct.https,
            balancer_proxy_port=following.balancer.proxy,
            balancer_http_port=following.balancer.http,
            balancer_https_port=following.balancer.https,
            time_updated=now,
            revision=table.c.revision + 1,
        )
    )
    changes = schema.port_changes
    values = {"phase": Phase.MOVING.value, "beside": _plain(former), "time_moved": now}
    tx.execute(changes.update().where(changes.c.group_id == row.group_id).values(values))
    message = (
        f"Clients of {head.hostname_key} are told {words(following.direct)} from now on; {words(former.direct)} are "
        "still served."
    )
    _tell(tx, now, events.Actor(), head, events.EventKind.PORTS_TOLD, message)


def _close(tx: sa.Connection, now: datetime.datetime, head: Any, row: sa.Row[Any]) -> None:
    members, table = mirror_lists.members(tx, head.hostname, head.compartment_id), schema.port_changes
    left = port_users.laggards(tx, members, _present(members).direct, beside_of(row).direct)
    tx.execute(table.delete().where(table.c.group_id == row.group_id))
    lost = f" These have not moved, and are cut off: {', '.join(left)}." if left else ""
    message = f"The ports {words(beside_of(row).direct)} of {head.hostname_key} are not served any more.{lost}"
    data = {"leftBehind": list(left)}
    _tell(tx, now, events.Actor(), head, events.EventKind.PORTS_CHANGED, message, data)


def forget_deserted(tx: sa.Connection) -> None:
    """Rows of groups that have no station any more."""
    stations, table = schema.stations.c, schema.port_changes
    heads = tx.execute(sa.select(stations.hostname, stations.compartment_id).distinct()).all()
    alive = {groups.group_id(one.hostname, one.compartment_id) for one in heads}
    for group_id in tx.execute(sa.select(table.c.group_id)).scalars().all():
        if group_id not in alive:
            tx.execute(table.delete().where(table.c.group_id == group_id))


def _present(members: Sequence[Any]) -> port_change.PortSet:
    """What clients are told now; ConflictError where a restored database broke I2."""
    known = [facts.station_facts(member) for member in members]
    for other in known[1:]:
        if other.direct != known[0].direct:
            raise errors.ConflictError(
                f"{known[0].display_name} has {words(known[0].direct)}, {other.display_name} {words(other.direct)}.",
                hint="Make them equal first, with `stationmaster station update`.",
            )
    return port_change.PortSet(known[0].direct, known[0].balancer)


def _plain(found: port_change.PortSet) -> dict[str, list[int]]:
    return {
        name: [triple.proxy, triple.http, triple.https]
        for name, triple in (("direct", found.direct), ("balancer", found.balancer))
    }


def words(triple: ports.PortTriple) -> str:
    """The three, for a person."""
    return "/".join(str(port) for port in (triple.proxy, triple.http, triple.https))


def _tell(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    head: Any,
    kind: str,
    message: str,
    data: dict[str, Any] | None = None,
) -> None:
    subject = events.Subject(head.id, head.hostname_key, head.compartment_id)
    events.record(tx, now, kind, subject, message, actor=actor, data=data)
