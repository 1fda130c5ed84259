"""One group as the hub knows it at one moment: members, last reports, and a snapshot of each mirrored source."""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import facts, mirror_lists
from stationmaster.model import groups, moments, protocol, rotation

_GENERATION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HIGHEST = 2**30

Reports = Mapping[str, tuple[datetime.datetime, protocol.StationHeartbeat]]
Lags = Mapping[tuple[str, str], sa.Row[Any]]


@dataclasses.dataclass(frozen=True)
class GroupView:
    """All of it. ``unseen`` are generations that were reported and are not stored yet."""

    group_id: str
    hostname: str
    compartment_id: str
    members: facts.Rows
    sources: facts.Rows
    reports: Reports
    lags: Lags
    snapshots: Mapping[str, rotation.Snapshot]
    unseen: tuple[tuple[str, rotation.Generation], ...]
    orphans: Mapping[str, datetime.datetime]

    def report_of(self, station_id: str, source_id: str) -> protocol.SourceReport | None:
        """What a station last said of a source."""
        if station_id not in self.reports:
            return None
        found = (one for one in self.reports[station_id][1].sources if one.source_id == source_id)
        return next(found, None)

    def name_of(self, station_id: str) -> str:
        """The display name of a member."""
        return next((row.display_name for row in self.members if row.id == station_id), station_id)


def limits_of(hub: context.Hub) -> rotation.Limits:
    """The hub's settings as the model takes them."""
    return rotation.Limits(
        liveness=hub.times.liveness.total_seconds(),
        lag=hub.times.lag_limit.total_seconds(),
    )


def group_heads(tx: sa.Connection) -> facts.Rows:
    """One station of each group, for the whole group."""
    table = schema.stations
    rows = tx.execute(sa.select(table).where(table.c.lifecycle_state != "DELETED").order_by(table.c.id)).all()
    heads: dict[tuple[str, str], sa.Row[Any]] = {}
    for row in rows:
        heads.setdefault((row.hostname_key, row.compartment_id), row)
    return list(heads.values())


def view_group(tx: sa.Connection, now: datetime.datetime, head: sa.Row[Any], *, is_settled: bool = True) -> GroupView:
    """The group of the station ``head``."""
    members = mirror_lists.members(tx, head.hostname, head.compartment_id)
    group_id = groups.group_id(head.hostname, head.compartment_id)
    sources = mirror_lists.sources(tx, members)
    reports = facts.last_reports(tx, [member.id for member in members])
    known = _known_generations(tx, [source.id for source in sources])
    unseen = _unseen(sources, reports, known, now)
    for source_id, generation in unseen:
        known.setdefault(source_id, {})[generation.id] = generation
    visible, raised = facts.visible_generations(tx, group_id), _raised(tx, group_id)
    lags, orphans = _lags(tx, [member.id for member in members]), _orphans(tx, group_id)
    snapshots = {
        source.id: rotation.Snapshot(
            source_id=source.id,
            visible=visible.get(source.id),
            generations=known.get(source.id, {}),
            stations=_stations(members, source.id, reports, lags, now),
            sync_number=raised[source.id][0] if source.id in raised else 0,
            since_sync_raised=_seconds(now, raised[source.id][1]) if source.id in raised else math.inf,
            orphaned_seconds=_seconds(now, orphans[source.id]) if source.id in orphans else 0.0,
            staging_seconds=_staging_seconds(source.id, reports),
            is_settled=is_settled,
        )
        for source in sources
    }
    return GroupView(
        group_id, head.hostname_key, head.compartment_id, members, sources, reports, lags, snapshots, unseen, orphans
    )


def is_volume_usable(report: protocol.StationHeartbeat) -> bool:
    """Whether what the volume holds can be counted on; one that cannot be written can still be read."""
    return report.volume.problem is None and report.volume.volume_id is not None


def _stations(
    members: facts.Rows, source_id: str, reports: Reports, lags: Lags, now: datetime.datetime
) -> tuple[rotation.Station, ...]:
    registered = [member for member in members if member.managed_instance_id is not None]
    excluded = {station_id for (station_id, _), lag in lags.items() if lag.time_excluded is not None}
    found = []
    for member in registered:
        if member.id not in reports:
            found.append(rotation.Station(id=member.id, silent_seconds=math.inf))
            continue
        others = {one.id for one in registered if one.id != member.id and one.id in reports} - excluded
        station = _station(member, source_id, reports[member.id], lags.get((member.id, source_id)), now)
        found.append(dataclasses.replace(station, is_last=not others))
    return tuple(found)


