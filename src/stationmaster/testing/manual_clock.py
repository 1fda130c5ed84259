"""A clock that stands still until it is moved."""

from __future__ import annotations

import datetime


class ManualClock:
    """Sleeping moves it; nobody waits."""

    def __init__(self, start: datetime.datetime | None = None) -> None:
        self._now = start or datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self._seconds = 1000.0

    def now(self) -> datetime.datetime:
        """Wall time."""
        return self._now

    def monotonic(self) -> float:
        """Seconds."""
        return self._seconds

    def sleep(self, seconds: float) -> None:
        """Move by ``seconds``."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move both clocks."""
        self._now += datetime.timedelta(seconds=seconds)
        self._seconds += seconds
