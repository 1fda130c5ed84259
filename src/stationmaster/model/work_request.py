"""Work requests: which status may follow which. One table; a change it lacks raises and changes nothing."""

from __future__ import annotations

import enum

from stationmaster.model import errors


class Status(enum.StrEnum):
    """OSMH's statuses (rule 97)."""

    WAITING = "WAITING"
    ACCEPTED = "ACCEPTED"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    SKIPPED = "SKIPPED"


_S = Status
TRANSITIONS: dict[Status, frozenset[Status]] = {
    # WAITING and ACCEPTED alternate while a job waits for a generation to become visible (I14).
    _S.WAITING: frozenset({_S.ACCEPTED, _S.IN_PROGRESS, _S.SUCCEEDED, _S.FAILED, _S.CANCELED, _S.SKIPPED}),
    _S.ACCEPTED: frozenset({_S.WAITING, _S.IN_PROGRESS, _S.SUCCEEDED, _S.FAILED, _S.CANCELED, _S.SKIPPED}),
    _S.IN_PROGRESS: frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELING}),
    _S.CANCELING: frozenset({_S.CANCELED, _S.SUCCEEDED, _S.FAILED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELED: frozenset(),
    _S.SKIPPED: frozenset(),
}
ENDS = frozenset(status for status, following in TRANSITIONS.items() if not following)
OPEN = frozenset(Status) - ENDS


def require_transition(work_request_id: str, old: Status, new: Status) -> None:
    """IncorrectStateError unless ``new`` may follow ``old``."""
    if new not in TRANSITIONS[old]:
        raise errors.IncorrectStateError(
            f"Work request {work_request_id} is {old.value} and cannot become {new.value}."
        )


def combined_status(children: list[Status]) -> Status:
    """The status of a parent: open while a child is, then failed if any failed, else as its children ended."""
    if any(child in OPEN for child in children):
        started = any(child not in {Status.WAITING, Status.ACCEPTED} for child in children)
        return Status.IN_PROGRESS if started else Status.ACCEPTED
    for end in (Status.FAILED, Status.CANCELED):
        if end in children:
            return end
    return Status.SKIPPED if children and all(child is Status.SKIPPED for child in children) else Status.SUCCEEDED


def combined_percentage(children: list[tuple[Status, float]]) -> float:
    """The mean over the children, an ended one counting in full."""
    if not children:
        return 100.0
    return sum(100.0 if status in ENDS else percentage for status, percentage in children) / len(children)
