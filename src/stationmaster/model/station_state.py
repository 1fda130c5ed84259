"""What is shown of a station, as one function of facts and times (OSMH rules 56-63; I7).

Nothing here is stored. OSMH does not publish how a station's overall state follows from its mirrors; this is how ours
does, the first line that fits:

    UNAVAILABLE        no host has registered as this station yet
    REGISTRATIONERROR  a host tried, and could not finish
    ERROR              the station is silent, or answers not ready (its reasons are in the health's description)
    SYNCING            a mirror is syncing or queued
    SYNCFAILED         the last sync of a mirror failed (what was mirrored before goes on being served)
    WARNING            a mirror holds nothing that is visible yet; or the station is a last resort or names a problem
    NORMAL             otherwise

Health: UNAVAILABLE before registration, HEALTHY while heartbeats come and the station is not "not ready", else
UNHEALTHY.

A mirror's state follows the volume, not who filled it: SYNCED means that the group's visible generation is whole on
this station's volume and shown there, so that shared storage can never look unsynced. A failure is over when any
station of the group has answered the same request or a later one. The first line that fits:

    SYNCING   a sync or a copy runs here
    QUEUED    nobody has answered the last request yet
    FAILED    the last sync here failed, and nobody has made up for it
    SYNCED    what is visible is whole and shown here
    UNSYNCED  otherwise
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection, Mapping, Sequence

import msgspec

from stationmaster.model import protocol

State = protocol.MirrorState


@dataclasses.dataclass(frozen=True)
class Lead:
    """A sync that a station of the group ended well under its lease: what it brought, and when."""

    station: str
    number: int
    generation: str | None
    time_finished: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the hub knows of a station. ``queued`` are the sources whose last sync request nobody has answered yet.

    ``leads``: by source, the last answers of the group's leaders.
    """

    is_registered: bool
    source_ids: Sequence[str]
    visible: Mapping[str, protocol.Visible]
    times_visible: Mapping[str, datetime.datetime]
    queued: Collection[str]
    report: protocol.StationHeartbeat | None
    time_received: datetime.datetime | None
    is_registration_failed: bool = False
    leads: Mapping[str, Sequence[Lead]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Mirror:
    """What is shown of one mirror. Counts and sizes are of the generation that is shown, else of the newest held."""

    source_id: str
    state: protocol.MirrorState
    percentage: int
    time_last_synced: datetime.datetime | None
    log: str
    package_count: int
    unique_package_count: int
    size_bytes: int


@dataclasses.dataclass(frozen=True)
class StationState:
    """What is shown of a station. ``capacity`` is the percentage of the volume that is in use."""

    overall_state: str
    overall_percentage: int
    health_state: str
    health_description: str
    mirrors: tuple[Mirror, ...]
    capacity: int
    storage_bytes: int
    available_bytes: int

    def count(self, state: protocol.MirrorState) -> int:
        """How many mirrors are in ``state``."""
        return sum(mirror.state is state for mirror in self.mirrors)


def compute_state(facts: Facts, now: datetime.datetime, liveness: datetime.timedelta) -> StationState:
    """All of it; see the module for the rules."""
    mirrors = tuple(compute_mirror(facts, source_id) for source_id in facts.source_ids)
    health, description = _health(facts, now, liveness)
    volume = facts.report.volume if facts.report else None
    total = volume.total_bytes if volume else 0
    available = volume.available_bytes if volume else 0
    return StationState(
        overall_state=_overall(facts, health, mirrors),
        overall_percentage=sum(mirror.percentage for mirror in mirrors) // len(mirrors) if mirrors else 0,
        health_state=health,
        health_description=description,
        mirrors=mirrors,
        capacity=100 * (total - available) // total if total else 0,
        storage_bytes=total,
        available_bytes=available,
    )


def compute_mirror(facts: Facts, source_id: str) -> Mirror:
    """I7: one mirror."""
    report = next((one for one in facts.report.sources if one.source_id == source_id), None) if facts.report else None
    leads = facts.leads.get(source_id, ())
    sync = _unless_made_up(report.sync if report else None, leads)
    visible = facts.visible.get(source_id)
    held = _counted(report, visible)
    is_shown = bool(report and report.shown and visible and report.shown.generation == visible.generation)
    is_synced = is_shown and held is not None and visible is not None and held.generation == visible.generation
    state = _mirror_state(sync, is_synced=is_synced, is_queued=source_id in facts.queued)
    lead = _bringer(leads, visible) if is_synced else None
    finished = sync.time_finished if sync and not sync.problem else None
    brought = lead.time_finished if lead else None
    return Mirror(
        source_id=source_id,
        state=state,
        percentage=_percentage(state, sync),
        time_last_synced=brought or finished or (facts.times_visible.get(source_id) if is_synced else None),
        log=_log(sync, lead),
        package_count=held.package_count if held else 0,
        unique_package_count=held.unique_package_count if held else 0,
        size_bytes=held.size_bytes if held else 0,
    )


def _mirror_state(sync: protocol.SyncReport | None, *, is_synced: bool, is_queued: bool) -> protocol.MirrorState:
    if sync is not None and sync.is_running:
        return State.SYNCING
    if is_queued:
        return State.QUEUED
    if sync is not None and sync.problem is not None:
        return State.FAILED
    return State.SYNCED if is_synced else State.UNSYNCED


def _counted(report: protocol.SourceReport | None, visible: protocol.Visible | None) -> protocol.HeldGeneration | None:
    if report is None or not report.held:
        return None
    shown = [one for one in report.held if visible is not None and one.generation == visible.generation]
    oldest = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return shown[0] if shown else max(report.held, key=lambda one: (one.time_root or oldest, one.generation))


def _percentage(state: protocol.MirrorState, sync: protocol.SyncReport | None) -> int:
    if state is State.SYNCED:
        return 100
    if state in (State.SYNCING, State.FAILED) and sync is not None:
        return max(0, min(99, sync.percentage))
    return 0


def _unless_made_up(sync: protocol.SyncReport | None, leads: Sequence[Lead]) -> protocol.SyncReport | None:
    """Without its problem when a leader has answered the same request or a later one."""
    if sync is None or sync.problem is None or not any(lead.number >= sync.number for lead in leads):
        return sync
    return msgspec.structs.replace(sync, problem=None, time_finished=None)


def _bringer(leads: Sequence[Lead], visible: protocol.Visible | None) -> Lead | None:
    found = [lead for lead in leads if visible is not None and lead.generation == visible.generation]
    return max(found, key=lambda lead: (lead.number, lead.station), default=None)


def _log(sync: protocol.SyncReport | None, lead: Lead | None) -> str:
    parts = [sync.log, sync.problem.message if sync.problem else ""] if sync is not None else []
    if lead is not None:
        parts.append(f"{lead.station} brought generation {lead.generation} from the upstream for the group.")
    return "\n".join(part for part in parts if part)


def _health(facts: Facts, now: datetime.datetime, liveness: datetime.timedelta) -> tuple[str, str]:
    if not facts.is_registered:
        return "UNAVAILABLE", "No host has registered as this station yet."
    if facts.report is None or facts.time_received is None:
        return "UNHEALTHY", "The host has registered; its daemon has not reported yet."
    silent = now - facts.time_received
    if silent > liveness:
        return "UNHEALTHY", f"No heartbeat for {int(silent.total_seconds())} s."
    words = " ".join(problem.message for problem in (*facts.report.reasons, *facts.report.problems))
    if facts.report.readiness is protocol.Readiness.NO:
        return "UNHEALTHY", words or "The station is not ready."
    return "HEALTHY", words or "The station is ready."


def _overall(facts: Facts, health: str, mirrors: tuple[Mirror, ...]) -> str:
    states = {mirror.state for mirror in mirrors}
    if not facts.is_registered:
        return "REGISTRATIONERROR" if facts.is_registration_failed else "UNAVAILABLE"
    if health != "HEALTHY" or facts.report is None:
        return "ERROR"
    if states & {State.SYNCING, State.QUEUED}:
        return "SYNCING"
    if State.FAILED in states:
        return "SYNCFAILED"
    is_second_rate = facts.report.readiness is not protocol.Readiness.READY or bool(facts.report.problems)
    return "WARNING" if State.UNSYNCED in states or is_second_rate else "NORMAL"
