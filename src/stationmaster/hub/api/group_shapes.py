"""How a group looks on the wire: one view of it, and what follows from the view, for people and their programs."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.api.wire import groups as wire
from stationmaster.hub.api.wire.base import moment, moment_or_none
from stationmaster.hub.services import (
    doctor,
    facts,
    group_view,
    ha_groups,
    heartbeat,
    mirror_lists,
    peer_facts,
    port_changes,
    port_users,
    volume_samples,
)
from stationmaster.model import conditions, desired, digest, peer_view, port_change, rotation, visibility, volume_trend

_DONE = "DONE"


@dataclasses.dataclass(frozen=True)
class _Look:
    """One group at one moment, with what the parts of its shape share."""

    hub: context.Hub
    now: datetime.datetime
    view: group_view.GroupView
    limits: rotation.Limits
    needs: dict[str, list[peer_facts.Need]]
    times_visible: dict[str, datetime.datetime]
    times_changed: dict[str, datetime.datetime]
    samples: dict[str, list[volume_trend.Sample]]

    def missing_bytes(self, station_id: str, source_id: str) -> int | None:
        """What a station lacks of what is staged next, else of what is visible."""
        reports = [one for member in self.view.members if (one := self.view.report_of(member.id, source_id))]
        wanted = peer_facts.wanted_generation(self.view, source_id)
        size = peer_view.size_of(wanted, reports) if wanted else None
        return peer_view.missing_bytes(wanted, size, self.view.report_of(station_id, source_id))


def group(tx: sa.Connection, now: datetime.datetime, hub: context.Hub, head: Any) -> wire.Group:
    """The group of the station ``head``."""
    view = group_view.view_group(tx, now, head)
    station_ids = [member.id for member in view.members]
    look = _Look(
        hub=hub,
        now=now,
        view=view,
        limits=group_view.limits_of(hub),
        needs=peer_facts.needs(tx, view),
        times_visible=peer_facts.times_visible(tx, view),
        times_changed=peer_facts.times_health_changed(tx, station_ids),
        samples=volume_samples.read(tx, station_ids),
    )
    return wire.Group(
        id=view.group_id,
        hostname=view.hostname,
        compartment_id=view.compartment_id,
        client_address=facts.station_facts(head).client_address,
        balancer_addresses=list(facts.balancer_addresses(tx, view.group_id, now)),
        stations=[_station(tx, look, member) for member in view.members],
        sources=[_source(look, source) for source in view.sources],
        findings=[finding(one) for one in doctor.examine(tx, now, hub, head)],
        port_change=changing if (changing := ports_of(tx, now, hub, head)).phase != _DONE else None,
    )


def ports_of(tx: sa.Connection, now: datetime.datetime, hub: context.Hub, head: Any) -> wire.PortChange:
    """What clients of the group are told, and how far a change-over of its ports is."""
    known = facts.station_facts(ha_groups.find_group(tx, head.hostname, head.compartment_id))
    told, row = known.client_address.ports, port_changes.find(tx, known.group_id)
    if row is None:
        return wire.PortChange(
            phase=_DONE, told=told, beside=None, time_started=None, time_moved=None, time_ends=None, waiting=[]
        )
    beside = port_changes.beside_of(row)
    members = mirror_lists.members(tx, head.hostname, head.compartment_id)
    longest = datetime.timedelta(seconds=max(row.at_least_seconds, row.at_most_seconds))
    situation = port_users.situation(tx, now, hub, members, row, beside)
    return wire.PortChange(
        phase=row.phase,
        told=told,
        beside=desired.wire_ports(beside.direct),
        time_started=moment(row.time_started),
        time_moved=moment_or_none(row.time_moved),
        time_ends=moment(row.time_moved + longest) if row.time_moved else None,
        waiting=list(port_change.decide(situation).waiting),
    )


def finding(one: conditions.Finding) -> wire.Finding:
    """One thing that is wrong."""
    return wire.Finding(
        severity=one.severity.value,
        code=one.code,
        subject=one.subject,
        message=one.message,
        impact=one.impact,
        hint=one.hint,
    )


def _station(tx: sa.Connection, look: _Look, member: Any) -> wire.GroupStation:
    view = look.view
    time_received, report = view.reports.get(member.id, (None, None))
    in_rotation = all(
        member.id in {one.id for one in rotation.members(snapshot, look.limits)} for snapshot in view.snapshots.values()
    )
    is_in_touch = ha_groups.is_confirmed(look.hub, look.now, time_received)
    wanted = heartbeat.build_desired(tx, look.now, look.hub, member)
    missing = [look.missing_bytes(member.id, source.id) for source in view.sources]
    known = [one for one in missing if one is not None]
    outlook = volume_trend.outlook(look.samples.get(member.id, ()), look.now)
    return wire.GroupStation(
        id=member.id,
        display_name=member.display_name,
        addresses=list(member.addresses),
        is_registered=member.managed_instance_id is not None,
        is_draining=member.is_draining,
        is_in_touch=is_in_touch,
        is_in_rotation=is_in_touch and in_rotation,
        readiness=report.readiness.value if report else None,
        reasons=report.reasons if report else [],
        problems=report.problems if report else [],
        volume=report.volume if report else None,
        time_last_heartbeat=moment_or_none(time_received),
        daemon_version=report.daemon_version if report else None,
        is_applied=report is not None and report.applied_digest == digest.digest_of(wanted),
        shared_with=peer_view.sharers(member.id, view.volumes),
        outlook=wire.VolumeOutlook(trend=outlook.trend.value, days=outlook.days),
        time_health_changed=moment_or_none(look.times_changed.get(member.id)),
        missing_bytes=sum(known) if len(known) == len(missing) else None,
    )


def _source(look: _Look, source: Any) -> wire.GroupSource:
    snapshot = look.view.snapshots[source.id]
    needs = look.needs.get(source.id, [])
    return wire.GroupSource(
        id=source.id,
        display_name=source.display_name,
        repo_id=source.repo_id,
        format=source.format,
        reasons=sorted({f"{one.kind} {one.id}" for one in needs}),
        visible=snapshot.visible,
        sync_number=snapshot.sync_number,
        stations=[_source_on_station(look, source.id, member.id) for member in look.view.members],
        decision=visibility.decide(snapshot, look.limits).reason,
        time_visible=moment_or_none(look.times_visible.get(source.id)),
        leader=_leader(look.view.leases.get(source.id)),
        candidate=_candidate(look.view.candidates.get(source.id)),
        needs=[
            wire.MirrorNeed(kind=one.kind, id=one.id, display_name=one.name, station_id=one.station_id) for one in needs
        ],
    )


def _leader(row: Any) -> wire.Leader | None:
    if row is None or row.station_id is None:
        return None
    return wire.Leader(
        station_id=row.station_id,
        token=row.token,
        time_granted=moment(row.time_granted),
        time_renewed=moment(row.time_renewed),
    )


def _candidate(row: Any) -> wire.Candidate | None:
    if row is None or row.generation is None:
        return None
    return wire.Candidate(number=row.number, generation=row.generation, time_set=moment(row.time_set))


def _source_on_station(look: _Look, source_id: str, station_id: str) -> wire.SourceOnStation:
    report, lag = look.view.report_of(station_id, source_id), look.view.lags.get((station_id, source_id))
    return wire.SourceOnStation(
        station_id=station_id,
        missing_bytes=look.missing_bytes(station_id, source_id),
        lease_token=report.lease_token if report else 0,
        held=report.held if report else [],
        shown=report.shown if report else None,
        sync=report.sync if report else None,
        time_behind=moment(lag.time_behind) if lag is not None else None,
        time_excluded=moment_or_none(lag.time_excluded) if lag is not None else None,
    )
