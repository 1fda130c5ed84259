"""What each volume of a group lacks, and from whom it is fetched. Copying counts volumes, the barrier counts stations.

One station copies for its volume: the holder of the volume's lease where it is here, else the first by id that can
write. The candidate comes first, since the group waits for it; a station that was left out for lagging first gets what
is visible, with which it comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stationmaster.model import protocol, rotation

_HOLDERS = 4


def copies_of(
    snapshots: Iterable[rotation.Snapshot], writers: Mapping[str, str], limits: rotation.Limits
) -> dict[str, list[protocol.Copy]]:
    """By station, what it should copy. ``writers`` are the holders of volume leases by volume."""
    orders: dict[str, list[protocol.Copy]] = {}
    served: dict[str, int] = {}
    for snapshot in sorted(snapshots, key=lambda one: one.source_id):
        for volume, mates in sorted(_volumes(snapshot, limits).items()):
            wanted = _wanted(snapshot, mates)
            holders = _holders(snapshot, wanted, volume, served, limits) if wanted else []
            copier = _copier(mates, writers.get(volume))
            if wanted is None or not holders or copier is None:
                continue
            served[holders[0]] = served.get(holders[0], 0) + 1
            order = protocol.Copy(
                source_id=snapshot.source_id,
                generation=wanted,
                holders=holders,
                is_candidate=wanted == snapshot.candidate,
            )
            orders.setdefault(copier, []).append(order)
    return orders


def volume_of(station: rotation.Station) -> str:
    """Equal for stations that share one; a station whose sharing is not proved has one of its own."""
    return station.volume or station.id


def _volumes(snapshot: rotation.Snapshot, limits: rotation.Limits) -> dict[str, list[rotation.Station]]:
    found: dict[str, list[rotation.Station]] = {}
    for station in rotation.in_touch(snapshot, limits):
        if station.is_volume_usable:
            found.setdefault(volume_of(station), []).append(station)
    return found


def _wanted(snapshot: rotation.Snapshot, mates: Sequence[rotation.Station]) -> str | None:
    held = frozenset[str]().union(*(one.held for one in mates))
    shown = snapshot.visible.generation if snapshot.visible else None
    is_out = all(one.excluded_seconds is not None for one in mates)
    order = (shown, snapshot.candidate) if is_out else (snapshot.candidate, shown)
    return next((one for one in order if one is not None and one not in held), None)


def _copier(mates: Sequence[rotation.Station], writer: str | None) -> str | None:
    able = sorted(one.id for one in mates if one.is_writable)
    return writer if writer in able else next(iter(able), None)


def _holders(
    snapshot: rotation.Snapshot,
    wanted: str,
    volume: str,
    served: Mapping[str, int],
    limits: rotation.Limits,
) -> list[str]:
    able = [
        one
        for one in rotation.in_touch(snapshot, limits)
        if wanted in one.held and one.is_volume_usable and volume_of(one) != volume
    ]

    def order(one: rotation.Station) -> tuple[bool, bool, int, str]:
        return wanted not in one.fetchable, one.excluded_seconds is not None, served.get(one.id, 0), one.id

    return [one.id for one in sorted(able, key=order)[:_HOLDERS]]
