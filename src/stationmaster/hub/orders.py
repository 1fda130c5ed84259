"""What the scheduler worked out for stations, until their next heartbeats fetch it.

Each hub process keeps its own and stores nothing: it follows within a second from what is stored. After a start there
is none for a moment, which harms nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

from stationmaster.model import protocol


class Orders:
    """By station: copies to make, and what speaks against its volume."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copies: dict[str, tuple[protocol.Copy, ...]] = {}
        self._problems: dict[str, protocol.Problem] = {}

    def set_copies(self, station_ids: Iterable[str], copies: Mapping[str, Sequence[protocol.Copy]]) -> None:
        """Replace the copies of the stations of one group."""
        with self._lock:
            for station_id in station_ids:
                self._copies[station_id] = tuple(copies.get(station_id, ()))

    def set_problems(self, problems: Mapping[str, protocol.Problem]) -> None:
        """Replace what speaks against volumes."""
        with self._lock:
            self._problems = dict(problems)

    def copies_of(self, station_id: str) -> list[protocol.Copy]:
        """Best first."""
        with self._lock:
            return list(self._copies.get(station_id, ()))

    def problem_of(self, station_id: str) -> protocol.Problem | None:
        """Why the station may not use its volume."""
        with self._lock:
            return self._problems.get(station_id)
