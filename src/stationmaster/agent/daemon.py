"""Runs cycles: one, or one after the other until it is told to stop. A job that has begun is always finished first.

Between cycles the agent sleeps as long as the hub wants, a little more or less, so that a fleet that was started
together does not call together. Nothing ends it but a signal: a hub that is away is asked again, soon at first, then no
more often than in good times. So a hub that comes back after an hour meets the load that it bears every day (I9).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from stationmaster.agent import cycle, doors, instance, leave, state
from stationmaster.host import process_lock
from stationmaster.model import errors

LOG = logging.getLogger("stationmaster.agent")

_JITTER = 0.2
_USUAL_SECONDS = 120.0  # until the hub has said what it wants
_AFTER_FAILURE_SECONDS = 30.0
_SLICE_SECONDS = 0.5
_LOCK_SECONDS = 120.0


@contextlib.contextmanager
def hold(state_directory: Path, through: doors.Doors) -> Iterator[None]:
    """One act at a time on a state directory: a cycle, a re-point, leaving. CallerError where nobody is registered."""
    state.StateDirectory(state_directory, through.disk).identity()
    with process_lock.held(
        state_directory / "lock", through.clock, holder="Another agent command", wait_seconds=_LOCK_SECONDS
    ):
        yield


def next_pause(seconds: float, random: float) -> float:
    """How long to sleep, spread by a fifth around what the hub wants; ``random`` is from 0 to 1."""
    return max(1.0, seconds) * (1 - _JITTER / 2 + _JITTER * random)


def pause_after_failure(failures: int, usual: float, random: float) -> float:
    """How long to sleep after the n-th failure in a row: twice as long each time, up to the usual pause.

    From half to one and a half of that: what lost the hub at one moment comes back spread. ``random`` is from 0 to 1.
    """
    return min(max(1.0, usual), _AFTER_FAILURE_SECONDS * 2.0 ** (min(failures, 10) - 1)) * (0.5 + random)


class Daemon:
    """The agent of one state directory."""

    def __init__(self, state_directory: Path, through: doors.Doors) -> None:
        self._state_directory = state_directory
        self._doors = through
        self._is_stopping = False

    def stop(self) -> None:
        """End after the cycle that runs; fit for a signal handler."""
        self._is_stopping = True

    def run_once(self, *, is_thorough: bool) -> cycle.Result:
        """One cycle, over an instance read anew: a re-point by hand may have changed its files in between."""
        with hold(self._state_directory, self._doors):
            remembered = state.StateDirectory(self._state_directory, self._doors.disk)
            one = instance.Instance(remembered, self._doors)
            result = cycle.Cycle(one, is_thorough=is_thorough).run()
            if result.is_leaving:
                leave.leave(one, leave.Way.ORDERED)
                LOG.info("The hub removed this instance; its repository files are as they were before.")
                self.stop()
            return result

    def run_until_stopped(self) -> None:
        """Cycle after cycle."""
        is_first, failures, usual = True, 0, _USUAL_SECONDS
        while not self._is_stopping:
            failures += 1
            try:
                usual = self.run_once(is_thorough=is_first).checkin_seconds
                is_first, failures = False, 0
            except errors.StationmasterError as exc:
                LOG.warning("%s", exc, extra={"action": "check-in", "code": exc.code})
            except Exception:
                LOG.exception("The cycle broke off", extra={"action": "check-in"})
            drawn = self._doors.random()
            self._sleep(pause_after_failure(failures, usual, drawn) if failures else next_pause(usual, drawn))

    def _sleep(self, seconds: float) -> None:
        deadline = self._doors.clock.monotonic() + seconds
        while not self._is_stopping and (left := deadline - self._doors.clock.monotonic()) > 0:
            self._doors.clock.sleep(min(left, _SLICE_SECONDS))