def _station(
    member: sa.Row[Any],
    source_id: str,
    received: tuple[datetime.datetime, protocol.StationHeartbeat],
    lag: sa.Row[Any] | None,
    now: datetime.datetime,
) -> rotation.Station:
    time_received, report = received
    told = next((one for one in report.sources if one.source_id == source_id), None)
    usable = is_volume_usable(report)
    held = frozenset(one.generation for one in told.held) if told and usable else frozenset()
    sync = told.sync if told else None
    excluded_at = lag.time_excluded if lag else None
    return rotation.Station(
        id=member.id,
        silent_seconds=_seconds(now, time_received),
        is_volume_usable=usable,
        # A drained station counts until it says itself that it is not ready any more.
        is_draining=member.is_draining and report.readiness is protocol.Readiness.NO,
        held=held,
        fetchable=frozenset(one.generation for one in told.held if one.is_fetchable) if told and usable else held,
        shown=_believable(told.shown) if told else None,
        stalled_seconds=_seconds(now, lag.time_gained) if lag else 0.0,
        behind_seconds=_seconds(now, lag.time_behind) if lag else 0.0,
        excluded_seconds=_seconds(now, excluded_at) if excluded_at is not None else None,
        finished_sync=(sync.number - 1 if sync.is_running else sync.number) if sync else 0,
        is_syncing=bool(sync and sync.is_running),
        has_failed=bool(sync and sync.problem and not sync.is_running),
    )


def _believable(shown: protocol.Visible | None) -> protocol.Visible | None:
    """What a volume names as visible is adopted under circumstances, so nonsense must not come this far."""
    if shown is None or not 0 < shown.number < _HIGHEST or not _GENERATION.fullmatch(shown.generation):
        return None
    return shown


def _unseen(
    sources: facts.Rows, reports: Reports, known: Mapping[str, Mapping[str, Any]], now: datetime.datetime
) -> tuple[tuple[str, rotation.Generation], ...]:
    mirrored, found = {source.id for source in sources}, {}
    for _, report in reports.values():
        for told in report.sources:
            for held in told.held if told.source_id in mirrored else ():
                is_known = held.generation in known.get(told.source_id, {})
                if not is_known and _GENERATION.fullmatch(held.generation):
                    generation = rotation.Generation(held.generation, now, moments.as_utc_or_none(held.time_root))
                    found[told.source_id, held.generation] = generation
    return tuple(
        (source_id, generation) for (source_id, _), generation in sorted(found.items(), key=lambda one: one[0])
    )


def _staging_seconds(source_id: str, reports: Reports) -> float:
    syncs = [one.sync for _, report in reports.values() for one in report.sources if one.source_id == source_id]
    spans = [
        (sync.time_finished - sync.time_started).total_seconds()
        for sync in syncs
        if sync and sync.time_started and sync.time_finished and not sync.problem
    ]
    return max(spans, default=0.0)


def _known_generations(tx: sa.Connection, source_ids: list[str]) -> dict[str, dict[str, rotation.Generation]]:
    table = schema.source_generations
    known: dict[str, dict[str, rotation.Generation]] = {}
    for row in tx.execute(sa.select(table).where(table.c.source_id.in_(source_ids))) if source_ids else ():
        generation = rotation.Generation(row.generation, row.time_first_seen, row.time_root)
        known.setdefault(row.source_id, {})[row.generation] = generation
    return known


def _raised(tx: sa.Connection, group_id: str) -> dict[str, tuple[int, datetime.datetime]]:
    table = schema.sync_requests.c
    query = sa.select(table.source_id, sa.func.max(table.number), sa.func.max(table.time_requested))
    rows = tx.execute(query.where(table.group_id == group_id).group_by(table.source_id))
    return {source_id: (number, time) for source_id, number, time in rows}


def _lags(tx: sa.Connection, station_ids: list[str]) -> dict[tuple[str, str], sa.Row[Any]]:
    table = schema.station_lags
    rows = tx.execute(sa.select(table).where(table.c.station_id.in_(station_ids))).all()
    return {(row.station_id, row.source_id): row for row in rows}


def _orphans(tx: sa.Connection, group_id: str) -> dict[str, datetime.datetime]:
    table = schema.orphaned_sources
    rows = tx.execute(sa.select(table).where(table.c.group_id == group_id))
    return {row.source_id: row.time_orphaned for row in rows}


def _seconds(now: datetime.datetime, then: datetime.datetime) -> float:
    return max(0.0, (now - then).total_seconds())
