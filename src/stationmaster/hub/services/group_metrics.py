"""What the hub's database says for Prometheus: instances and work by state, stations and sources of every group.

Labels: the group's hostname, the station's and the source's names. What is per station and source at once, stations
tell themselves.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import sqlalchemy as sa
from prometheus_client import metrics_core

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import group_view, ha_groups, volume_samples
from stationmaster.model import instance_state, peer_view, volume_trend, work_request

_P = "stationmaster_hub_"
_SILENT = "silent"
_OPEN = tuple(sorted(status.value for status in work_request.OPEN))
_NUMBER = sa.func.count().label("number")
_STATES = ("ready", "last_resort", "no", _SILENT)


def collect(tx: sa.Connection, now: datetime.datetime, hub: context.Hub) -> Iterator[metrics_core.Metric]:
    """All families."""
    yield _instances(tx, now, hub)
    yield _open_work(tx)
    views = [group_view.view_group(tx, now, head) for head in group_view.group_heads(tx)]
    yield from _stations(views, now, hub)
    yield _outlooks(tx, views, now)
    yield from _sources(views)


def _instances(tx: sa.Connection, now: datetime.datetime, hub: context.Hub) -> metrics_core.Metric:
    """Counted by the database: there may be a hundred thousand. The rule is `instance_state.instance_status`."""
    table, status = schema.managed_instances.c, instance_state.InstanceStatus
    silent_since, lost_since = now - hub.times.instance_inactive, now - hub.times.instance_offline
    state = sa.case(
        (table.lifecycle_state == "DELETING", status.DELETING.value),
        (table.time_last_checkin.is_(None), status.ONBOARDING.value),
        (table.time_last_checkin <= lost_since, status.UNREACHABLE.value),
        (table.time_last_checkin <= silent_since, status.WARNING.value),
        else_=status.NORMAL.value,
    ).label("state")
    counted = {row.state: row.number for row in tx.execute(sa.select(state, _NUMBER).group_by(state))}
    family = _family("instances", "Managed instances by shown state.", "state")
    for one in (status.NORMAL, status.WARNING, status.UNREACHABLE, status.ONBOARDING, status.DELETING):
        family.add_metric([one.value.lower()], counted.get(one.value, 0))
    return family


def _open_work(tx: sa.Connection) -> metrics_core.Metric:
    table = schema.work_requests.c
    query = sa.select(table.status, _NUMBER).where(table.status.in_(_OPEN))
    counted = {row.status: row.number for row in tx.execute(query.group_by(table.status))}
    family = _family("work_requests_open", "Work requests that have not ended.", "status")
    for status in _OPEN:
        family.add_metric([status.lower()], counted.get(status, 0))
    return family


def _stations(
    views: list[group_view.GroupView], now: datetime.datetime, hub: context.Hub
) -> Iterator[metrics_core.Metric]:
    labels = ("group", "station")
    age = _family("station_heartbeat_age_seconds", "Since the last heartbeat came.", *labels)
    readiness = _family("station_readiness", "1 for the present state; silent: not heard in time.", *labels, "state")
    free = _family("station_volume_free_bytes", "Free on the station's mirror volume.", *labels)
    size = _family("station_volume_size_bytes", "Size of the station's mirror volume.", *labels)
    missing = _family("station_missing_bytes", "What a station lacks of all visible generations.", *labels)
    for view in views:
        for member in view.members:
            if member.managed_instance_id is None:
                continue
            key = [view.hostname, member.display_name]
            time_received, report = view.reports.get(member.id, (None, None))
            is_heard = ha_groups.is_confirmed(hub, now, time_received)
            state = report.readiness.value.lower() if report and is_heard else _SILENT
            for one in _STATES:
                readiness.add_metric([*key, one], float(one == state))
            if report is None or time_received is None:
                continue
            age.add_metric(key, max(0.0, (now - time_received).total_seconds()))
            missing.add_metric(key, _missing(view, member.id))
            if report.volume.problem is None:
                free.add_metric(key, report.volume.available_bytes)
                size.add_metric(key, report.volume.total_bytes)
    yield from (age, readiness, free, size, missing)


def _outlooks(tx: sa.Connection, views: list[group_view.GroupView], now: datetime.datetime) -> metrics_core.Metric:
    """Left out where it is not known, and where the volume is not filling."""
    words = "Until the mirror volume is full, by two weeks' trend."
    family = _family("station_volume_full_seconds", words, "group", "station")
    samples = volume_samples.read(tx, [member.id for view in views for member in view.members])
    for view in views:
        for member in view.members:
            outlook = volume_trend.outlook(samples.get(member.id, ()), now)
            if outlook.days is not None:
                family.add_metric([view.hostname, member.display_name], outlook.days * 86400)
    return family


def _missing(view: group_view.GroupView, station_id: str) -> int:
    total = 0
    for source in view.sources:
        visible = view.snapshots[source.id].visible
        told = [one for member in view.members if (one := view.report_of(member.id, source.id)) is not None]
        generation = visible.generation if visible else None
        size = peer_view.size_of(generation, told) if generation else None
        total += peer_view.missing_bytes(generation, size, view.report_of(station_id, source.id)) or 0
    return total


def _sources(views: list[group_view.GroupView]) -> Iterator[metrics_core.Metric]:
    labels = ("group", "source")
    number = _family("source_visible_number", "What the group's clients are told; 0: nothing yet.", *labels)
    holders = _family("source_holders", "Stations that hold the visible generation.", *labels)
    for view in views:
        for source in view.sources:
            visible = view.snapshots[source.id].visible
            reports = (view.report_of(member.id, source.id) for member in view.members)
            held = [
                one for one in reports if one and visible and visible.generation in {h.generation for h in one.held}
            ]
            number.add_metric([view.hostname, source.repo_id], visible.number if visible else 0)
            holders.add_metric([view.hostname, source.repo_id], len(held))
    yield from (number, holders)


def _family(name: str, words: str, *labels: str) -> metrics_core.GaugeMetricFamily:
    return metrics_core.GaugeMetricFamily(_P + name, words, labels=list(labels))
