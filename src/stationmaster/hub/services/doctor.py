"""What the doctor looks at: one group's stored facts and last reports, as `model.diagnosis` takes them."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.services import facts, group_view, ha_groups, heartbeat
from stationmaster.model import diagnosis, digest


def examine(tx: sa.Connection, now: datetime.datetime, hub: context.Hub, head: Any) -> tuple[diagnosis.Finding, ...]:
    """All findings about the group of the station ``head``."""
    view = group_view.view_group(tx, now, head)
    condition = diagnosis.GroupCondition(
        hostname=view.hostname,
        stations=tuple(_station(tx, now, hub, view, member) for member in view.members),
        sources=tuple(_source(now, hub, view, source) for source in view.sources),
        balancer_addresses=tuple(facts.balancer_addresses(tx, view.group_id, now)),
    )
    return diagnosis.diagnose(condition)


def _station(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, view: group_view.GroupView, member: Any
) -> diagnosis.StationCondition:
    time_received, report = view.reports.get(member.id, (None, None))
    is_applied = report is not None and report.applied_digest == digest.digest_of(
        heartbeat.build_desired(tx, now, hub, member)
    )
    return diagnosis.StationCondition(
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
    )


def _source(
    now: datetime.datetime, hub: context.Hub, view: group_view.GroupView, source: Any
) -> diagnosis.SourceCondition:
    visible = view.snapshots[source.id].visible
    touched = [
        member for member in view.members if ha_groups.is_confirmed(hub, now, view.reports.get(member.id, (None,))[0])
    ]
    told = [(member.display_name, view.report_of(member.id, source.id)) for member in touched]
    excluded = [
        member.display_name
        for member in touched
        if (lag := view.lags.get((member.id, source.id))) is not None and lag.time_excluded is not None
    ]
    return diagnosis.SourceCondition(
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
        excluded=tuple(excluded),
    )
