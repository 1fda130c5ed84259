"""From rows to the facts that the model decides on, and the few queries that several services share."""

from __future__ import annotations

import datetime
import urllib.parse
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.model import addresses, desired, errors, ports, protocol, upstream_access

Rows = Sequence[sa.Row[Any]]
_BALANCER_REMEMBERED = datetime.timedelta(days=1)


def find_station(tx: sa.Connection, station_id: str) -> sa.Row[Any]:
    """The station; NotFoundError otherwise."""
    table = schema.stations
    row = tx.execute(
        sa.select(table).where(table.c.id == station_id, table.c.lifecycle_state != "DELETED")
    ).one_or_none()
    if row is None:
        raise errors.NotFoundError(f"Unknown management station {station_id}.")
    return row


def visible_generations(tx: sa.Connection, group_id: str) -> dict[str, protocol.Visible]:
    """By source, what clients of the group are told: the highest number."""
    table = schema.visible.c
    highest = (
        sa.select(table.source_id, sa.func.max(table.number).label("number"))
        .where(table.group_id == group_id)
        .group_by(table.source_id)
        .subquery()
    )
    query = sa.select(table.source_id, table.number, table.generation).join(
        highest, sa.and_(highest.c.source_id == table.source_id, highest.c.number == table.number)
    )
    return {
        row.source_id: protocol.Visible(source_id=row.source_id, number=row.number, generation=row.generation)
        for row in tx.execute(query.where(table.group_id == group_id))
    }


def balancer_addresses(tx: sa.Connection, group_id: str, now: datetime.datetime) -> tuple[str, ...]:
    """What an operator stated and what running balancers told within a day: one that is cut off from us still works."""
    table = schema.group_balancers
    rows = tx.execute(sa.select(table).where(table.c.group_id == group_id)).all()
    found = {
        addresses.canonical_host(address)
        for row in rows
        if not row.node or row.time_seen > now - _BALANCER_REMEMBERED
        for address in row.addresses
    }
    return tuple(sorted(found))


def station_facts(row: sa.Row[Any]) -> desired.StationFacts:
    """A station as the model sees it."""
    return desired.StationFacts(
        id=row.id,
        display_name=row.display_name,
        hostname=row.hostname,
        compartment_id=row.compartment_id,
        direct=ports.PortTriple(row.proxy_port, row.mirror_port, row.mirror_sslport),
        balancer=ports.PortTriple(row.balancer_proxy_port, row.balancer_http_port, row.balancer_https_port),
        addresses=tuple(row.addresses),
        mirror_directory=row.mirror_directory,
        is_mirror_tls=row.is_sslverify_enabled,
        is_proxy_enabled=row.is_proxy_enabled,
        permitted_ranges=tuple(row.proxy_hosts),
        forward_proxy=row.proxy_forward,
        certificate_path=row.mirror_sslcert,
        is_draining=row.is_draining,
        is_auto_config_enabled=row.is_auto_config_enabled,
    )


def source_facts(row: sa.Row[Any]) -> desired.SourceFacts:
    """A software source as the model sees it, its options taken apart (design section 12)."""
    kind = protocol.SourceFormat(row.format)
    lines = [line.strip() for line in (row.advanced_repo_options or "").splitlines() if line.strip()]
    access = upstream_access.access_of(lines)
    lines = [line for line in lines if not upstream_access.is_access_line(line)]
    fields = {}
    if kind is protocol.SourceFormat.DEB:
        pairs = [line.partition(":") for line in lines]
        fields = {name.strip().lower(): value.split() for name, _, value in pairs}
        lines = [f"{name.strip()}: {value.strip()}" for name, _, value in pairs if name.strip().lower() not in _TAKEN]
    return desired.SourceFacts(
        id=row.id,
        repo_id=row.repo_id,
        display_name=row.display_name,
        format=kind,
        url=row.url,
        arch_type=row.arch_type,
        suites=tuple(fields.get("suites", ())),
        components=tuple(fields.get("components", ())),
        given_architectures=tuple(fields.get("architectures", ())),
        options=tuple(lines),
        gpg_keys=tuple(row.gpg_keys),
        gpg_key_urls=tuple((row.gpg_key_url or "").replace(",", " ").split()),
        is_gpg_checked=row.is_gpg_check_enabled,
        is_tls_verified=row.is_ssl_verify_enabled,
        access=access,
    )


_TAKEN = frozenset({"suites", "components", "architectures"})


def hub_facts(hub: context.Hub) -> desired.HubFacts:
    """What every machine is told alike. A name is resolved by the station, which may see other addresses than we."""
    url = urllib.parse.urlsplit(hub.public_url)
    host = url.hostname or ""
    return desired.HubFacts(
        address=protocol.HubAddress(
            url=hub.public_url,
            host=host,
            port=url.port or (443 if url.scheme == "https" else 80),
            addresses=[host] if addresses.is_address(host) else [],
        ),
        ca_pem=hub.authority.ca_pem,
        heartbeat_seconds=hub.times.heartbeat.total_seconds(),
        confirmed_seconds=hub.times.confirmed.total_seconds(),
        retention_seconds=hub.times.retention.total_seconds(),
    )


def last_reports(
    tx: sa.Connection, station_ids: Iterable[str], *, is_deciding: bool = False
) -> dict[str, tuple[datetime.datetime, protocol.StationHeartbeat]]:
    """By station, the last heartbeat and when it was received.

    ``is_deciding``: a heartbeat that comes meanwhile waits for the decision, so that its answer knows of it; or the
    decision is made again. Heartbeats are no serializable transactions, so PostgreSQL would let the two pass by.
    """
    table = schema.station_reports
    query = sa.select(table).where(table.c.station_id.in_(sorted(station_ids))).order_by(table.c.station_id)
    rows = tx.execute(query.with_for_update(read=True) if is_deciding else query).all()
    return {row.station_id: (row.time_received, _REPORT.decode(row.report)) for row in rows}


_REPORT = msgspec.json.Decoder(protocol.StationHeartbeat)
