"""The group as the hub of the exploration sees it, in the terms of the real decisions (`hub.services.group_view`)."""

from __future__ import annotations

import dataclasses
import datetime
import math

from stationmaster.model import leadership, rotation
from stationmaster.testing.exploration import hub_side, state
from stationmaster.testing.exploration.state import UNIT, Hub, Lease

_START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
GENERATIONS = {
    f"g{index}": rotation.Generation(f"g{index}", _START, _START + datetime.timedelta(hours=index))
    for index in range(9)
}


def name_of(index: int | None) -> str:
    """As the decisions know a station."""
    return "" if index is None else f"s{index}"


def members(hub: Hub) -> list[int]:
    """Stations that belong to the group now."""
    return [index for index, one in enumerate(hub.members) if one in (state.ACTIVE, state.DELETING)]


def view(hub: Hub, source: int, volumes: tuple[int, ...]) -> rotation.Snapshot:
    """The group as `hub.services.group_view` makes it."""
    row = hub.rows[source]
    empty = rotation.Snapshot(
        source_id=str(source),
        visible=None,
        generations=GENERATIONS,
        stations=tuple(_station(hub, index, source, volumes) for index in members(hub)),
    )
    return dataclasses.replace(
        present(hub, source, empty),
        lost_seconds=(row.lost or 0) * UNIT,
        lease=lease_of(row.lease, min(row.lease.idle, row.raised)),
        sync_number=row.number,
        since_sync_raised=row.raised * UNIT,
        orphaned_seconds=(row.orphaned or 0) * UNIT,
        parted_seconds=hub.parted * UNIT,
        is_settled=hub.is_settled,
    )


def present(hub: Hub, source: int, snapshot: rotation.Snapshot) -> rotation.Snapshot:
    """The snapshot, with what the hub has decided meanwhile."""
    row = hub.rows[source]
    return dataclasses.replace(
        snapshot,
        visible=hub_side.wire(source, row.visible),
        candidate=row.candidate,
        candidate_seconds=row.candidate_age * UNIT,
        is_candidate_old=row.candidate in row.known,
    )


def lease_of(lease: Lease, idle: int = 0) -> leadership.Lease:
    """A stored lease as `leadership` takes it."""
    return leadership.Lease(
        lease.token,
        None if lease.holder is None else name_of(lease.holder),
        lease.renewed * UNIT,
        idle * UNIT,
        {name_of(who): age * UNIT for who, age in lease.failed},
    )


def _station(hub: Hub, index: int, source: int, volumes: tuple[int, ...]) -> rotation.Station:
    report, lag = hub.reports[index], hub.rows[source].lags[index]
    told = report.told[source]
    excluded = lag.excluded if lag else None
    return rotation.Station(
        id=name_of(index),
        silent_seconds=report.age * UNIT if report.age < state.HEARD else math.inf,
        held=told.held,
        fetchable=told.fetchable,
        shown=hub_side.wire(source, told.shown),
        stalled_seconds=lag.behind * UNIT if lag else 0.0,
        behind_seconds=lag.behind * UNIT if lag else 0.0,
        excluded_seconds=excluded * UNIT if excluded is not None else None,
        lagging_behind=lag.generation if lag else None,
        finished_sync=told.run.number,
        has_failed=told.run.has_failed,
        sync_token=told.run.token,
        sync_generation=told.run.generation,
        lease_token=told.token,
        volume=str(volumes[index]),
        is_last=all(_is_out(hub, one) for one in members(hub) if one != index),
    )


def _is_out(hub: Hub, index: int) -> bool:
    """As `hub.services.station_facts`: told to leave for lagging in any source."""
    lags = (row.lags[index] for row in hub.rows)
    return any(one is not None and one.excluded is not None for one in lags)
