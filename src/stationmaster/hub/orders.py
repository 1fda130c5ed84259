"""What the scheduler worked out for stations, until their next heartbeats fetch it.

Each hub process keeps its own and stores nothing: it follows within a second from what is stored. After a start there
is none for a moment, which harms nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

from stationmaster.model import protocol


class Orders:
    """By station: copies to make, and what speaks against its volume; by group: the signed record."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copies: dict[str, tuple[protocol.Copy, ...]] = {}
        self._problems: dict[str, protocol.Problem] = {}
        self._room: dict[str, int] = {}
        self._records: dict[str, tuple[int, protocol.SignedRecord]] = {}

    def set_copies(self, station_ids: Iterable[str], copies: Mapping[str, Sequence[protocol.Copy]]) -> None:
        """Replace the copies of the stations of one group."""
        with self._lock:
            for station_id in station_ids:
                self._copies[station_id] = tuple(copies.get(station_id, ()))

    def set_problems(self, problems: Mapping[str, protocol.Problem]) -> None:
        """Replace what speaks against volumes."""
        with self._lock:
            self._problems = dict(problems)

    def set_room(self, room_bytes: Mapping[str, int]) -> None:
        """Replace, by volume, how much must be free for what waits for room."""
        with self._lock:
            self._room = dict(room_bytes)

    def room_of(self, volume_id: str) -> int:
        """How much must be free on a volume; 0 when nothing waits."""
        with self._lock:
            return self._room.get(volume_id, 0)

    def copies_of(self, station_id: str) -> list[protocol.Copy]:
        """Best first."""
        with self._lock:
            return list(self._copies.get(station_id, ()))

    def problem_of(self, station_id: str) -> protocol.Problem | None:
        """Why the station may not use its volume."""
        with self._lock:
            return self._problems.get(station_id)

    def set_record(self, group_id: str, counter: int, record: protocol.SignedRecord) -> None:
        """Replace the record of a group (R12)."""
        with self._lock:
            self._records[group_id] = counter, record

    def record_for(self, group_id: str, told: protocol.RecordReport | None) -> protocol.SignedRecord | None:
        """The record of the group, for a station that has another one, or a lower one; None when there is no need."""
        with self._lock:
            counter, record = self._records.get(group_id, (0, None))
        if told is None or (told.group_id == group_id and told.counter >= counter):
            return None
        return record
