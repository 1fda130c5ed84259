"""What is wrong with one station, by its own word and by what the hub sees of it. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from stationmaster.model import addresses, protocol
from stationmaster.model.conditions import Finding, GroupCondition, Severity, StationCondition

_UNDRAIN = "`stationmaster station undrain` brings it back."
LOW_SPACE_SHARE = 0.1
CLOCK_WARNING_SECONDS = 30.0
CLOCK_ERROR_SECONDS = 300.0  # R12: no removal beyond it
_CERTIFICATE_NEAR_END = datetime.timedelta(days=14)
_CERTIFICATE_ENDING = datetime.timedelta(days=3)


def about_station(station: StationCondition, group: GroupCondition) -> Iterator[Finding]:
    """What it says of itself, and what the hub sees of it."""
    name = station.name
    if not station.is_registered:
        hint = "Register its host with `stationmaster station register`, or delete the station."
        yield Finding(Severity.WARNING, "NotRegistered", name, "No host has registered as this station.", hint)
        return
    if not station.is_in_touch:
        hint = "Check the host, `stationmaster station run` on it, and its way to the hub."
        yield Finding(Severity.ERROR, "Silent", name, "The hub does not hear this station.", hint)
        return
    if station.readiness is protocol.Readiness.LAST_RESORT:
        yield from _reasons(station, Severity.WARNING)
    elif station.readiness is not protocol.Readiness.READY:
        yield from _reasons(station, Severity.ERROR)
    told = {one.code for one in station.reasons}
    # What a source is told to lack below is not said of each station as well.
    failures = {f"{source.name}: {problem.message}" for source in group.sources for _, problem in source.failures}
    for problem in station.problems:
        if problem.code not in told and problem.message not in failures:
            yield Finding(Severity.WARNING, problem.code, name, problem.message, "The station's log has more.")
    if station.is_draining and "Draining" not in told:
        yield Finding(Severity.WARNING, "Draining", name, "An operator is draining this station.", _UNDRAIN)
    if not station.is_applied and not station.problems:
        hint = "This passes by itself within seconds; if it stays, see the station's log."
        yield Finding(Severity.INFO, "NotApplied", name, "It has not yet taken over its newest settings.", hint)
    yield from _reachability(station)
    yield from _certificate(station, group)
    yield from _volume_findings(station)


def _reasons(station: StationCondition, severity: Severity) -> Iterator[Finding]:
    hint = "Mend the cause; the station comes back by itself."
    for reason in station.reasons:
        todo = _UNDRAIN if reason.code == "Draining" else hint
        yield Finding(severity, reason.code, station.name, reason.message, todo)
    if not station.reasons:
        word = station.readiness or "nothing of its readiness"
        yield Finding(severity, "NotReady", station.name, f"It says {word} and gives no reason.", hint)


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


def _reachability(station: StationCondition) -> Iterator[Finding]:
    if station.is_answering is False:
        message = f"Its address {station.address} takes no connection from the hub, though the station itself is heard."
        hint = (
            "Check the address (`station register --address`) and the firewall; `station setup-script` opens the ports."
        )
        yield Finding(Severity.WARNING, "AddressSilent", station.name, message, hint)
    off = abs(station.clock_ahead_seconds)
    if off >= CLOCK_WARNING_SECONDS:
        severity = Severity.ERROR if off >= CLOCK_ERROR_SECONDS else Severity.WARNING
        words = "before" if station.clock_ahead_seconds > 0 else "behind"
        message = f"Its clock is {off:.0f} s {words} the hub's."
        hint = "Let both keep time (chrony, systemd-timesyncd)."
        yield Finding(severity, "ClockSkew", station.name, message, hint)


def _certificate(station: StationCondition, group: GroupCondition) -> Iterator[Finding]:
    shown = station.certificate
    if shown is None or group.now is None:
        return
    told = {one.code for one in (*station.reasons, *station.problems)}
    names = {addresses.canonical_host(one) for one in shown.names}
    wildcard = "*." + group.hostname.partition(".")[2]
    if group.hostname not in names and wildcard not in names and "CertificateInvalid" not in told:
        message = f"The mirror's certificate names {', '.join(sorted(shown.names)) or 'nobody'}, not {group.hostname}."
        hint = "Give one that names the group (mirror.sslcert), or leave the setting empty: the hub then signs one."
        yield Finding(Severity.ERROR, "CertificateNamesOther", station.name, message, hint)
    left = shown.not_after - group.now
    if left < _CERTIFICATE_NEAR_END:
        severity = Severity.ERROR if left < _CERTIFICATE_ENDING else Severity.WARNING
        message = f"The mirror's certificate ends on {shown.not_after:%Y-%m-%d %H:%M} UTC."
        hint = (
            "Renew what mirror.sslcert names."
            if shown.is_operators
            else "The hub renews it by itself; that it has not says that the station does not get through to the hub."
        )
        yield Finding(severity, "CertificateNearEnd", station.name, message, hint)
