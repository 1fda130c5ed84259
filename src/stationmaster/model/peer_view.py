"""What people are shown of a group beyond what its stations say: who lacks how much, who shares what. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stationmaster.model import protocol


def size_of(generation: str, reports: Iterable[protocol.SourceReport]) -> int | None:
    """Bytes of a generation, by whoever holds it; None when nobody does."""
    found = [held.size_bytes for one in reports for held in one.held if held.generation == generation]
    return max(found, default=None)


def missing_bytes(generation: str | None, size: int | None, report: protocol.SourceReport | None) -> int | None:
    """What a station still lacks of ``generation``: an upper bound, since what other generations share is there.

    While a sync runs, what its percentage leaves over. None when it cannot be known yet.
    """
    if generation is None:
        return 0
    if report is not None and any(one.generation == generation for one in report.held):
        return 0
    if size is None:
        return None
    if report is not None and report.sync is not None and report.sync.is_running:
        return size * max(0, 100 - report.sync.percentage) // 100
    return size


def sharers(station_id: str, volumes: Mapping[str, str | None]) -> list[str]:
    """The other stations that show the volume of this one, sorted; ``volumes`` are volume ids by station."""
    own = volumes.get(station_id)
    return sorted(one for one, volume in volumes.items() if own and volume == own and one != station_id)
