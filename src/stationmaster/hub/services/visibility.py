"""Carries out what `model.visibility` decides: one plan per group and second, written only when it changes something.

A number is a row that is inserted; of two hub replicas that decide at once, one loses the race and looks again.
"""

from __future__ import annotations

import dataclasses
import datetime
import zlib
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema, store
from stationmaster.hub.services import candidates, events, group_view, leases, retention, syncs
from stationmaster.model import copying, leadership, protocol, rotation, visibility

_EVENTS = {
    visibility.Verdict.ADVANCE: events.EventKind.GENERATION_VISIBLE,
    visibility.Verdict.ADOPT: events.EventKind.GENERATION_ADOPTED,
    visibility.Verdict.RESTORE: events.EventKind.GENERATION_RESTORED,
}
LagKey = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Lag:
    """A row of ``station_lags`` as it should be."""

    gained: int
    time_behind: datetime.datetime
    time_gained: datetime.datetime
    time_excluded: datetime.datetime | None
    generation: str | None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be written for one group; empty when nothing happened. ``snapshots`` are as they will be then."""

    unseen: tuple[tuple[str, rotation.Generation], ...]
    lags: dict[LagKey, Lag | None]
    orphans: dict[str, bool]
    decisions: dict[str, visibility.Decision]
    grown: tuple[str, ...]
    leases: dict[str, leases.Change]
    candidates: dict[str, candidates.Change]
    left: tuple[retention.Left, ...]
    snapshots: dict[str, rotation.Snapshot]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        told = self.unseen, self.lags, self.orphans, self.decisions, self.grown, self.leases, self.candidates, self.left
        return not any(told)


@dataclasses.dataclass(frozen=True)
class Rules:
    """The hub's settings as the model takes them."""

    limits: rotation.Limits
    terms: leadership.Terms

    @classmethod
    def of(cls, hub: context.Hub) -> Rules:
        """As this hub is set."""
        return cls(group_view.limits_of(hub), leadership.Terms(lease=hub.times.lease.total_seconds()))


def plan_group(view: group_view.GroupView, now: datetime.datetime, rules: Rules) -> Plan:
    """Decide. Nothing is written here."""
    lags: dict[LagKey, Lag | None] = {}
    orphans: dict[str, bool] = {}
    decisions: dict[str, visibility.Decision] = {}
    staged: dict[str, candidates.Change] = {}
    following: dict[str, rotation.Snapshot] = {}
    for source_id, known in view.snapshots.items():
        snapshot, change = known, candidates.plan_candidate(view, known, rules.limits)
        if change is not None:
            staged[source_id] = change
        if change is not None and change.is_lost is None:
            generation = change.ruling.generation
            is_old = generation is not None and group_view.is_old(known.generations, generation, now)
            snapshot = dataclasses.replace(known, candidate=generation, candidate_seconds=0.0, is_candidate_old=is_old)
        decision = visibility.decide(snapshot, rules.limits)
        following[source_id] = dataclasses.replace(snapshot, visible=decision.visible)
        if decision.verdict is not visibility.Verdict.KEEP:
            decisions[source_id] = decision
        for station in snapshot.stations:
            changed, lag = _plan_lag(view, station, snapshot, decision, now, rules.limits)
            if changed:
                lags[station.id, source_id] = lag
        is_orphaned = snapshot.visible is not None and not rotation.holders_in_touch(
            snapshot, snapshot.visible.generation, rules.limits
        )
        if is_orphaned != (source_id in view.orphans):
            orphans[source_id] = is_orphaned
    grown = tuple(source_id for source_id, snapshot in view.snapshots.items() if snapshot.sync_number == 0)
    led = leases.plan_leases(view, rules.terms, rules.limits)
    return Plan(view.unseen, lags, orphans, decisions, grown, led, staged, retention.plan_left(view), following)


def apply_plan(tx: sa.Connection, now: datetime.datetime, view: group_view.GroupView, plan: Plan) -> None:
    """Write what was planned on the same view, in one transaction."""
    for source_id, generation in plan.unseen:
        store.insert_first(
            tx,
            schema.source_generations,
            source_id=source_id,
            generation=generation.id,
            time_root=generation.time_root,
            time_first_seen=generation.time_first_seen,
        )
    for key, lag in plan.lags.items():
        _write_lag(tx, now, view, key, lag)
    leases.write_leases(tx, now, view, plan.leases)
    for source_id, change in plan.candidates.items():
        candidates.write_candidate(tx, now, view, source_id, change)
    for source_id, is_orphaned in plan.orphans.items():
        _write_orphan(tx, now, view.group_id, source_id, is_orphaned=is_orphaned)
    retention.write_left(tx, now, view.group_id, plan.left)
    if plan.grown:
        syncs.request_sync(tx, now, view.group_id, plan.grown)
    for source_id, decision in plan.decisions.items():
        if decision.verdict in {visibility.Verdict.RESYNC, visibility.Verdict.RESTORE}:
            syncs.request_sync(tx, now, view.group_id, [source_id])  # what was lost, the upstream may still have
        if decision.unknown is not None:
            _insert_visible(tx, now, view, decision.unknown)
        if decision.verdict is not visibility.Verdict.RESYNC and decision.visible is not None:
            _make_visible(tx, now, view, decision.visible, decision)


