"""Which stations share a volume: proved by what each reads there of the other, never by the id alone (ha-protocol R10).

Each station keeps a fresh nonce on its volume and reports what it reads there of all stations. Two share a volume when
each reads a nonce that the other wrote lately. An id that two show without that was copied, or one of them reads stale
data; the one that showed it first keeps it. Without nonces (a station of the first release) nothing is proved, and
nothing held against anybody.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping

KEPT_NONCES = 4  # a nonce is on its way for two looks and two heartbeats

_NEVER = datetime.datetime.max.replace(tzinfo=datetime.UTC)


@dataclasses.dataclass(frozen=True)
class Sight:
    """What a station told of its volume. ``nonces``: the last few it wrote, newest first; ``read``: by station."""

    station_id: str
    volume_id: str
    nonces: tuple[str, ...] = ()
    read: Mapping[str, str] = dataclasses.field(default_factory=dict)
    time_first_seen: datetime.datetime = _NEVER


def is_proved(one: Sight, other: Sight) -> bool:
    """R10: each reads the other's nonce on a volume of that id."""
    return (
        one.volume_id == other.volume_id
        and one.read.get(other.station_id) in other.nonces
        and other.read.get(one.station_id) in one.nonces
    )


def volumes_of(sights: Iterable[Sight]) -> dict[str, str]:
    """By station, a name that is equal for those that share a volume: the id, and the first of them."""
    ordered = sorted(sights, key=lambda one: one.station_id)
    first = {one.station_id: one.station_id for one in ordered}
    for index, one in enumerate(ordered):
        for other in ordered[index + 1 :]:
            if is_proved(one, other):
                low, high = sorted((first[one.station_id], first[other.station_id]))
                first = {name: low if root == high else root for name, root in first.items()}
    return {one.station_id: f"{one.volume_id}@{first[one.station_id]}" for one in ordered}


def doubted(sights: Iterable[Sight]) -> dict[str, str]:
    """Stations that show an id which another showed first, unproved, and that other; all of them write nonces."""
    found: dict[str, str] = {}
    speaking = [one for one in sights if one.nonces]
    names = volumes_of(speaking)
    eldest: dict[str, Sight] = {}
    for one in sorted(speaking, key=lambda one: (one.time_first_seen, one.station_id)):
        owner = eldest.setdefault(one.volume_id, one)
        if names[one.station_id] != names[owner.station_id]:
            found[one.station_id] = owner.station_id
    return found
