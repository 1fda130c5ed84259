"""What a station says of a path of a generation that its web server did not find (ha-protocol R11). Pure.

404 ends a client's transaction, so it needs a proof: the generation's manifest, or that the group has dropped the
generation. The latter can be known only by a station that the group counts on now: one that is not confirmed, or left
the rotation, may never have heard of a generation that its peers have shown since. It asks the client to come again,
which a balancer or a retry takes to another station.
"""

from __future__ import annotations

import dataclasses
import enum

from stationmaster.model import protocol
from stationmaster.station import snapshot as snapshots


@dataclasses.dataclass(frozen=True)
class Asked:
    """A path of a generation, or of the unpinned tree when ``generation`` is empty; ``is_hop``: by a peer."""

    source_id: str
    generation: str
    path: str
    is_hop: bool


class Verdict(enum.StrEnum):
    """FILL: to be had from a peer. LACKING, NOT_HERE: 503, for a retry. DROPPED, ABSENT: 404."""

    FILL = "FILL"
    LACKING = "LACKING"
    NOT_HERE = "NOT_HERE"
    DROPPED = "DROPPED"
    ABSENT = "ABSENT"


def judge(snapshot: snapshots.Snapshot, asked: Asked, now_at: float, *, has_manifest: bool, has_path: bool) -> Verdict:
    """By the manifest that is known here, else by what the hub last said. A request of a peer goes no further."""
    if has_manifest:
        if not has_path:
            return Verdict.ABSENT
        return Verdict.LACKING if asked.is_hop else Verdict.FILL
    if asked.is_hop or is_expected(snapshot, asked) or not is_counted_on(snapshot, now_at):
        return Verdict.NOT_HERE
    return Verdict.DROPPED


def is_counted_on(snapshot: snapshots.Snapshot, now_at: float) -> bool:
    """Whether the group cannot have gone on without this station: the hub confirmed it lately, in the rotation."""
    contact, desired = snapshot.contact, snapshot.desired
    if desired is None or contact.confirmed_at is None or contact.is_gone or not contact.is_in_rotation:
        return False
    return now_at - contact.confirmed_at <= desired.confirmed_seconds


def is_expected(snapshot: snapshots.Snapshot, asked: Asked) -> bool:
    """Whether the group still speaks of a generation: visible, to be copied, or to be kept."""
    told = snapshot.told_of(asked.source_id)
    wanted = any(
        one.generation == asked.generation for one in snapshot.orders.copies if one.source_id == asked.source_id
    )
    is_dropped = (asked.source_id, asked.generation) in snapshot.dropped  # for want of room: nobody shows it
    retained = frozenset() if is_dropped else snapshot.orders.retained.get(asked.source_id, frozenset())
    return (told is not None and told.generation == asked.generation) or wanted or asked.generation in retained


def without_volume(present: snapshots.Snapshot, problem: protocol.Problem) -> snapshots.Snapshot:
    """What is known once a miss has shown that the volume is gone; the next look says more."""
    if present.volume is None or present.volume.problem is not None:
        return present
    seen = present.volume
    view = snapshots.VolumeView(directory=seen.directory, seen_at=seen.seen_at, problem=problem)
    return dataclasses.replace(present, volume=view)
