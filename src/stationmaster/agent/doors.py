"""The effects an agent may have, passed in together; tests pass others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from stationmaster.host import clock, files, programs


@dataclasses.dataclass(frozen=True)
class Doors:
    """Disk, programs, time, and a number from 0 to 1 for jitter."""

    disk: files.Files
    programs: programs.Programs
    clock: clock.Clock
    random: Callable[[], float]
