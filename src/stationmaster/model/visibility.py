"""Which generation of a source a group shows: decided here, from the last heartbeats alone (ha-protocol R5-R9).

The rules, in the order in which they are applied:
 1. A hub that has just started, or that hears less than half of a group all at once, decides nothing (R8, R9).
 2. A number on a volume that is higher than the hub's own is believed: the hub went back in time (R8); what it names
    is believed when most stations say so or all hold it, since a volume may also come from another group.
 3. The group goes forward to the candidate (R7), once every station in rotation holds it whole and fetchable (I5, R4).
    "All of none" is no consent (R9).
    A generation of old is waited for one liveness period: only then has every remover heard that it must stay. So is
    one that comes when a station has just left the group: until then balancers may take that for ready.
 4. It goes back only when no station in touch holds what is visible: then the newest generation held whole is shown
    again, under a higher number, after those that may still show the old one are provably unready (R6).
 5. A station that lags for too long is first told to leave, and no longer waited for once balancers have seen it (R2).
 6. A leader that has not said under its present lease what the upstream has is asked, when something hangs on it:
    nothing is visible yet, or a volume holds something newer. So is one whose word nobody holds any more.

Who leads is decided in `leadership`, what is staged in `candidates`.
"""

from __future__ import annotations

import dataclasses
import enum

from stationmaster.model import candidates, protocol, rotation


class Verdict(enum.StrEnum):
    """What the hub should do about one source of one group."""

    KEEP = "KEEP"
    ADVANCE = "ADVANCE"
    ADOPT = "ADOPT"
    RESTORE = "RESTORE"
    RESYNC = "RESYNC"


@dataclasses.dataclass(frozen=True)
class Decision:
    """``visible`` is what clients are told from now on; ``excluded`` the stations that are to leave for lagging.

    ``unknown`` is what some station shows that the hub did not know and does not go on with: to be kept as any other
    number that was visible, since clients were told of it.
    """

    verdict: Verdict
    visible: protocol.Visible | None
    excluded: frozenset[str]
    reason: str
    unknown: protocol.Visible | None = None


def decide(snapshot: rotation.Snapshot, limits: rotation.Limits) -> Decision:
    """I5: the next step for one source of one group. Pure; the caller stores it by compare-and-set on the number."""
    doubt = _doubt(snapshot, limits)
    if doubt:
        left = frozenset(one.id for one in snapshot.stations if one.excluded_seconds is not None)
        return Decision(Verdict.KEEP, snapshot.visible, left, doubt)
    excluded = rotation.excluded_stations(snapshot, limits)
    told = _told_by_volumes(snapshot, limits)
    if told is not None:
        why = "A volume carries a higher number than the hub remembered."
        following = _adopted(snapshot, told, limits)
        return Decision(Verdict.ADOPT, following, excluded, why, None if following == told else told)
    if _is_agreed(snapshot, limits):
        why = "Every station in rotation holds it whole."
        return Decision(Verdict.ADVANCE, _next(snapshot, snapshot.candidate or ""), excluded, why)
    if snapshot.visible is not None and not rotation.holders_in_touch(snapshot, snapshot.visible.generation, limits):
        orphaned = _decide_orphaned(snapshot, excluded, limits)
        if orphaned is not None:
            return orphaned
    return _decide_behind(snapshot, excluded, limits)


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
    return max(shown, key=lambda one: (one.number, rotation.rank_of(snapshot, one.generation)))


def _adopted(snapshot: rotation.Snapshot, told: protocol.Visible, limits: rotation.Limits) -> protocol.Visible:
    shown = [one.shown for one in rotation.in_touch(snapshot, limits)]
    named = {one.generation for one in shown if one is not None and one.number == told.number}
    if len(named) == 1 and _is_adoptable(snapshot, told, limits):
        return told
    # Two hubs went on from one backup, or a volume came from another group: a new number settles it.
    kept = snapshot.visible.generation if snapshot.visible else told.generation
    return protocol.Visible(source_id=snapshot.source_id, number=told.number + 1, generation=kept)


def _is_adoptable(snapshot: rotation.Snapshot, told: protocol.Visible, limits: rotation.Limits) -> bool:
    if snapshot.visible is None:
        return True
    touched = rotation.in_touch(snapshot, limits)
    told_by = [one for one in touched if one.shown is not None and one.shown.number == told.number]
    members = rotation.members(snapshot, limits)
    return 2 * len(told_by) > len(touched) or all(told.generation in one.fetchable for one in members)


