"""What is wrong with an HA group, for the operator at 3 a.m.: findings in the order in which they should be read. Pure.

The most severe come first, and within one severity what clients feel before what only threatens. A finding says what is
the case, where, and what to do next; nothing is found that the hub does not know.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator

from stationmaster.model import protocol

LOW_SPACE_SHARE = 0.1


class Severity(enum.StrEnum):
    """``INFO`` is worth knowing; from ``WARNING`` upwards something should be done (design 12a: exit status 1)."""

    CRITICAL = "CRITICAL"
    ERROR = "ERROR"
    WARNING = "WARNING"
    INFO = "INFO"

    @property
    def is_trouble(self) -> bool:
        """Whether something should be done."""
        return self is not Severity.INFO


_ORDER = list(Severity)


@dataclasses.dataclass(frozen=True)
class Finding:
    """``code`` is stable; ``subject`` names the station, source or group."""

    severity: Severity
    code: str
    subject: str
    message: str
    hint: str


@dataclasses.dataclass(frozen=True)
class StationCondition:
    """A member as the hub sees it; ``report`` fields are those of its last heartbeat."""

    name: str
    directory: str
    is_registered: bool = True
    is_draining: bool = False
    is_in_touch: bool = True
    is_applied: bool = True
    readiness: protocol.Readiness | None = protocol.Readiness.READY
    reasons: tuple[protocol.Problem, ...] = ()
    problems: tuple[protocol.Problem, ...] = ()
    volume: protocol.VolumeReport | None = None

    @property
    def is_ready(self) -> bool:
        """Whether balancers may use it as an equal."""
        return self.is_in_touch and self.readiness is protocol.Readiness.READY


@dataclasses.dataclass(frozen=True)
class SourceCondition:
    """A mirrored source: who among the stations in touch holds what is visible, whose sync failed, who was left out."""

    name: str
    is_visible: bool = True
    holders: tuple[str, ...] = ()
    failures: tuple[tuple[str, protocol.Problem], ...] = ()
    excluded: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class GroupCondition:
    """All that is looked at. ``balancer_addresses`` are those that somebody stated or that run."""

    hostname: str
    stations: tuple[StationCondition, ...]
    sources: tuple[SourceCondition, ...] = ()
    balancer_addresses: tuple[str, ...] = ()


def diagnose(group: GroupCondition) -> tuple[Finding, ...]:
    """Every finding, most severe first; none when all is well."""
    found = [*_group_findings(group)]
    for station in sorted(group.stations, key=lambda one: one.name):
        found += _station_findings(station)
    for source in sorted(group.sources, key=lambda one: one.name):
        found += _source_findings(source)
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.severity)))


def _group_findings(group: GroupCondition) -> Iterator[Finding]:
    registered = [one for one in group.stations if one.is_registered]
    ready = [one for one in registered if one.is_ready]
    if registered and not ready:
        yield Finding(
            Severity.CRITICAL,
            "NoStationReady",
            group.hostname,
            "No station is ready; balancers use a last-resort station, where there is one.",
            "See what the stations below say of themselves.",
        )
    elif len(ready) == 1:
        yield Finding(
            Severity.WARNING,
            "NoSpareStation",
            group.hostname,
            f"Only {ready[0].name} is ready: if it fails, instances get no updates.",
            "Bring another station of the group back, or add one.",
        )
    if len({one.directory for one in group.stations}) > 1:
        named = ", ".join(f"{one.name}: {one.directory}" for one in sorted(group.stations, key=lambda one: one.name))
        yield Finding(
            Severity.INFO,
            "DirectoriesDiffer",
            group.hostname,
            f"Stations keep their mirrors in different directories ({named}).",
            "This works; equal paths are easier to look after.",
        )
    yield from _shared_volumes(group)
    if not group.balancer_addresses:
        yield Finding(
            Severity.INFO,
            "BalancersUnstated",
            group.hostname,
            "Nobody said where the balancers connect from; each station takes what the hostname resolves to there.",
            "If clients are refused, state the addresses with `stationmaster ha balancers`.",
        )


def _shared_volumes(group: GroupCondition) -> Iterator[Finding]:
    volumes: dict[str, list[str]] = {}
    for station in sorted(group.stations, key=lambda one: one.name):
        if station.volume is not None and station.volume.volume_id:
            volumes.setdefault(station.volume.volume_id, []).append(station.name)
    for volume_id, names in sorted(volumes.items()):
        if len(names) > 1:
            yield Finding(
                Severity.WARNING,
                "VolumeShared",
                ", ".join(names),
                f"These stations show the same volume id {volume_id}: they share storage, or a volume was copied.",
                "Shared storage is not fenced in this release; give each station a volume of its own.",
            )


def _station_findings(station: StationCondition) -> Iterator[Finding]:
    name = station.name
    if not station.is_registered:
        hint = "Register its host with `stationmaster station register`, or delete the station."
        yield Finding(Severity.WARNING, "NotRegistered", name, "No host has registered as this station.", hint)
        return
    if not station.is_in_touch:
        hint = "Check the host, `stationmaster station run` on it, and its way to the hub."
        yield Finding(Severity.ERROR, "Silent", name, "The hub does not hear this station.", hint)
        return
    if station.readiness is protocol.Readiness.NO:
        yield from _reasons(station, Severity.ERROR)
    elif station.readiness is protocol.Readiness.LAST_RESORT:
        yield from _reasons(station, Severity.WARNING)
    told = {one.code for one in station.reasons}
    for problem in station.problems:
        if problem.code not in told:
            yield Finding(Severity.WARNING, problem.code, name, problem.message, "The station's log has more.")
    if station.is_draining and "Draining" not in told:
        hint = "`stationmaster station undrain` brings it back."
        yield Finding(Severity.WARNING, "Draining", name, "An operator is draining this station.", hint)
    if not station.is_applied and not station.problems:
        hint = "This passes by itself within seconds; if it stays, see the station's log."
        yield Finding(Severity.INFO, "NotApplied", name, "It has not yet taken over its newest settings.", hint)
    yield from _volume_findings(station)


def _reasons(station: StationCondition, severity: Severity) -> Iterator[Finding]:
    hint = "Mend the cause; the station comes back by itself."
    for reason in station.reasons:
        yield Finding(severity, reason.code, station.name, reason.message, hint)
    if not station.reasons:
        yield Finding(severity, "NotReady", station.name, f"It says {station.readiness} and gives no reason.", hint)


def _volume_findings(station: StationCondition) -> Iterator[Finding]:
    volume, told = station.volume, {one.code for one in (*station.reasons, *station.problems)}
    if volume is None:
        return
    if volume.problem is not None:
        if volume.problem.code not in told:
            hint = "Check the mount and the disk."
            yield Finding(Severity.ERROR, volume.problem.code, station.name, volume.problem.message, hint)
        return
    if volume.is_on_root_file_system:
        message = f"The mirror {volume.directory} lies on the root file system: a full mirror fills the host."
        yield Finding(Severity.WARNING, "VolumeOnRoot", station.name, message, "Mount a disk of its own there.")
    if not volume.is_writable and not told & {"VolumeReadOnly", "VolumeFull"}:
        message = f"The mirror {volume.directory} cannot be written: what is there is served, nothing new comes."
        yield Finding(Severity.WARNING, "VolumeNotWritable", station.name, message, "Check the mount and free space.")
    elif volume.total_bytes and volume.available_bytes < LOW_SPACE_SHARE * volume.total_bytes:
        share = 100 * volume.available_bytes / volume.total_bytes
        message = f"Only {share:.0f} % of the mirror {volume.directory} is free."
        hint = "`stationmaster mirror clean --dry-run` shows what could go; else enlarge the volume."
        yield Finding(Severity.WARNING, "VolumeNearlyFull", station.name, message, hint)


def _source_findings(source: SourceCondition) -> Iterator[Finding]:
    if not source.is_visible:
        hint = (
            "The first sync has not ended well on all stations; `stationmaster work-request list` shows how far it is."
        )
        yield Finding(Severity.ERROR, "NeverVisible", source.name, "Clients are not served this source yet.", hint)
    elif not source.holders:
        message = "No station in touch holds what clients were told of this source."
        hint = "Bring a station back that holds it; otherwise the newest generation held whole is shown again."
        yield Finding(Severity.CRITICAL, "NoHolder", source.name, message, hint)
    for station, problem in source.failures:
        message = f"The last sync on {station} failed: {problem.message}"
        hint = "The last good generation is served. Mend the cause, then `stationmaster station sync`."
        yield Finding(Severity.ERROR, problem.code, source.name, message, hint)
    for station in source.excluded:
        message = f"{station} lags and was left out of the rotation."
        hint = "It comes back by itself once it holds the newest generation."
        yield Finding(Severity.WARNING, "Lagging", source.name, message, hint)
