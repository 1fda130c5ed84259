"""Time, passed in. Wall time is for people and signatures; intervals run on a clock that counts through suspend."""

from __future__ import annotations

import contextlib
import datetime
import time
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """What the rest of the code may know about time."""

    def now(self) -> datetime.datetime:
        """Wall time, timezone-aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back and runs through suspend (ha-protocol R2, R5)."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; the caller reads the clock again afterwards, since a machine may have slept longer."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime.datetime:
        """Wall time, timezone-aware, UTC."""
        return datetime.datetime.now(datetime.UTC)

    def monotonic(self) -> float:
        """Seconds of CLOCK_BOOTTIME."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(max(0.0, seconds))


class ProcessorShare:
    """How much of one processor this process takes or waits for; over 1 when several of its threads could run.

    Time on the run queue counts as well: on a machine that others keep busy a process has little, and wants no more
    threads for it.
    """

    def __init__(self) -> None:
        self._before = (_runnable_seconds(), time.monotonic())

    def since_last(self) -> float:
        """The share since the last call, or since the beginning."""
        now = (_runnable_seconds(), time.monotonic())
        used, passed = now[0] - self._before[0], now[1] - self._before[1]
        self._before = now
        return used / passed if passed > 0 else 0.0


def _runnable_seconds() -> float:
    """Processor time, and the time that living threads stood in line for it (proc(5), schedstat)."""
    waited = 0
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, IndexError, ValueError):  # the thread ended, or the kernel does not count
            waited += int(path.read_text().split()[1])
    return time.process_time() + waited / 1e9