def step_group(
    hub: context.Hub, now: datetime.datetime, head: sa.Row[Any], *, is_settled: bool
) -> group_view.GroupView:
    """One look at a group, and what follows from it; the group as it was seen. A quiet group is only read."""
    rules, listened = Rules.of(hub), hub.settling.listened_seconds(hub.clock)
    with hub.store.read() as tx:
        view = group_view.view_group(tx, now, head, is_settled=is_settled, listened=listened)
    plan = plan_group(view, now, rules)
    if not plan.is_empty:

        def work(tx: sa.Connection) -> tuple[group_view.GroupView, Plan]:
            fresh = group_view.view_group(tx, now, head, is_settled=is_settled, is_deciding=True, listened=listened)
            made = plan_group(fresh, now, rules)
            apply_plan(tx, now, fresh, made)
            return fresh, made

        view, plan = hub.store.transact_as_one(f"group {view.group_id}", work) or (view, plan)
    # What each volume lacks is told to one of its stations with its next heartbeat.
    copies = copying.copies_of(plan.snapshots.values(), view.volume_writers, rules.limits)
    hub.orders.set_copies([member.id for member in view.members], copies)
    return view


def _plan_lag(
    view: group_view.GroupView,
    station: rotation.Station,
    snapshot: rotation.Snapshot,
    decision: visibility.Decision,
    now: datetime.datetime,
    limits: rotation.Limits,
) -> tuple[bool, Lag | None]:
    """Whether the lag row of a station must change, and to what; none when it holds all it should, or is silent."""
    row = view.lags.get((station.id, snapshot.source_id))
    if not rotation.lacks(snapshot, station) or station.silent_seconds > limits.liveness:
        return row is not None, None
    gained, target = _gained(view, station, snapshot), rotation.target(snapshot)
    excluded_at = row.time_excluded if row is not None else None
    if station.id not in decision.excluded:
        excluded_at = None
    elif excluded_at is None:
        excluded_at = now
    if row is None or row.generation != target:
        return True, Lag(gained, now, now, excluded_at, target)
    time_gained = now if gained != row.gained else row.time_gained
    lag = Lag(gained, row.time_behind, time_gained, excluded_at, target)
    return (gained, excluded_at) != (row.gained, row.time_excluded), lag


def _gained(view: group_view.GroupView, station: rotation.Station, snapshot: rotation.Snapshot) -> int:
    """A figure that moves when the station's volume gains something; its value means nothing."""
    mates = {one.id for one in snapshot.stations if copying.volume_of(one) == copying.volume_of(station)}
    told = [view.report_of(one, snapshot.source_id) for one in sorted(mates)]
    syncs = [one.sync for one in told if one is not None and one.sync is not None]
    return zlib.crc32(repr([(one.bytes_downloaded, one.percentage) for one in syncs]).encode())


def _write_lag(
    tx: sa.Connection, now: datetime.datetime, view: group_view.GroupView, key: LagKey, lag: Lag | None
) -> None:
    table, old = schema.station_lags, view.lags.get(key)
    was_excluded, is_excluded = bool(old and old.time_excluded), bool(lag and lag.time_excluded)
    tx.execute(table.delete().where(table.c.station_id == key[0], table.c.source_id == key[1]))
    if lag is not None:
        store.insert_first(tx, table, station_id=key[0], source_id=key[1], **dataclasses.asdict(lag))
    if was_excluded == is_excluded:
        return
    name, source = view.name_of(key[0]), _source_name(view, key[1])
    kind, message = (
        (events.EventKind.STATION_LEFT_ROTATION, f"{name} lags in {source} and leaves the rotation.")
        if is_excluded
        else (events.EventKind.STATION_RETURNED_TO_ROTATION, f"{name} is back in the rotation for {source}.")
    )
    events.record(tx, now, kind, events.Subject(key[0], name, view.compartment_id), message, data={"sourceId": key[1]})


def _write_orphan(
    tx: sa.Connection, now: datetime.datetime, group_id: str, source_id: str, *, is_orphaned: bool
) -> None:
    table = schema.orphaned_sources
    if is_orphaned:
        store.insert_first(tx, table, group_id=group_id, source_id=source_id, time_orphaned=now)
    else:
        tx.execute(table.delete().where(table.c.group_id == group_id, table.c.source_id == source_id))


def _make_visible(
    tx: sa.Connection,
    now: datetime.datetime,
    view: group_view.GroupView,
    visible: protocol.Visible,
    decision: visibility.Decision,
) -> None:
    _insert_visible(tx, now, view, visible)
    name = _source_name(view, visible.source_id)
    what = f"{name} shows generation {visible.generation} as number {visible.number} at {view.hostname}."
    events.record(
        tx,
        now,
        _EVENTS[decision.verdict],
        events.Subject(visible.source_id, name, view.compartment_id),
        f"{what} {decision.reason}",
        data={"groupId": view.group_id, "number": visible.number, "generation": visible.generation},
    )


def _insert_visible(
    tx: sa.Connection, now: datetime.datetime, view: group_view.GroupView, visible: protocol.Visible
) -> None:
    store.insert_first(
        tx,
        schema.visible,
        group_id=view.group_id,
        source_id=visible.source_id,
        number=visible.number,
        generation=visible.generation,
        time_visible=now,
    )


def _source_name(view: group_view.GroupView, source_id: str) -> str:
    return next((row.display_name for row in view.sources if row.id == source_id), source_id)
