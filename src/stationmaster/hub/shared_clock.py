"""The hub's time: one for all replicas, whatever their hosts' clocks say (ha-protocol R9).

Ages are counted between moments that different replicas wrote, so all replicas take their time from the database server
and count on from there by their own monotonic clock. A host's wall clock may be off by hours or jump: it has no part in
it. Without a server (SQLite) the host's wall clock stands for the server's.

What is measured once a second is trusted to half the time that the answer took, so slow answers are left aside. When
the server's clock is more than `JUMP_SECONDS` from where we counted it, it jumped, or another server answers: who asks
is told, and listens anew before anything is decided.
"""

from __future__ import annotations

import dataclasses
import datetime

from stationmaster.host import clock

SLOWEST_SECONDS = 0.2
JUMP_SECONDS = 0.25


@dataclasses.dataclass(frozen=True)
class Measured:
    """What time it was somewhere, and when, by our monotonic clock, we asked and were answered."""

    time: datetime.datetime
    asked_at: float
    answered_at: float

    @property
    def took(self) -> float:
        """Seconds; half of it is how far ``time`` may be off."""
        return self.answered_at - self.asked_at

    def time_at(self, at: float) -> datetime.datetime:
        """That clock at another moment of ours."""
        return self.time + datetime.timedelta(seconds=at - (self.asked_at + self.answered_at) / 2)


def jump_between(former: Measured, present: Measured) -> float:
    """By how many seconds that clock ran otherwise than ours between the two. Pure."""
    return (present.time - former.time_at((present.asked_at + present.answered_at) / 2)).total_seconds()


class SharedClock:
    """A ``clock.Clock``. Until something was measured it is the host's."""

    def __init__(self, own: clock.Clock) -> None:
        self._own = own
        self._measured: Measured | None = None

    def now(self) -> datetime.datetime:
        """The hub's time."""
        measured = self._measured
        return self._own.now() if measured is None else measured.time_at(self._own.monotonic())

    def monotonic(self) -> float:
        """This host's, for intervals within one process."""
        return self._own.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._own.sleep(seconds)

    def own_time(self) -> datetime.datetime:
        """This host's wall clock."""
        return self._own.now()

    def follow(self, measured: Measured) -> float:
        """Go on from a measurement; by how many seconds the clock jumped, 0.0 when it did not."""
        former = self._measured
        if former is None:
            self._measured = measured
            return 0.0
        jump = jump_between(former, measured)
        has_jumped = abs(jump) > JUMP_SECONDS + (measured.took + former.took) / 2
        if has_jumped or measured.took <= SLOWEST_SECONDS:
            self._measured = measured
        return jump if has_jumped else 0.0
