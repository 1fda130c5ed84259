"""What is wrong with a group as a whole, with its sources, its balancers and the hub itself. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from stationmaster.model.conditions import Finding, GroupCondition, Severity, SourceCondition, StationCondition

BALANCER_SILENT_SECONDS = 120.0
BEHIND_SECONDS = 60.0
_CA_NEAR_END = datetime.timedelta(days=60)


def about_group(group: GroupCondition) -> Iterator[Finding]:
    """Stations together."""
    yield from _readiness(group)
    yield from _differences(group)
    yield from _volumes(group)
    yield from _balancers(group)


def _readiness(group: GroupCondition) -> Iterator[Finding]:
    registered = [one for one in group.stations if one.is_registered]
    ready = [one for one in registered if one.is_ready]
    if registered and not ready:
        message = "No station is ready; balancers use a last-resort station, where there is one."
        hint = "See what the stations below say of themselves."
        yield Finding(Severity.CRITICAL, "NoStationReady", group.hostname, message, hint)
    elif len(group.stations) == 1 and ready:
        message = f"{ready[0].name} is the only station of this group."
        hint = "Create another station with the same hostname in the same compartment, and register a host as it."
        yield Finding(Severity.WARNING, "SingleStation", group.hostname, message, hint)
    elif len(ready) == 1:
        message = f"Only {ready[0].name} is ready: if it fails, instances get no updates."
        hint = "Bring another station of the group back, or add one."
        yield Finding(Severity.WARNING, "NoSpareStation", group.hostname, message, hint)


def _differences(group: GroupCondition) -> Iterator[Finding]:
    """I2 keeps ports equal; what came from a restored database or another release is still looked at."""
    by_name = sorted(group.stations, key=lambda one: one.name)
    if len({one.ports for one in by_name if one.ports}) > 1:
        named = "; ".join(
            f"{one.name}: {', '.join(f'{port} {number}' for port, number in one.ports)}" for one in by_name
        )
        hint = "`stationmaster station update` one after the other until all are equal."
        yield Finding(Severity.ERROR, "PortsDiffer", group.hostname, f"Stations have different ports ({named}).", hint)
    if len({one.directory for one in by_name}) > 1:
        named = ", ".join(f"{one.name}: {one.directory}" for one in by_name)
        message = f"Stations keep their mirrors in different directories ({named})."
        hint = "This works; equal paths are easier to look after."
        yield Finding(Severity.INFO, "DirectoriesDiffer", group.hostname, message, hint)


def _volumes(group: GroupCondition) -> Iterator[Finding]:
    by_id: dict[str, list[StationCondition]] = {}
    for station in sorted(group.stations, key=lambda one: one.name):
        if station.volume is not None and station.volume.volume_id:
            by_id.setdefault(station.volume.volume_id, []).append(station)
    for volume_id, showing in sorted(by_id.items()):
        names = ", ".join(one.name for one in showing)
        told = {reason.code for one in showing for reason in one.reasons}
        if len(showing) < 2 or "VolumeCopied" in told:
            continue
        if len({one.shares for one in showing}) == 1 and showing[0].shares:
            message = f"These stations share the volume {volume_id}: each reads there what the other writes."
            hint = "Nothing, where that is meant. The storage itself must then be replicated, with quorum."
            yield Finding(Severity.INFO, "VolumeShared", names, message, hint)
        else:
            message = f"These stations show the volume id {volume_id}, and it is not proved that they share a volume."
            hint = (
                "Shared storage is recognised within seconds. A directory that was copied needs an id of its own: "
                "`stationmaster station take-volume --new-id --state-dir DIR` on the host of the copy."
            )
            yield Finding(Severity.WARNING, "VolumeUnproved", names, message, hint)


def _balancers(group: GroupCondition) -> Iterator[Finding]:
    silent = [one for one in group.balancers if one.silent_seconds > BALANCER_SILENT_SECONDS]
    for one in sorted(silent, key=lambda one: one.node):
        message = f"The balancer {one.node} has not reported for {one.silent_seconds / 60:.0f} minutes."
        hint = f"Check `stationmaster balancer run` on {one.node} and its way to the hub; it is forgotten after a day."
        yield Finding(Severity.WARNING, "BalancerSilent", group.hostname, message, hint)
    if not group.balancer_addresses:
        message = (
            "Nobody said where the balancers connect from; each station takes what the hostname resolves to there."
        )
        hint = "If clients are refused, state the addresses with `stationmaster ha balancers`."
        yield Finding(Severity.INFO, "BalancersUnstated", group.hostname, message, hint)


def about_hub(group: GroupCondition) -> Iterator[Finding]:
    """Who answers."""
    if not group.hub.is_settled:
        message = "The hub has just started, or lost its database for a moment; it listens before it decides again."
        hint = "Wait some ten seconds and look again."
        yield Finding(Severity.INFO, "HubListening", "the hub", message, hint)
    ends = group.hub.ca_ends
    if ends is not None and group.now is not None and ends - group.now < _CA_NEAR_END:
        message = f"The hub's CA ends on {ends:%Y-%m-%d}; nothing that it signed is trusted after that."
        hint = "Plan a new CA: machines trust the one that they were registered with."
        yield Finding(Severity.ERROR, "CaNearEnd", "the hub", message, hint)


def about_source(source: SourceCondition) -> Iterator[Finding]:
    """One source of the mirror list."""
    if not source.is_visible:
        hint = (
            "The first sync has not ended well on all stations; `stationmaster work-request list` shows how far it is."
        )
        yield Finding(Severity.ERROR, "NeverVisible", source.name, "Clients are not served this source yet.", hint)
    elif not source.holders:
        message = "No station in touch holds what clients were told of this source."
        hint = "Bring a station back that holds it; otherwise the newest generation held whole is shown again."
        yield Finding(Severity.CRITICAL, "NoHolder", source.name, message, hint)
    if source.unled:
        why = " ".join(f"{station}: {reason}" for station, reason in sorted(source.unled))
        message = f"No station may ask the upstream. {why}"
        hint = "Mend one of them; the lease then goes to it within seconds, and the sync begins by itself."
        severity = Severity.ERROR if source.is_owed else Severity.WARNING
        yield Finding(severity, "NobodyLeads", source.name, message, hint)
    told: dict[tuple[str, str], list[str]] = {}
    for station, problem in source.failures:
        told.setdefault((problem.code, problem.message), []).append(station)
    for (code, words), stations in told.items():
        message = f"The last sync on {' and '.join(sorted(stations))} failed: {words}"
        hint = "The last good generation is served. Mend the cause, then `stationmaster station sync`."
        yield Finding(Severity.ERROR, code, source.name, message, hint)
    for station in source.excluded:
        message = f"{station} lags and was left out of the rotation."
        hint = "It comes back by itself once it holds the newest generation."
        yield Finding(Severity.WARNING, "Lagging", source.name, message, hint)
    for station, seconds in source.behind:
        if seconds > BEHIND_SECONDS and station not in source.excluded:
            message = f"{station} has lacked the newest generation for {seconds / 60:.0f} minutes."
            hint = (
                "`stationmaster ha status --source` shows how far it is; past the lag limit it is left out by itself."
            )
            yield Finding(Severity.INFO, "CatchingUp", source.name, message, hint)
