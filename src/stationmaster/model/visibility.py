"""Which generation of a source a group shows: decided here, from the last heartbeats alone (ha-protocol R5-R9).

The rules, in the order in which they are applied:
 1. A hub that has just started, or that hears less than half of a group all at once, decides nothing (R8, R9).
 2. A number on a volume that is higher than the hub's own is believed: the hub went back in time (R8); what it names
    is believed when most stations say so or all hold it, since a volume may also come from another group.
 3. The group goes forward, to the newest generation that every station in rotation holds whole and fetchable (I5,
    R4). "All of none" is no consent (R9).
 4. It goes back only when no station in touch holds what is visible: then the newest generation held whole is shown
    again, under a higher number, after those that may still show the old one are provably unready (R6).
 5. A station that lags for too long is first told to leave, and no longer waited for once balancers have seen it (R2).
 6. Stations that finished and still hold something else are asked to sync again.

Who leads a sync and how followers copy from it is decided elsewhere; this module only looks at what is held.
"""

from __future__ import annotations

import dataclasses
import enum

from stationmaster.model import protocol, rotation


class Verdict(enum.StrEnum):
    """What the hub should do about one source of one group."""

    KEEP = "KEEP"
    ADVANCE = "ADVANCE"
    ADOPT = "ADOPT"
    RESTORE = "RESTORE"
    RESYNC = "RESYNC"


@dataclasses.dataclass(frozen=True)
class Decision:
    """``visible`` is what clients are told from now on; ``excluded`` the stations that are to leave for lagging."""

    verdict: Verdict
    visible: protocol.Visible | None
    excluded: frozenset[str]
    reason: str


def decide(snapshot: rotation.Snapshot, limits: rotation.Limits) -> Decision:
    """I5: the next step for one source of one group. Pure; the caller stores it by compare-and-set on the number."""
    newest = rotation.newest_held(snapshot, limits)
    excluded = rotation.excluded_stations(snapshot, newest, limits)
    doubt = _doubt(snapshot, limits)
    if doubt:
        return Decision(Verdict.KEEP, snapshot.visible, excluded, doubt)
    told = _told_by_volumes(snapshot, limits)
    if told is not None:
        return Decision(Verdict.ADOPT, told, excluded, "A volume carries a higher number than the hub remembered.")
    advance = _common_newer(snapshot, limits)
    if advance is not None:
        why = "Every station in rotation holds it whole."
        return Decision(Verdict.ADVANCE, _next(snapshot, advance), excluded, why)
    if snapshot.visible is not None and not rotation.holders_in_touch(snapshot, snapshot.visible.generation, limits):
        return _decide_orphaned(snapshot, newest, excluded, limits)
    return _decide_behind(snapshot, newest, excluded, limits)


def _doubt(snapshot: rotation.Snapshot, limits: rotation.Limits) -> str:
    if not snapshot.is_settled:
        return "The hub started a moment ago and waits to hear every station."
    fallen = [one for one in snapshot.stations if limits.liveness < one.silent_seconds <= 2 * limits.liveness]
    if 2 * len(fallen) > len(snapshot.stations):
        return "Most stations fell silent at once: the hub suspects itself."
    return ""


def _told_by_volumes(snapshot: rotation.Snapshot, limits: rotation.Limits) -> protocol.Visible | None:
    own = snapshot.visible.number if snapshot.visible else 0
    shown = [
        one.shown for one in rotation.in_touch(snapshot, limits) if one.shown is not None and one.shown.number > own
    ]
    if not shown:
        return None
    highest = max(shown, key=lambda one: (one.number, rotation.rank_of(snapshot, one.generation)))
    named = {one.generation for one in shown if one.number == highest.number}
    if len(named) == 1 and _is_adoptable(snapshot, highest, limits):
        return highest
    # Two hubs went on from one backup, or a volume came from another group: a new number settles it.
    kept = snapshot.visible.generation if snapshot.visible else highest.generation
    return protocol.Visible(source_id=snapshot.source_id, number=highest.number + 1, generation=kept)


def _is_adoptable(snapshot: rotation.Snapshot, told: protocol.Visible, limits: rotation.Limits) -> bool:
    if snapshot.visible is None:
        return True
    touched = rotation.in_touch(snapshot, limits)
    told_by = [one for one in touched if one.shown is not None and one.shown.number == told.number]
    members = rotation.members(snapshot, limits)
    return 2 * len(told_by) > len(touched) or all(told.generation in one.fetchable for one in members)


def _decide_orphaned(
    snapshot: rotation.Snapshot, newest: rotation.Generation | None, excluded: frozenset[str], limits: rotation.Limits
) -> Decision:
    if newest is not None and snapshot.orphaned_seconds >= limits.liveness:
        reason = "No station in touch holds what was visible; the newest generation held whole is shown again."
        return Decision(Verdict.RESTORE, _next(snapshot, newest), excluded, reason)
    return Decision(Verdict.KEEP, snapshot.visible, excluded, "No station in touch holds what is visible.")


def _decide_behind(
    snapshot: rotation.Snapshot, newest: rotation.Generation | None, excluded: frozenset[str], limits: rotation.Limits
) -> Decision:
    behind = rotation.behind_stations(snapshot, newest, limits)
    idle = _resyncable(snapshot, newest, limits)
    if idle and _is_resync_due(snapshot, idle, limits):
        names = ", ".join(sorted(station.id for station in idle))
        return Decision(Verdict.RESYNC, snapshot.visible, excluded, f"{names} finished with something older.")
    reason = f"Waiting for {', '.join(sorted(behind))}." if behind else "Nothing newer is held by a station in touch."
    return Decision(Verdict.KEEP, snapshot.visible, excluded, reason)


def _common_newer(snapshot: rotation.Snapshot, limits: rotation.Limits) -> rotation.Generation | None:
    members = rotation.members(snapshot, limits)
    if not members:
        return None
    common = rotation.newest_of(snapshot, frozenset.intersection(*(station.fetchable for station in members)))
    return common if common is not None and rotation.is_newer(snapshot, common) else None


def _resyncable(
    snapshot: rotation.Snapshot, newest: rotation.Generation | None, limits: rotation.Limits
) -> list[rotation.Station]:
    """Who did what was asked and still lacks the newest; also those that had to leave, since they should come back."""
    shown = snapshot.visible.generation if snapshot.visible else None
    if newest is None or not (newest.id == shown or rotation.is_newer(snapshot, newest)):
        return []
    return [
        one
        for one in rotation.in_touch(snapshot, limits)
        if one.is_volume_usable and newest.id not in one.held
        if not one.is_syncing and one.finished_sync >= snapshot.sync_number
    ]


def _is_resync_due(snapshot: rotation.Snapshot, idle: list[rotation.Station], limits: rotation.Limits) -> bool:
    """At a bounded rate: soon when it is new and upstream just moved on, less often when trying may not help."""
    is_patient = any(one.has_failed or one.excluded_seconds is not None for one in idle)
    return snapshot.since_sync_raised >= (limits.resync_after_failure if is_patient else limits.resync)


def _next(snapshot: rotation.Snapshot, generation: rotation.Generation) -> protocol.Visible:
    reported = [one.shown.number for one in snapshot.stations if one.shown is not None]
    own = snapshot.visible.number if snapshot.visible else 0
    return protocol.Visible(source_id=snapshot.source_id, number=max([own, *reported]) + 1, generation=generation.id)
