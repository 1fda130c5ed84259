"""What the doctor looks at: one group's stored facts and last reports, as `model.diagnosis` takes them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from cryptography import x509

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import facts, group_view, ha_groups, heartbeat, leases, port_changes, port_users
from stationmaster.model import conditions, diagnosis, digest, moments, port_change, rotation

_REMEMBERED = datetime.timedelta(days=1)


def examine(
    tx: sa.Connection,
    now: datetime.datetime,
    hub: context.Hub,
    head: Any,
    answering: Mapping[str, bool] | None = None,
) -> tuple[conditions.Finding, ...]:
    """All findings about the group of the station ``head``. ``answering``: by address, whether it took a connection."""
    view = group_view.view_group(tx, now, head)
    tried = answering or {}
    # From a hub in another network no station can be reached: that says nothing about any of them.
    told = tried if any(tried.values()) else {}
    condition = conditions.GroupCondition(
        hostname=view.hostname,
        stations=tuple(_station(tx, now, hub, view, member, told) for member in view.members),
        sources=tuple(_source(now, hub, view, source) for source in view.sources),
        balancer_addresses=tuple(facts.balancer_addresses(tx, view.group_id, now)),
        balancers=_balancers(tx, now, view.group_id),
        hub=conditions.HubCondition(is_settled=hub.is_settled, ca_ends=_ca_ends(hub)),
        now=now,
        port_change=_port_change(tx, now, hub, view),
        neighbours=_neighbours(tx, view),
        past_balancer=port_users.past_balancer(tx, view.members, view.hostname),
    )
    return diagnosis.diagnose(condition)


def _station(
    tx: sa.Connection,
    now: datetime.datetime,
    hub: context.Hub,
    view: group_view.GroupView,
    member: Any,
    answering: Mapping[str, bool],
) -> conditions.StationCondition:
    time_received, report = view.reports.get(member.id, (None, None))
    is_applied = report is not None and report.applied_digest == digest.digest_of(
        heartbeat.build_desired(tx, now, hub, member)
    )
    own = facts.station_facts(member)
    ahead = 0.0
    if report is not None and time_received is not None:
        ahead = (moments.as_utc(report.time_sent) - time_received).total_seconds()
    return conditions.StationCondition(
        name=member.display_name,
        directory=member.mirror_directory,
        is_registered=member.managed_instance_id is not None,
        is_draining=member.is_draining,
        is_in_touch=ha_groups.is_confirmed(hub, now, time_received),
        is_applied=is_applied,
        readiness=report.readiness if report else None,
        reasons=tuple(report.reasons) if report else (),
        problems=tuple(report.problems) if report else (),
        volume=report.volume if report else None,
        ports=own.direct.named(),
        address=own.addresses[0] if own.addresses else "",
        is_answering=answering.get(own.addresses[0]) if own.addresses else None,
        clock_ahead_seconds=ahead,
        certificate=report.certificate if report else None,
        shares=view.volumes.get(member.id, ""),
    )


def _port_change(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, view: group_view.GroupView
) -> conditions.PortChangeCondition | None:
    row = port_changes.find(tx, view.group_id)
    if row is None:
        return None
    situation = port_users.situation(tx, now, hub, view.members, row, port_changes.beside_of(row))
    longest = max(row.at_least_seconds, row.at_most_seconds)
    return conditions.PortChangeCondition(
        phase=situation.phase,
        told=port_changes.words(situation.told),
        beside=port_changes.words(situation.beside),
        waiting=port_change.decide(situation).waiting,
        users=len(situation.laggards),
        seconds=(now - (row.time_moved or row.time_started)).total_seconds(),
        seconds_left=longest - situation.since_moved,
    )


def _neighbours(tx: sa.Connection, view: group_view.GroupView) -> tuple[conditions.NeighbourCondition, ...]:
    """Groups of the same compartment, and those of the same name in others."""
    table, found = schema.stations.c, dict[tuple[str, str], list[str]]()
    query = sa.select(table.hostname_key, table.compartment_id, table.display_name).where(
        sa.or_(table.compartment_id == view.compartment_id, table.hostname_key == view.hostname)
    )
    for row in tx.execute(query):
        found.setdefault((row.hostname_key, row.compartment_id), []).append(row.display_name)
    found.pop((view.hostname, view.compartment_id), None)
    return tuple(
        conditions.NeighbourCondition(hostname, compartment_id, tuple(names))
        for (hostname, compartment_id), names in found.items()
    )


def _ca_ends(hub: context.Hub) -> datetime.datetime:
    return x509.load_pem_x509_certificate(hub.authority.ca_pem.encode()).not_valid_after_utc


def _balancers(tx: sa.Connection, now: datetime.datetime, group_id: str) -> tuple[conditions.BalancerCondition, ...]:
    table = schema.group_balancers
    rows = tx.execute(sa.select(table.c.node, table.c.time_seen).where(table.c.group_id == group_id))
    return tuple(
        conditions.BalancerCondition(row.node, (now - row.time_seen).total_seconds())
        for row in rows
        if row.node != ha_groups.STATED and row.time_seen > now - _REMEMBERED
    )


def _is_owed(snapshot: rotation.Snapshot) -> bool:
    return snapshot.sync_number > max((one.finished_sync for one in snapshot.stations), default=0)


def _source(
    now: datetime.datetime, hub: context.Hub, view: group_view.GroupView, source: Any
) -> conditions.SourceCondition:
    visible = view.snapshots[source.id].visible
    touched = [
        member for member in view.members if ha_groups.is_confirmed(hub, now, view.reports.get(member.id, (None,))[0])
    ]
    told = [(member.display_name, view.report_of(member.id, source.id)) for member in touched]
    lags = [
        (member.display_name, lag) for member in touched if (lag := view.lags.get((member.id, source.id))) is not None
    ]
    return conditions.SourceCondition(
        name=source.display_name,
        is_visible=visible is not None,
        holders=tuple(
            name
            for name, report in told
            if visible and report and any(one.generation == visible.generation for one in report.held)
        ),
        failures=tuple(
            (name, report.sync.problem)
            for name, report in told
            if report and report.sync and report.sync.problem and not report.sync.is_running
        ),
        excluded=tuple(name for name, lag in lags if lag.time_excluded is not None),
        behind=tuple((name, (now - lag.time_behind).total_seconds()) for name, lag in lags),
        unled=leases.why_nobody_leads(view, source.id, group_view.limits_of(hub)) if hub.is_settled else (),
        is_owed=visible is None or _is_owed(view.snapshots[source.id]),
    )
