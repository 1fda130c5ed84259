"""What the hub knows of one source in one group, and who counts: in touch, in rotation, behind, to be left out.

All of it comes from the last heartbeats; `visibility` decides on it.
"""

from __future__ import annotations

import dataclasses
import datetime
import math

from stationmaster.model import leadership, protocol

_LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclasses.dataclass(frozen=True)
class Limits:
    """Times in seconds, all settings of the hub (design 12a)."""

    liveness: float = 10.0
    lag: float = 60.0
    resync: float = 15.0
    resync_after_failure: float = 60.0
    lonely_factor: float = 10.0


@dataclasses.dataclass(frozen=True)
class Generation:
    """A generation with what orders it: its root's own time, then when the hub first heard of it."""

    id: str
    time_first_seen: datetime.datetime
    time_root: datetime.datetime | None = None

    @property
    def rank(self) -> tuple[datetime.datetime, datetime.datetime, str]:
        """Newest is highest."""
        return (self.time_root or _LONG_AGO, self.time_first_seen, self.id)


@dataclasses.dataclass(frozen=True)
class Station:
    """One registered station as its last heartbeat told. ``excluded_seconds``: since it was told to leave, if it was.

    ``is_draining``: for at least one liveness period, so that balancers have seen it.
    ``stalled_seconds`` runs while it lacks ``lagging_behind`` and its volume gains no verified byte; ``behind_seconds``
    runs while it lacks it. ``is_last``: no other station of the group would be left in rotation for its other sources.
    ``sync_…`` and ``finished_sync`` are of its last sync, ``lease_token`` the highest it ever had. ``volume`` is equal
    for stations that are proved to share one. ``is_led``: it obeys leases; the first release did not.
    """

    id: str
    silent_seconds: float = 0.0
    is_volume_usable: bool = True
    is_draining: bool = False
    fetchable: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    shown: protocol.Visible | None = None
    stalled_seconds: float = 0.0
    behind_seconds: float = 0.0
    excluded_seconds: float | None = None
    lagging_behind: str | None = None
    finished_sync: int = 0
    is_syncing: bool = False
    has_failed: bool = False
    is_last: bool = False
    sync_token: int = 0
    sync_generation: str | None = None
    lease_token: int = 0
    is_led: bool = True
    is_writable: bool = True
    volume: str = ""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """All that is known of one source in one group. ``staging_seconds``: what the leader needed to stage it.

    ``candidate`` is the one generation that the group stages next (R7), ``candidate_seconds`` since when, and
    ``lost_seconds`` since when no station in touch holds it. ``is_candidate_old``: it was there before the leader found
    it again, so somebody may be removing it. ``parted_seconds``: since a station left the group, which balancers may
    still take for ready.
    """

    source_id: str
    visible: protocol.Visible | None
    generations: dict[str, Generation]
    stations: tuple[Station, ...]
    candidate: str | None = None
    candidate_seconds: float = 0.0
    lost_seconds: float = 0.0
    is_candidate_old: bool = False
    lease: leadership.Lease = leadership.UNHELD
    sync_number: int = 0
    since_sync_raised: float = math.inf
    orphaned_seconds: float = 0.0
    staging_seconds: float = 0.0
    parted_seconds: float = math.inf
    is_settled: bool = True


def in_touch(snapshot: Snapshot, limits: Limits) -> tuple[Station, ...]:
    """Stations heard within the liveness time."""
    return tuple(station for station in snapshot.stations if station.silent_seconds <= limits.liveness)


def members(snapshot: Snapshot, limits: Limits) -> tuple[Station, ...]:
    """Stations whose consent an advance needs: in touch, volume usable, not draining, not left for lagging.

    A station that was told to leave counts until balancers must have seen it unready, one liveness period later (R2).
    """
    return tuple(
        station
        for station in in_touch(snapshot, limits)
        if station.is_volume_usable
        and not station.is_draining
        and (station.excluded_seconds is None or station.excluded_seconds <= limits.liveness)
    )


def holders_in_touch(snapshot: Snapshot, generation: str, limits: Limits) -> frozenset[str]:
    """Who holds ``generation`` whole, fetchable or not: a web server that restarts has lost nothing."""
    return frozenset(station.id for station in in_touch(snapshot, limits) if generation in station.held)


