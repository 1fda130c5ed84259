"""Whether this hub process may decide: not before it has listened to everybody for one liveness period (R8, R9).

It listens again after whatever makes what it knows doubtful: a database that was lost, changed its server or went back
in time, a clock that jumped, a time in which this process itself stood still (`watch`).
"""

from __future__ import annotations

import datetime
import logging
import math
import threading

from stationmaster.host import clock
from stationmaster.hub import logs


class Settling:
    """Shared by the API and the scheduler of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None

    def listened_seconds(self, clocks: clock.Clock) -> float:
        """For how long nothing has unsettled it. No age that it counts is worth more than that (R9)."""
        at = clocks.monotonic()
        with self._lock:
            if self._since is None:
                self._since = at
            return at - self._since

    def is_settled(self, clocks: clock.Clock, liveness: datetime.timedelta) -> bool:
        """Whether nothing unsettled it for one liveness period."""
        return self.listened_seconds(clocks) >= liveness.total_seconds()

    def unsettle(self, why: str = "") -> None:
        """Listen anew from now on."""
        with self._lock:
            was_listening = self._since is None
            self._since = None
        if why and not was_listening:
            logs.write(
                "decides nothing for one liveness period", level=logging.WARNING, action="listen anew", reason=why
            )

    def assume(self, at: float) -> None:
        """As if it had listened since ``at``: another replica has, or a test says so."""
        with self._lock:
            self._since = min(at, self._since if self._since is not None else math.inf)
