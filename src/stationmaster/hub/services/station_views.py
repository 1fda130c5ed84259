"""Stations and mirrors as they are shown: rows and the last heartbeat, given to ``model.station_state``."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api.wire import base
from stationmaster.hub.api.wire import stations as wire
from stationmaster.hub.db import schema
from stationmaster.hub.services import facts, mirror_lists, sync_requests
from stationmaster.model import groups, protocol, station_state


class Views:
    """Views within one transaction; what a group shares is read once."""

    def __init__(self, tx: sa.Connection, now: datetime.datetime, liveness: datetime.timedelta) -> None:
        self._tx = tx
        self._now = now
        self._liveness = liveness
        self._groups: dict[str, _Group] = {}

    def state(self, station: Any) -> station_state.StationState:
        """The computed part."""
        group = self._group(station)
        report = group.reports.get(station.id)
        known = station_state.Facts(
            is_registered=station.managed_instance_id is not None,
            source_ids=[source.id for source in group.sources],
            visible=group.visible,
            times_visible=group.times_visible,
            queued=group.queued,
            report=report[1] if report else None,
            time_received=report[0] if report else None,
            leads=group.leads,
        )
        return station_state.compute_state(known, self._now, self._liveness)

    def full(self, station: Any) -> wire.ManagementStation:
        """A station as GET shows it."""
        state, shared = self.state(station), _shared(station)
        states = protocol.MirrorState
        return wire.ManagementStation(
            **shared,
            overall_state=state.overall_state,
            overall_percentage=state.overall_percentage,
            mirror_capacity=state.capacity,
            total_mirrors=len(state.mirrors),
            mirror_sync_status=wire.MirrorSyncStatus(
                unsynced=state.count(states.UNSYNCED),
                queued=state.count(states.QUEUED),
                syncing=state.count(states.SYNCING),
                synced=state.count(states.SYNCED),
                failed=state.count(states.FAILED),
            ),
            proxy=wire.ProxyConfiguration(
                is_enabled=station.is_proxy_enabled,
                hosts=station.proxy_hosts,
                port=str(station.proxy_port),
                forward=station.proxy_forward,
            ),
            mirror=wire.MirrorConfiguration(
                directory=station.mirror_directory,
                port=str(station.mirror_port),
                sslport=str(station.mirror_sslport),
                sslcert=station.mirror_sslcert,
                is_sslverify_enabled=station.is_sslverify_enabled,
            ),
            health=wire.StationHealth(state=state.health_state, description=state.health_description),
            is_auto_config_enabled=station.is_auto_config_enabled,
            peer_management_stations=[
                wire.PeerManagementStation(id=peer.id, display_name=peer.display_name)
                for peer in self._group(station).members
                if peer.id != station.id
            ],
            mirror_storage_available_size=state.available_bytes,
            mirror_storage_size=state.storage_bytes,
            mirror_size=sum(mirror.size_bytes for mirror in state.mirrors),
            mirror_unique_package_count=sum(mirror.unique_package_count for mirror in state.mirrors),
            mirror_package_count=sum(mirror.package_count for mirror in state.mirrors),
        )

    def summary(self, station: Any) -> wire.ManagementStationSummary:
        """A station as the list shows it; the row must carry ``time_next_execution`` of its job."""
        state = self.state(station)
        return wire.ManagementStationSummary(
            **_shared(station),
            time_next_execution=base.moment_or_none(station.time_next_execution),
            overall_state=state.overall_state,
            health_state=state.health_state,
            overall_percentage=state.overall_percentage,
            mirror_capacity=state.capacity,
        )

    def mirrors(self, station: Any) -> list[tuple[Any, wire.MirrorSummary]]:
        """Each source of the mirror list with its mirror on this station."""
        rows = {source.id: source for source in self._group(station).sources}
        return [
            (rows[mirror.source_id], _mirror(rows[mirror.source_id], mirror)) for mirror in self.state(station).mirrors
        ]

    def _group(self, station: Any) -> _Group:
        key = groups.group_id(station.hostname, station.compartment_id)
        if key not in self._groups:
            self._groups[key] = _Group(self._tx, key, station)
        return self._groups[key]


class _Group:
    """Facts that all stations of a group share."""

    def __init__(self, tx: sa.Connection, group_id: str, station: Any) -> None:
        self.members = mirror_lists.members(tx, station.hostname, station.compartment_id)
        self.sources = mirror_lists.sources(tx, self.members)
        self.reports = facts.last_reports(tx, [member.id for member in self.members])
        rows = _visible_rows(tx, group_id)
        self.visible = {row.source_id: _visible(row) for row in rows}
        self.times_visible = {row.source_id: row.time_visible for row in rows}
        self.queued = self._queued(sync_requests.latest_numbers(tx, group_id))
        self.leads = self._leads()

    def _leads(self) -> dict[str, list[station_state.Lead]]:
        """What leaders brought: a copy is none, and neither is a sync that failed."""
        names = {member.id: member.display_name for member in self.members}
        found: dict[str, list[station_state.Lead]] = {}
        for station_id, (_, report) in self.reports.items():
            for source in report.sources:
                sync = source.sync
                if sync is not None and not sync.is_running and sync.problem is None and sync.lease_token:
                    lead = station_state.Lead(names[station_id], sync.number, sync.generation, sync.time_finished)
                    found.setdefault(source.source_id, []).append(lead)
        return found

    def _queued(self, wanted: Mapping[str, int]) -> frozenset[str]:
        """Sources whose last request no station has finished: one leads, the others copy what it fetched."""
        answered: dict[str, int] = {}
        for _, report in self.reports.values():
            for source in report.sources:
                if source.sync is not None and not source.sync.is_running:
                    answered[source.source_id] = max(answered.get(source.source_id, 0), source.sync.number)
        return frozenset(source_id for source_id, number in wanted.items() if number > answered.get(source_id, 0))


def _visible_rows(tx: sa.Connection, group_id: str) -> Sequence[Any]:
    table = schema.visible
    newest = (
        sa.select(table.c.source_id, sa.func.max(table.c.number).label("number"))
        .where(table.c.group_id == group_id)
        .group_by(table.c.source_id)
        .subquery()
    )
    query = sa.select(table).join(
        newest, sa.and_(newest.c.source_id == table.c.source_id, newest.c.number == table.c.number)
    )
    return tx.execute(query.where(table.c.group_id == group_id)).all()


def _shared(station: Any) -> dict[str, Any]:
    return {
        "id": station.id,
        "managed_instance_id": station.managed_instance_id,
        "compartment_id": station.compartment_id,
        "scheduled_job_id": station.scheduled_job_id,
        "profile_id": station.profile_id,
        "display_name": station.display_name,
        "description": station.description,
        "hostname": station.hostname,
        "lifecycle_state": station.lifecycle_state,
        "location": station.location,
        "os_family": station.os_family,
        "arch_type": station.arch_type,
        "freeform_tags": station.freeform_tags,
        "defined_tags": base.shown_tags(station.defined_tags, station.created_by, station.time_created),
        "system_tags": {},
    }


def _mirror(source: Any, mirror: station_state.Mirror) -> wire.MirrorSummary:
    return wire.MirrorSummary(
        id=source.id,
        display_name=source.display_name,
        type=source.software_source_type,
        os_family=source.os_family,
        arch_type=source.arch_type,
        state=mirror.state.value,
        percentage=mirror.percentage,
        time_last_synced=base.moment_or_none(mirror.time_last_synced),
        log=mirror.log,
        package_count=mirror.package_count,
        size=mirror.size_bytes,
    )


def _visible(row: Any) -> protocol.Visible:
    return protocol.Visible(source_id=row.source_id, number=row.number, generation=row.generation)