def held_alone(snapshot: Snapshot, station_id: str, limits: Limits) -> list[str]:
    """What of the candidate and the visible generation others could copy from this station and from no other in touch.

    A station that is deleted stays until there is nothing of the kind (R12-R18).
    """
    others = [one for one in in_touch(snapshot, limits) if one.id != station_id]
    could_copy = any(one.is_volume_usable and one.is_writable for one in others)
    wanted = {snapshot.candidate, snapshot.visible.generation if snapshot.visible else None}
    return sorted(
        one for one in wanted if one and could_copy and holders_in_touch(snapshot, one, limits) == {station_id}
    )


def newest_held(snapshot: Snapshot, limits: Limits) -> Generation | None:
    """The newest generation that any station in touch holds whole and fetchable."""
    return newest_of(
        snapshot,
        frozenset().union(
            *(station.fetchable for station in in_touch(snapshot, limits) if station.is_volume_usable),
        ),
    )


def target(snapshot: Snapshot) -> str | None:
    """What every volume of the group should hold: the candidate while there is one, else what is visible."""
    if snapshot.candidate is not None:
        return snapshot.candidate
    return snapshot.visible.generation if snapshot.visible else None


def lacks(snapshot: Snapshot, station: Station) -> bool:
    """Whether the station cannot serve the candidate, or what is visible."""
    wanted = {target(snapshot), snapshot.visible.generation if snapshot.visible else None} - {None}
    return not wanted <= station.fetchable


def behind_stations(snapshot: Snapshot, limits: Limits) -> frozenset[str]:
    """Stations in rotation that the candidate waits for."""
    if snapshot.candidate is None:
        return frozenset()
    return frozenset(one.id for one in members(snapshot, limits) if snapshot.candidate not in one.fetchable)


def excluded_stations(snapshot: Snapshot, limits: Limits) -> frozenset[str]:
    """Stations that lag beyond the limit (R5), and those that left and have not caught up. Never the last.

    One that left comes back when it holds what is visible, and the candidate on whose account it left if that is still
    the candidate: a slow station is not kept out for ever by an upstream that publishes faster than it copies.
    """
    touched = in_touch(snapshot, limits)
    left = {one.id for one in touched if one.excluded_seconds is not None and _is_kept_out(snapshot, one)}
    if snapshot.candidate is None:
        return frozenset(left)
    for station in sorted(touched, key=lambda one: one.id):
        if snapshot.candidate in station.fetchable or station.id in left or station.is_last or station.is_draining:
            continue
        if station.lagging_behind != snapshot.candidate:
            continue
        remaining = len(touched) - len(left) - 1
        factor = limits.lonely_factor if 2 * remaining < len(snapshot.stations) else 1.0
        progressing_limit = max(limits.lag, 3 * snapshot.staging_seconds)
        if station.stalled_seconds >= factor * limits.lag or station.behind_seconds >= factor * progressing_limit:
            left.add(station.id)
    return frozenset(left)


def _is_kept_out(snapshot: Snapshot, station: Station) -> bool:
    if snapshot.visible is not None and snapshot.visible.generation not in station.fetchable:
        return True
    is_same = snapshot.candidate is not None and snapshot.candidate == station.lagging_behind
    return is_same and snapshot.candidate not in station.fetchable


def newest_of(snapshot: Snapshot, ids: frozenset[str]) -> Generation | None:
    """The newest of the generations named by ``ids``."""
    known = [snapshot.generations[one] for one in ids if one in snapshot.generations]
    return max(known, key=lambda one: one.rank, default=None)


def is_newer(snapshot: Snapshot, generation: Generation) -> bool:
    """Whether ``generation`` would be a step forward from what is visible."""
    if snapshot.visible is None:
        return True
    return generation.id != snapshot.visible.generation and generation.rank > rank_of(
        snapshot, snapshot.visible.generation
    )


def rank_of(snapshot: Snapshot, generation: str) -> tuple[datetime.datetime, datetime.datetime, str]:
    """What orders a generation; one that the hub does not know is the oldest."""
    known = snapshot.generations.get(generation)
    return known.rank if known else (_LONG_AGO, _LONG_AGO, generation)
