"""HA groups as people and balancers see them: who is in, what each holds, what all show. Derived (I1)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema, store
from stationmaster.hub.services import events, facts, group_view, mirror_lists, port_changes
from stationmaster.model import addresses, desired, digest, errors, groups, protocol

STATED = ""  # the node of what an operator stated


def find_heads(tx: sa.Connection, hostname: str | None, compartment_id: str | None) -> Sequence[Any]:
    """One station of each group that fits."""
    heads = group_view.group_heads(tx)
    if hostname is not None:
        heads = [head for head in heads if head.hostname_key == addresses.canonical_host(hostname)]
    if compartment_id is not None:
        heads = [head for head in heads if head.compartment_id == compartment_id]
    return heads


def find_group(tx: sa.Connection, hostname: str, compartment_id: str | None) -> Any:
    """One station of the one group of that name; refused by name when there is none, or more than one."""
    heads = find_heads(tx, hostname, compartment_id)
    if not heads:
        raise errors.NotFoundError(
            f"No station has the hostname {hostname!r}.", hint="A group is the stations with the balancer's hostname."
        )
    if len(heads) > 1:
        places = ", ".join(head.compartment_id for head in heads)
        raise errors.ConflictError(
            f"Stations in {len(heads)} compartments have the hostname {hostname!r}: {places}.",
            hint="Name the compartment as well.",
        )
    return heads[0]


def balancer_view(tx: sa.Connection, head: Any) -> protocol.BalancerView:
    """All that a balancer of the group needs to know."""
    members = [facts.station_facts(row) for row in mirror_lists.members(tx, head.hostname, head.compartment_id)]
    beside = port_changes.beside(tx, members[0].group_id)
    view = protocol.BalancerView(
        hostname=members[0].client_address.host,
        group_id=members[0].group_id,
        ports=members[0].client_address.ports,
        servers=[desired.balanced_server(member) for member in members],
        can_end_tls=not any(member.certificate_path for member in members),
        also_ports=desired.wire_ports(beside.direct) if beside is not None else None,
    )
    return msgspec.structs.replace(view, digest=digest.digest_of(view))


def state_balancers(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    head: Any,
    node: str,
    told: Sequence[str],
    serves: Sequence[protocol.Ports] = (),
) -> list[str]:
    """Store the addresses of a running balancer ``node``, or what an operator states; all addresses that count now.

    ``serves``: the clients' ports that the node serves, those of the view it follows first.
    """
    canonical = sorted({_require_address(one) for one in told})
    served = [[one.proxy, one.http, one.https] for one in serves] or None
    group_id, table = groups.group_id(head.hostname, head.compartment_id), schema.group_balancers
    this = sa.and_(table.c.group_id == group_id, table.c.node == node)
    former = tx.execute(sa.select(table.c.addresses).where(this)).scalar()
    if canonical and former is None:
        store.insert_first(tx, table, group_id=group_id, node=node, addresses=canonical, time_seen=now, serves=served)
    elif canonical:
        tx.execute(table.update().where(this).values(addresses=canonical, time_seen=now, serves=served))
    else:
        tx.execute(table.delete().where(this))
    if canonical != (former or []):
        events.record(
            tx,
            now,
            events.EventKind.BALANCERS_CHANGED,
            events.Subject(head.id, head.hostname_key, head.compartment_id),
            f"Balancer {node or '(stated)'} of {head.hostname_key}: {', '.join(canonical) or 'no address any more'}.",
            actor=actor,
            data={"groupId": group_id, "node": node, "addresses": canonical},
        )
    return list(facts.balancer_addresses(tx, group_id, now))


def sign_certificate(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, actor: events.Actor, head: Any, request: str
) -> str:
    """A chain that names the group alone, for a balancer's own key. Refused where stations show another CA's."""
    members = mirror_lists.members(tx, head.hostname, head.compartment_id)
    own = [row.display_name for row in members if row.mirror_sslcert]
    if own:
        raise errors.ConflictError(
            f"{', '.join(own)} of {head.hostname_key} shows the certificate that mirror.sslcert names, not the hub's.",
            hint="Give that certificate to the balancer: `balancer run --certificate FILE --stations-ca FILE`.",
        )
    chain = hub.authority.issue(request, [head.hostname_key], now)
    subject = events.Subject(head.id, head.hostname_key, head.compartment_id)
    text = f"A balancer got a certificate for {head.hostname_key}."
    events.record(tx, now, events.EventKind.BALANCER_CERTIFIED, subject, text, actor=actor)
    return chain


def set_drain(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, station: Any, *, is_draining: bool
) -> None:
    """Drain a station or end it. It answers not ready by itself, so that every balancer sees it."""
    if station.is_draining == is_draining:
        return
    table = schema.stations
    values = {"is_draining": is_draining, "time_updated": now, "revision": station.revision + 1}
    tx.execute(table.update().where(table.c.id == station.id).values(values))
    kind = events.EventKind.STATION_DRAINED if is_draining else events.EventKind.STATION_UNDRAINED
    text = f"{station.display_name} {'is taken out of' if is_draining else 'returns to'} service."
    subject = events.Subject(station.id, station.display_name, station.compartment_id)
    events.record(tx, now, kind, subject, text, actor=actor)


def reasons_for(tx: sa.Connection, view: group_view.GroupView) -> dict[str, tuple[str, ...]]:
    """Why each source is mirrored (I3)."""
    return desired.mirror_reasons(mirror_lists.needs(tx, [member.id for member in view.members]))


def is_confirmed(hub: context.Hub, now: datetime.datetime, time_received: datetime.datetime | None) -> bool:
    """Whether the station was heard within the liveness time."""
    return time_received is not None and now - time_received <= hub.times.liveness


def _require_address(text: str) -> str:
    canonical = addresses.canonical_host(text)
    if addresses.is_address(canonical):
        return canonical
    raise errors.CallerError(
        f"addresses has {text[:100]!r}, which is no IP address.",
        hint="Give the addresses from which the balancer connects to stations.",
    )
