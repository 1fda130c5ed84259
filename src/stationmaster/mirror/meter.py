"""What a sync has cost so far: requests, bytes, files, and the pace of one transfer."""

from __future__ import annotations

import threading

from stationmaster.host import clock as clocks
from stationmaster.mirror import failures, outcome


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


class Counter:
    """Adds up what threads did and tells the listener."""

    def __init__(self, progress: outcome.Listener, phase: outcome.Phase, files: int, size: int) -> None:
        self._progress = progress
        self._phase = phase
        self._totals = (files, size)
        self._done = [0, 0]
        self._lock = threading.Lock()
        if files:
            progress(outcome.Progress(phase, 0, files, 0, size))

    def add(self, size: int) -> None:
        """One more file, of so many bytes."""
        with self._lock:
            self._done[0] += 1
            self._done[1] += size
            files, total = self._totals
            self._progress(outcome.Progress(self._phase, self._done[0], files, self._done[1], total))
