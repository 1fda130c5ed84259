"""One process at a time, by flock(2) on a local file; the kernel lets go when the holder dies, however it dies.

Not for volumes, which may be network file systems: those have the lease.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from stationmaster.host import clock
from stationmaster.model import errors


@contextlib.contextmanager
def held(path: Path, wall_clock: clock.Clock, *, holder: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock on ``path``, which is made if need be; IncorrectStateError when another process keeps it."""
    # Not inherited by programs (O_CLOEXEC is Python's default): a package manager left behind must not keep it.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = wall_clock.monotonic() + wait_seconds
    try:
        while not _try_lock(descriptor):
            if wall_clock.monotonic() >= deadline:
                raise errors.IncorrectStateError(
                    f"{holder} is already running on {path.parent}.", hint="Wait for it to end, or stop it."
                )
            wall_clock.sleep(0.2)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
