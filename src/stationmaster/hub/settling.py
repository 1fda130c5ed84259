"""Whether this hub process may decide: not before it has listened to everybody for one liveness period (R8, R9).

It listens again after it lost its database, and after the wall clock jumped: times in the database are wall times, and
a jump would end leases whose holders are still at work.
"""

from __future__ import annotations

import datetime
import threading

from stationmaster.host import clock

_JUMP_SECONDS = 2.0


class Settling:
    """Shared by the API and the scheduler of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._offset: float | None = None

    def is_settled(self, clocks: clock.Clock, liveness: datetime.timedelta) -> bool:
        """Whether nothing unsettled it for one liveness period."""
        at = clocks.monotonic()
        offset = clocks.now().timestamp() - at
        with self._lock:
            has_jumped = self._offset is not None and abs(offset - self._offset) > _JUMP_SECONDS
            if self._since is None or has_jumped:
                self._since = at
            self._offset = offset
            return at - self._since >= liveness.total_seconds()

    def unsettle(self) -> None:
        """Listen anew from the next look on."""
        with self._lock:
            self._since = None

    def assume(self, at: float) -> None:
        """As if it had listened since ``at``; for tests."""
        with self._lock:
            self._since = at
