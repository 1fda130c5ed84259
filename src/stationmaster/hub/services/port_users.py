"""Who serves and who uses the ports of a group while they change: stored facts, as `model.port_change` takes them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import facts
from stationmaster.model import addresses, port_change, ports, protocol

_REMEMBERED = datetime.timedelta(days=1)
_MOST_NAMED = 1000


def situation(
    tx: sa.Connection,
    now: datetime.datetime,
    hub: context.Hub,
    members: Sequence[Any],
    row: sa.Row[Any],
    beside: port_change.PortSet,
    *,
    most: int = _MOST_NAMED,
) -> port_change.Situation:
    """The change-over ``row`` of ``members`` now, with up to ``most`` instances that still use ``beside``."""
    told = facts.station_facts(members[0])
    is_moving = port_change.Phase(row.phase) is port_change.Phase.MOVING
    return port_change.Situation(
        phase=port_change.Phase(row.phase),
        told=told.direct,
        beside=beside.direct,
        stations=tuple(_stations(tx, now, hub, members, beside)),
        balancers=tuple(_balancers(tx, now, told.group_id)),
        laggards=laggards(tx, members, told.direct, beside.direct, most=most) if is_moving else (),
        since_moved=(now - row.time_moved).total_seconds() if row.time_moved else 0.0,
        at_least=row.at_least_seconds,
        at_most=row.at_most_seconds,
    )


def laggards(
    tx: sa.Connection,
    members: Sequence[Any],
    told: ports.PortTriple,
    beside: ports.PortTriple,
    *,
    most: int = _MOST_NAMED,
) -> tuple[str, ...]:
    """Instances of the group that use one of ``beside`` by their own word, or have not said what they use."""
    table, used = schema.managed_instances.c, schema.managed_instances.c.address_in_use
    names = ("proxy", "http", "https")
    changed = [name for name in names if getattr(told, name) != getattr(beside, name)]
    uses = [used["ports"][name].as_integer() == getattr(beside, name) for name in changed]
    query = sa.select(table.display_name).where(
        table.primary_station_id.in_([member.id for member in members]),
        table.lifecycle_state != "DELETING",
        sa.or_(used.is_(None), *uses),
    )
    return tuple(tx.execute(query.order_by(table.display_name).limit(most)).scalars())


def past_balancer(tx: sa.Connection, members: Sequence[Any], hostname: str) -> tuple[tuple[str, str], ...]:
    """Instances of the group that by their own word come by another address than ``hostname``, with that address."""
    table = schema.managed_instances.c
    host = table.address_in_use["host"].as_string()
    query = sa.select(table.display_name, host.label("host")).where(
        table.primary_station_id.in_([member.id for member in members]),
        table.lifecycle_state == "ACTIVE",
        table.address_in_use.is_not(None),
        host != hostname,
    )
    rows = tx.execute(query.order_by(table.display_name).limit(_MOST_NAMED)).all()
    return tuple((row.display_name, row.host) for row in rows)


def neighbours(tx: sa.Connection, hub: context.Hub, members: Sequence[Any]) -> tuple[port_change.Neighbour, ...]:
    """What else is known to listen on the hosts of ``members``: stations of other groups, and the hub."""
    own = {addresses.canonical_host(address) for member in members for address in member.addresses}
    ids = {member.id for member in members}
    found = []
    for row in tx.execute(sa.select(schema.stations).order_by(schema.stations.c.id)).all():
        if row.id not in ids and own & {addresses.canonical_host(address) for address in row.addresses}:
            known = facts.station_facts(row)
            served = port_change.PortSet(known.direct, known.balancer)
            found.append(port_change.Neighbour(f"station {row.display_name}", tuple(served.roles().items())))
    at = facts.hub_facts(hub).address
    if own & set(at.addresses):
        found.append(port_change.Neighbour("the hub", (("the API", at.port),)))
    return tuple(found)


def _stations(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, members: Sequence[Any], beside: port_change.PortSet
) -> list[port_change.Station]:
    reports = facts.last_reports(tx, [member.id for member in members])
    found = []
    for member in members:
        known = facts.station_facts(member)
        time_received, report = reports.get(member.id, (None, None))
        is_heard = time_received is not None and now - time_received <= hub.times.liveness
        found.append(
            port_change.Station(
                name=member.display_name,
                # One that serves nobody holds nobody up either: it opens them when it is well again.
                is_serving=is_heard and report is not None and report.readiness is not protocol.Readiness.NO,
                wanted=frozenset(
                    number
                    for triple in (known.direct, known.balancer, beside.direct, beside.balancer)
                    for number in (triple.http, triple.https, *([triple.proxy] if known.is_proxy_enabled else []))
                ),
                listening=frozenset(report.listening if report is not None else ()),
            )
        )
    return found


def _balancers(tx: sa.Connection, now: datetime.datetime, group_id: str) -> list[port_change.Balancer]:
    table = schema.group_balancers
    rows = tx.execute(sa.select(table).where(table.c.group_id == group_id, table.c.node != "")).all()
    return [
        port_change.Balancer(
            row.node,
            (now - row.time_seen).total_seconds(),
            *(ports.PortTriple(*one) for one in (row.serves or ())[:2]),
        )
        for row in rows
        if row.time_seen > now - _REMEMBERED
    ]
