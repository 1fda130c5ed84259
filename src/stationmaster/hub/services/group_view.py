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
from stationmaster.hub.services import facts, group_rows, mirror_lists, partings, station_facts
from stationmaster.model import groups, leadership, protocol, rotation

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
    members = mirror_lists.members(tx, head.hostname, head.compartment_id)
    group_id = groups.group_id(head.hostname, head.compartment_id)
    sources = mirror_lists.sources(tx, members)
    reports = facts.last_reports(tx, [member.id for member in members], is_deciding=is_deciding)
    known = group_rows.known_generations(tx, [source.id for source in sources])
    unseen = group_rows.unseen(sources, reports, known, now)
    for source_id, generation in unseen:
        known.setdefault(source_id, {})[generation.id] = generation
    volumes = group_rows.volumes(tx, reports)
    view = GroupView(
        group_id=group_id,
        hostname=head.hostname_key,
        compartment_id=head.compartment_id,
        members=members,
        sources=sources,
        reports=reports,
        lags=group_rows.lags(tx, [member.id for member in members]),
        snapshots={},
        unseen=unseen,
        orphans=group_rows.orphans(tx, group_id),
        leases=group_rows.by_source(tx, schema.source_leases, group_id),
        candidates=group_rows.by_source(tx, schema.candidates, group_id),
        volumes=volumes,
        volume_writers=group_rows.writers(tx, volumes),
        recent=group_rows.recent(tx, group_id),
    )
    at = _At(now, _since(now, listened), is_settled, partings.parted_seconds(tx, now, head))
    visible, raised = facts.visible_generations(tx, group_id), group_rows.raised(tx, group_id)
    snapshots = {
        source.id: _snapshot(
            view, source.id, at, known.get(source.id, {}), visible.get(source.id), raised.get(source.id)
        )
        for source in sources
    }
    return dataclasses.replace(view, snapshots=snapshots)


@dataclasses.dataclass(frozen=True)
class _At:
    """When the view is taken; no delay began before ``since`` (R9)."""

    now: datetime.datetime
    since: datetime.datetime
    is_settled: bool
    parted_seconds: float

    def delay(self, began: datetime.datetime | None) -> float:
        """Seconds since something began, as far as the hub has listened; 0 when it has not."""
        return 0.0 if began is None else station_facts.seconds(self.now, max(self.since, began))


def _snapshot(
    view: GroupView,
    source_id: str,
    at: _At,
    known: dict[str, rotation.Generation],
    visible: protocol.Visible | None,
    raised: tuple[int, datetime.datetime] | None,
) -> rotation.Snapshot:
    return rotation.Snapshot(
        source_id=source_id,
        visible=visible,
        generations=known,
        stations=station_facts.stations_of(
            view.members, source_id, view.reports, view.lags, view.volumes, at.now, at.since
        ),
        sync_number=raised[0] if raised else 0,
        since_sync_raised=station_facts.seconds(at.now, raised[1]) if raised else math.inf,
        orphaned_seconds=at.delay(view.orphans.get(source_id)),
        staging_seconds=station_facts.staging_seconds(source_id, view.reports),
        parted_seconds=at.parted_seconds,
        is_settled=at.is_settled,
        lease=lease_of(view.leases.get(source_id), at.now, at.since),
        **_candidate(view.candidates.get(source_id), known, at),
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


def _candidate(row: sa.Row[Any] | None, known: Mapping[str, rotation.Generation], at: _At) -> dict[str, Any]:
    if row is None or row.generation is None:
        return {}
    return {
        "is_candidate_old": is_old(known, row.generation, row.time_set),
        "candidate": row.generation,
        "candidate_seconds": at.delay(row.time_set),
        "lost_seconds": at.delay(row.time_lost),
    }


def is_old(known: Mapping[str, rotation.Generation], generation: str, when: datetime.datetime) -> bool:
    """Whether a generation was there long before it was found again: then somebody may be removing it."""
    return generation in known and when - known[generation].time_first_seen > _OLD
