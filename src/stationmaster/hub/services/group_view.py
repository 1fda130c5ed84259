"""One group as the hub knows it at one moment: members, last reports, and a snapshot of each mirrored source."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import facts, mirror_lists, partings, station_facts
from stationmaster.model import groups, leadership, moments, protocol, rotation, sharing

_OLD = datetime.timedelta(minutes=1)
_LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_LONG_SECONDS = datetime.timedelta(days=3650).total_seconds()
Reports = station_facts.Reports
Lags = station_facts.Lags


@dataclasses.dataclass(frozen=True)
class GroupView:
    """All of it. ``unseen`` are generations that were reported and are not stored yet.

    ``leases`` and ``candidates`` are rows by source. ``volumes`` names, by station, the volume that it is proved to
    use, and ``volume_writers`` by such a name the holder of the volume's lease. ``recent`` are by source the numbers
    that some station may show.
    """

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
    leases: Mapping[str, sa.Row[Any]]
    candidates: Mapping[str, sa.Row[Any]]
    volumes: Mapping[str, str]
    volume_writers: Mapping[str, str]
    recent: Mapping[str, facts.Rows]

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


def view_group(
    tx: sa.Connection,
    now: datetime.datetime,
    head: sa.Row[Any],
    *,
    is_settled: bool = True,
    is_deciding: bool = False,
    listened: float = math.inf,
) -> GroupView:
    """The group of the station ``head``. ``is_deciding``: something is written in this transaction that rests on it.

    ``listened``: for how many seconds the hub has, without a doubt; nobody's delay is counted as longer (R9).
    """
    since = _since(now, listened)
    members = mirror_lists.members(tx, head.hostname, head.compartment_id)
    group_id = groups.group_id(head.hostname, head.compartment_id)
    sources = mirror_lists.sources(tx, members)
    reports = facts.last_reports(tx, [member.id for member in members], is_deciding=is_deciding)
    known = _known_generations(tx, [source.id for source in sources])
    unseen = _unseen(sources, reports, known, now)
    for source_id, generation in unseen:
        known.setdefault(source_id, {})[generation.id] = generation
    visible, raised = facts.visible_generations(tx, group_id), _raised(tx, group_id)
    lags, orphans = _lags(tx, [member.id for member in members]), _orphans(tx, group_id)
    leases = _by_source(tx, schema.source_leases, group_id)
    candidates = _by_source(tx, schema.candidates, group_id)
    volumes = _volumes(tx, reports)
    parted = partings.parted_seconds(tx, now, head)
    snapshots = {
        source.id: rotation.Snapshot(
            source_id=source.id,
            visible=visible.get(source.id),
            generations=known.get(source.id, {}),
            stations=station_facts.stations_of(members, source.id, reports, lags, volumes, now, since),
            sync_number=raised[source.id][0] if source.id in raised else 0,
            since_sync_raised=station_facts.seconds(now, raised[source.id][1]) if source.id in raised else math.inf,
            orphaned_seconds=station_facts.seconds(now, max(since, orphans[source.id]))
            if source.id in orphans
            else 0.0,
            staging_seconds=station_facts.staging_seconds(source.id, reports),
            parted_seconds=parted,
            is_settled=is_settled,
            lease=lease_of(leases.get(source.id), now, since),
            **_candidate(candidates.get(source.id), known.get(source.id, {}), now, since),
        )
        for source in sources
    }
    return GroupView(
        group_id,
        head.hostname_key,
        head.compartment_id,
        members,
        sources,
        reports,
        lags,
        snapshots,
        unseen,
        orphans,
        leases,
        candidates,
        volumes,
        _writers(tx, volumes),
        _recent(tx, group_id),
    )


def _since(now: datetime.datetime, listened: float) -> datetime.datetime:
    return now - datetime.timedelta(seconds=listened) if listened < _LONG_SECONDS else _LONG_AGO


def lease_of(row: sa.Row[Any] | None, now: datetime.datetime, since: datetime.datetime = _LONG_AGO) -> leadership.Lease:
    """A stored lease as the model takes it."""
    if row is None:
        return leadership.UNHELD
    failed = {
        name: station_facts.seconds(now, datetime.datetime.fromisoformat(when)) for name, when in row.failures.items()
    }
    return leadership.Lease(
        token=row.token,
        holder=row.station_id,
        renewed_seconds=station_facts.seconds(now, max(since, row.time_renewed)),
        idle_seconds=station_facts.seconds(now, max(since, row.time_gained)),
        failed=failed,
    )


def _unseen(
    sources: facts.Rows, reports: Reports, known: Mapping[str, Mapping[str, Any]], now: datetime.datetime
) -> tuple[tuple[str, rotation.Generation], ...]:
    mirrored, found = {source.id for source in sources}, {}
    for _, report in reports.values():
        for told in report.sources:
            for held in told.held if told.source_id in mirrored else ():
                is_known = held.generation in known.get(told.source_id, {})
                if not is_known and station_facts.GENERATION.fullmatch(held.generation):
                    generation = rotation.Generation(held.generation, now, moments.as_utc_or_none(held.time_root))
                    found[told.source_id, held.generation] = generation
    return tuple(
        (source_id, generation) for (source_id, _), generation in sorted(found.items(), key=lambda one: one[0])
    )


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


def _by_source(tx: sa.Connection, table: sa.Table, group_id: str) -> dict[str, sa.Row[Any]]:
    return {row.source_id: row for row in tx.execute(sa.select(table).where(table.c.group_id == group_id))}


def _candidate(
    row: sa.Row[Any] | None,
    known: Mapping[str, rotation.Generation],
    now: datetime.datetime,
    since: datetime.datetime,
) -> dict[str, Any]:
    if row is None or row.generation is None:
        return {}
    return {
        "is_candidate_old": is_old(known, row.generation, row.time_set),
        "candidate": row.generation,
        "candidate_seconds": station_facts.seconds(now, max(since, row.time_set)),
        "lost_seconds": station_facts.seconds(now, max(since, row.time_lost)) if row.time_lost is not None else 0.0,
    }


def is_old(known: Mapping[str, rotation.Generation], generation: str, when: datetime.datetime) -> bool:
    """Whether a generation was there long before it was found again: then somebody may be removing it."""
    return generation in known and when - known[generation].time_first_seen > _OLD


def _volumes(tx: sa.Connection, reports: Reports) -> dict[str, str]:
    table = schema.station_reports.c
    rows = tx.execute(sa.select(table.station_id, table.nonces).where(table.station_id.in_(sorted(reports))))
    nonces = {row.station_id: tuple(row.nonces or ()) for row in rows}
    return sharing.volumes_of(
        sharing.Sight(station_id, report.volume.volume_id, nonces.get(station_id, ()), report.volume.nonces)
        for station_id, (_, report) in reports.items()
        if report.volume.volume_id is not None
    )


def _recent(tx: sa.Connection, group_id: str) -> dict[str, facts.Rows]:
    table = schema.visible
    found: dict[str, list[sa.Row[Any]]] = {}
    for row in tx.execute(sa.select(table).where(table.c.group_id == group_id, table.c.time_left.is_(None))):
        found.setdefault(row.source_id, []).append(row)
    return dict(found)


def _writers(tx: sa.Connection, volumes: Mapping[str, str]) -> dict[str, str]:
    table = schema.volume_leases.c
    rows = tx.execute(sa.select(table.station_id).where(table.station_id.in_(sorted(volumes))))
    return {volumes[row.station_id]: row.station_id for row in rows}
