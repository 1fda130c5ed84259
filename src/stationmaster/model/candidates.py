"""The one generation of a source that a group stages next (ha-protocol R7), as the leader's finished sync names it.

A candidate is fixed until it is visible or withdrawn. It is withdrawn when nobody in touch has held it for one liveness
period, or when no holder has been able to serve it for three lag limits while the leader has brought another: else a
second one waits. Whoever follows stages nothing else, so all volumes of a group converge on equal generations.
"""

from __future__ import annotations

import dataclasses
import enum

from stationmaster.model import rotation

_PATIENCE = 3


class Verdict(enum.StrEnum):
    """What becomes of the candidate; DONE: it is visible."""

    KEEP = "KEEP"
    SET = "SET"
    DONE = "DONE"
    WITHDRAW = "WITHDRAW"


@dataclasses.dataclass(frozen=True)
class Ruling:
    """``generation`` is the candidate from now on."""

    verdict: Verdict
    generation: str | None
    reason: str = ""


def rule(snapshot: rotation.Snapshot, limits: rotation.Limits) -> Ruling:
    """The next step. Pure; the caller stores it by compare-and-set on the candidate's number."""
    if not snapshot.is_settled:
        return Ruling(Verdict.KEEP, snapshot.candidate)
    if snapshot.candidate is None or snapshot.candidate == _shown(snapshot):
        return _first(snapshot, limits)
    reason = _why_not(snapshot, snapshot.candidate, limits)
    return Ruling(Verdict.WITHDRAW, None, reason) if reason else Ruling(Verdict.KEEP, snapshot.candidate)


def _first(snapshot: rotation.Snapshot, limits: rotation.Limits) -> Ruling:
    word = leaders_word(snapshot)
    if word is None or word == _shown(snapshot) or not rotation.holders_in_touch(snapshot, word, limits):
        return Ruling(Verdict.KEEP if snapshot.candidate is None else Verdict.DONE, None)
    return Ruling(Verdict.SET, word, "The leader brought it.")


def _why_not(snapshot: rotation.Snapshot, present: str, limits: rotation.Limits) -> str:
    if not rotation.holders_in_touch(snapshot, present, limits):
        return "No station in touch holds it any more." if snapshot.lost_seconds >= limits.liveness else ""
    word = leaders_word(snapshot)
    is_served = any(present in one.fetchable for one in rotation.in_touch(snapshot, limits))
    is_superseded = word is not None and word not in (present, _shown(snapshot))
    if not is_served and is_superseded and snapshot.candidate_seconds >= _PATIENCE * limits.lag:
        return "No holder could serve it, and the leader has brought another."
    return ""


def _shown(snapshot: rotation.Snapshot) -> str | None:
    return snapshot.visible.generation if snapshot.visible else None


def staged(snapshot: rotation.Snapshot, limits: rotation.Limits) -> str | None:
    """What is to become visible next: the candidate, or what the leader brought and will be it."""
    if snapshot.candidate not in (None, _shown(snapshot)):
        return snapshot.candidate
    word = leaders_word(snapshot)
    is_new = word is not None and word != _shown(snapshot) and rotation.holders_in_touch(snapshot, word, limits)
    return word if is_new else None


def leaders_word(snapshot: rotation.Snapshot) -> str | None:
    """What the upstream has now, as the present holder of the lease found under its present token.

    A leader of the first release obeys no lease; its word counts when it is newer than what is visible.
    """
    leader = next((one for one in snapshot.stations if one.id == snapshot.lease.holder), None)
    if leader is None or leader.is_syncing or leader.has_failed or leader.sync_generation is None:
        return None
    if leader.is_led:
        return leader.sync_generation if leader.sync_token == snapshot.lease.token else None
    known = snapshot.generations.get(leader.sync_generation)
    return leader.sync_generation if known is not None and rotation.is_newer(snapshot, known) else None
