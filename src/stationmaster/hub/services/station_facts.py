"""The stations of a group as `model.rotation` takes them: from rows and last reports, without what is nonsense."""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.services import facts
from stationmaster.model import protocol, rotation

GENERATION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HIGHEST = 2**30

Reports = Mapping[str, tuple[datetime.datetime, protocol.StationHeartbeat]]
Lags = Mapping[tuple[str, str], sa.Row[Any]]


def is_volume_usable(report: protocol.StationHeartbeat) -> bool:
    """Whether what the volume holds can be counted on; one that cannot be written can still be read."""
    return report.volume.problem is None and report.volume.volume_id is not None


def stations_of(
    members: facts.Rows,
    source_id: str,
    reports: Reports,
    lags: Lags,
    volumes: Mapping[str, str],
    now: datetime.datetime,
    since: datetime.datetime,
) -> tuple[rotation.Station, ...]:
    """All registered members, silent ones too. A delay counts from ``since`` on."""
    registered = [member for member in members if member.managed_instance_id is not None]
    excluded = {station_id for (station_id, _), lag in lags.items() if lag.time_excluded is not None}
    found = []
    for member in registered:
        if member.id not in reports:
            found.append(rotation.Station(id=member.id, silent_seconds=math.inf))
            continue
        others = {one.id for one in registered if one.id != member.id and one.id in reports} - excluded
        station = _station(member, source_id, reports[member.id], lags.get((member.id, source_id)), now, since)
        found.append(dataclasses.replace(station, is_last=not others, volume=volumes.get(member.id, "")))
    return tuple(found)


def _station(
    member: sa.Row[Any],
    source_id: str,
    received: tuple[datetime.datetime, protocol.StationHeartbeat],
    lag: sa.Row[Any] | None,
    now: datetime.datetime,
    since: datetime.datetime,
) -> rotation.Station:
    time_received, report = received
    told = next((one for one in report.sources if one.source_id == source_id), None)
    usable = is_volume_usable(report)
    held = frozenset(one.generation for one in told.held) if told and usable else frozenset()
    sync = told.sync if told else None
    excluded_at = lag.time_excluded if lag else None
    return rotation.Station(
        id=member.id,
        silent_seconds=seconds(now, time_received),
        is_volume_usable=usable,
        # A drained station counts until it says itself that it is not ready any more.
        is_draining=member.is_draining and report.readiness is protocol.Readiness.NO,
        held=held,
        fetchable=frozenset(one.generation for one in told.held if one.is_fetchable) if told and usable else held,
        shown=_believable(told.shown) if told else None,
        stalled_seconds=seconds(now, max(since, lag.time_gained)) if lag else 0.0,
        behind_seconds=seconds(now, max(since, lag.time_behind)) if lag else 0.0,
        excluded_seconds=seconds(now, excluded_at) if excluded_at is not None else None,
        lagging_behind=lag.generation if lag else None,
        lease_token=told.lease_token if told and told.lease_token < _HIGHEST else 0,
        is_led=is_led(report),
        is_writable=report.volume.is_writable,
        **_sync_facts(sync),
    )


def is_led(report: protocol.StationHeartbeat) -> bool:
    """Whether the station obeys leases: it then writes nonces, or has had a lease."""
    return bool(report.volume.own_nonce) or any(one.lease_token for one in report.sources)


def _sync_facts(sync: protocol.SyncReport | None) -> dict[str, Any]:
    if sync is None:
        return {}
    return {
        "finished_sync": sync.number - 1 if sync.is_running else sync.number,
        "is_syncing": sync.is_running,
        "has_failed": sync.problem is not None and not sync.is_running,
        "sync_token": sync.lease_token,
        "sync_generation": None if sync.is_running else sync.generation,
    }


def _believable(shown: protocol.Visible | None) -> protocol.Visible | None:
    """What a volume names as visible is adopted under circumstances, so nonsense must not come this far."""
    if shown is None or not 0 < shown.number < _HIGHEST or not GENERATION.fullmatch(shown.generation):
        return None
    return shown


def staging_seconds(source_id: str, reports: Reports) -> float:
    """What bringing it from the upstream took; how long copies take says nothing of how long to wait for one."""
    told = [one.sync for _, report in reports.values() for one in report.sources if one.source_id == source_id]
    led = [one for one in told if one is not None and one.lease_token]
    syncs = led or told
    spans = [
        (sync.time_finished - sync.time_started).total_seconds()
        for sync in syncs
        if sync and sync.time_started and sync.time_finished and not sync.problem
    ]
    return max(spans, default=0.0)


def seconds(now: datetime.datetime, then: datetime.datetime) -> float:
    """Never negative."""
    return max(0.0, (now - then).total_seconds())
