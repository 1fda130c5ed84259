"""What is known of files that generations lost on this volume, and what to do next about them. Pure (R4, I8).

A generation is suspected when nginx missed a file of it, when a round over all found something, or when a proof of it
failed. What is lost makes it not fetchable, so that this station is no equal of its peers, until what was fetched is
proved anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from stationmaster.mirror import failures, inspection
from stationmaster.model import protocol
from stationmaster.station import board as boards
from stationmaster.station import snapshot as snapshots
from stationmaster.station import steps

LOST = "FilesLost"
_PROOFS_OF_LOSS = frozenset({"NotFetchable", failures.DigestMismatchError.code, LOST})
_QUIET_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 60.0
_SHOWN = 3


def due(snapshot: snapshots.Snapshot, source: protocol.MirrorSource, now: snapshots.Moment) -> list[steps.Mend]:
    """What to look at and mend now; what clients are told of first."""
    found: list[str] = []
    for one in snapshot.volume.held.get(source.source_id, ()) if snapshot.volume else ():
        key = source.source_id, one.generation
        view, proof = loss_of(snapshot, *key), snapshot.fetch.get(key)
        is_unproved = proof is not None and proof.problem is not None and proof.problem.code in _PROOFS_OF_LOSS
        if (view.is_suspected or view.count or is_unproved) and now.at >= view.retry_at:
            found.append(one.generation)
    shown = snapshot.shown_of(source.source_id)
    first = shown.generation if shown is not None else ""
    return [steps.Mend(source, one) for one in sorted(found, key=lambda one: one != first)]


def loss_of(snapshot: snapshots.Snapshot, source_id: str, generation: str) -> snapshots.LossView:
    """What is known to be lost of a generation."""
    return snapshot.losses.get((source_id, generation), snapshots.LossView())


def told(snapshot: snapshots.Snapshot, shown: protocol.Visible) -> protocol.Problem | None:
    """What to tell of a generation that clients are sent to, when files of it are missing here (I8)."""
    view = snapshot.fetch.get((shown.source_id, shown.generation))
    problem = view.problem if view is not None else None
    return problem if problem is not None and problem.code == LOST else None


def suspected(present: snapshots.Snapshot, source_id: str, generation: str) -> snapshots.Snapshot:
    """Somebody missed a file of a generation."""
    known = loss_of(present, source_id, generation)
    if known.is_suspected or known.count:
        return present
    return _with_view(present, (source_id, generation), dataclasses.replace(known, is_suspected=True))


def found(
    present: snapshots.Snapshot, key: tuple[str, str], lost: Sequence[inspection.Finding], why: str = ""
) -> snapshots.Snapshot:
    """R4: what is not there is not fetchable, and said so with what it is; ``why`` it could not be mended yet."""
    view = dataclasses.replace(loss_of(present, *key), is_suspected=False, count=len(lost))
    names = ", ".join(f"{one.path} ({one.problem.value.replace('_', ' ').lower()})" for one in lost[:_SHOWN])
    more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
    message = f"Generation {key[1]} lost files on this station's volume: {names}{more}. "
    message += f"They could not be fetched again yet: {why}" if why else "They are being fetched again."
    proof = snapshots.FetchView(is_fetchable=False, problem=protocol.Problem(code=LOST, message=message))
    return dataclasses.replace(_with_view(present, key, view), fetch=boards.with_entry(present.fetch, key, proof))


def ended(present: snapshots.Snapshot, key: tuple[str, str], now_at: float, *, is_mended: bool) -> snapshots.Snapshot:
    """Nothing is lost, any more or at all; what was mended is proved anew before it counts as fetchable."""
    changed = _with_view(present, key, snapshots.LossView(retry_at=now_at + _QUIET_SECONDS))
    if not is_mended:
        return changed
    fetch = {one: view for one, view in present.fetch.items() if one != key}
    return dataclasses.replace(changed, fetch=snapshots.frozen_map(fetch))


def failed(present: snapshots.Snapshot, key: tuple[str, str], now_at: float) -> snapshots.Snapshot:
    """Tried again, with longer and longer pauses."""
    known = loss_of(present, *key)
    times = known.failures + 1
    pause = min(2.0 ** min(times, 10), _LONGEST_PAUSE_SECONDS)
    return _with_view(present, key, dataclasses.replace(known, failures=times, retry_at=now_at + pause))


def _with_view(present: snapshots.Snapshot, key: tuple[str, str], view: snapshots.LossView) -> snapshots.Snapshot:
    return dataclasses.replace(present, losses=boards.with_entry(present.losses, key, view))
