"""What a sync has cost so far: requests, bytes, and the pace of one transfer."""

from __future__ import annotations

import threading

from stationmaster.host import clock as clocks
from stationmaster.mirror import failures


class Meter:
    """Counts over all threads of one sync."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.bytes = 0

    def add_request(self) -> None:
        """One HTTP request was sent, whatever its answer."""
        with self._lock:
            self.requests += 1

    def add_bytes(self, size: int) -> None:
        """So many bytes of a body came."""
        with self._lock:
            self.bytes += size


class Pace:
    """Watches that a transfer does not trickle: a slow-read upstream would hold a sync for ever."""

    def __init__(self, clock: clocks.Clock, *, floor: int, window: float) -> None:
        self._clock = clock
        self._floor = floor
        self._window = window
        self._since = clock.monotonic()
        self._bytes = 0

    def excuse(self, seconds: float) -> None:
        """So long it was we who did not read."""
        self._since += seconds

    def add(self, size: int, *, address: str) -> None:
        """Take note of a piece; TooSlowError when a whole window stayed below the floor."""
        self._bytes += size
        elapsed = self._clock.monotonic() - self._since
        if elapsed < self._window:
            return
        rate = self._bytes / elapsed
        if rate < self._floor:
            raise failures.TooSlowError(
                f"{address} sends {rate:.0f} bytes/s; expected are at least {self._floor} bytes/s.",
                hint="Run again later: what came is kept.",
            )
        self._since += elapsed
        self._bytes = 0