def _decide_orphaned(snapshot: rotation.Snapshot, excluded: frozenset[str], limits: rotation.Limits) -> Decision | None:
    newest = rotation.newest_held(snapshot, limits)
    if newest is None:
        return None
    if snapshot.orphaned_seconds >= limits.liveness:
        reason = "No station in touch holds what was visible; the newest generation held whole is shown again."
        return Decision(Verdict.RESTORE, _next(snapshot, newest.id), excluded, reason)
    return Decision(Verdict.KEEP, snapshot.visible, excluded, "No station in touch holds what is visible.")


def _decide_behind(snapshot: rotation.Snapshot, excluded: frozenset[str], limits: rotation.Limits) -> Decision:
    asked = _to_be_asked(snapshot, limits)
    if asked:
        return Decision(Verdict.RESYNC, snapshot.visible, excluded, f"{asked} is to look what the upstream has.")
    behind = rotation.behind_stations(snapshot, limits)
    reason = f"Waiting for {', '.join(sorted(behind))}." if behind else "Nothing newer is held by a station in touch."
    return Decision(Verdict.KEEP, snapshot.visible, excluded, reason)


def _is_agreed(snapshot: rotation.Snapshot, limits: rotation.Limits) -> bool:
    if snapshot.candidate is None or (snapshot.visible and snapshot.visible.generation == snapshot.candidate):
        return False
    if snapshot.is_candidate_old and snapshot.candidate_seconds < limits.liveness:
        return False
    if snapshot.parted_seconds <= limits.liveness:
        return False
    members = rotation.members(snapshot, limits)
    return bool(members) and all(snapshot.candidate in one.fetchable for one in members)


def _to_be_asked(snapshot: rotation.Snapshot, limits: rotation.Limits) -> str:
    """Who is asked to sync again, at a bounded rate; empty when nobody is.

    A station of the first release follows no leader: it is asked while it lacks what all should hold.
    """
    newest = rotation.newest_held(snapshot, limits)
    if snapshot.candidate is None and _is_unclear(snapshot, newest, limits):
        leader = next((one for one in snapshot.stations if one.id == snapshot.lease.holder), None)
        if leader is not None and _is_idle(snapshot, leader, limits) and _is_due(snapshot, leader, limits):
            return leader.id
    wanted = rotation.target(snapshot)
    for one in rotation.in_touch(snapshot, limits):
        is_able = one.is_volume_usable and one.is_writable
        lags = not one.is_led and is_able and wanted is not None and wanted not in one.held
        if lags and _is_idle(snapshot, one, limits) and _is_due(snapshot, one, limits):
            return one.id
    return ""


def _is_unclear(snapshot: rotation.Snapshot, newest: rotation.Generation | None, limits: rotation.Limits) -> bool:
    word = candidates.leaders_word(snapshot)
    if word is not None:
        return not rotation.holders_in_touch(snapshot, word, limits)
    if snapshot.visible is None or not rotation.holders_in_touch(snapshot, snapshot.visible.generation, limits):
        return True
    leader = next((one for one in snapshot.stations if one.id == snapshot.lease.holder), None)
    if leader is not None and leader.is_led and leader.sync_generation not in (None, snapshot.visible.generation):
        return True  # found under a token that it has lost since: its word counts no more, also of an older generation
    return newest is not None and rotation.is_newer(snapshot, newest)


def _is_idle(snapshot: rotation.Snapshot, one: rotation.Station, limits: rotation.Limits) -> bool:
    is_heard = one.silent_seconds <= limits.liveness
    return is_heard and not one.is_syncing and one.finished_sync >= snapshot.sync_number


def _is_due(snapshot: rotation.Snapshot, one: rotation.Station, limits: rotation.Limits) -> bool:
    """Soon at first, less often when trying may not help."""
    is_patient = one.has_failed or one.excluded_seconds is not None
    return snapshot.since_sync_raised >= (limits.resync_after_failure if is_patient else limits.resync)


def _next(snapshot: rotation.Snapshot, generation: str) -> protocol.Visible:
    reported = [one.shown.number for one in snapshot.stations if one.shown is not None]
    own = snapshot.visible.number if snapshot.visible else 0
    return protocol.Visible(source_id=snapshot.source_id, number=max([own, *reported]) + 1, generation=generation)
