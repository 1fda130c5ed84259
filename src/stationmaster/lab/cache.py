"""What labs keep for later ones: entries that are whole or absent, shared by hard links."""

from __future__ import annotations

import os
from pathlib import Path

from stationmaster.host import clock, files


class PublicationClock:
    """Keeps two publications of one upstream in different seconds.

    HTTP dates, Release files and repomd.xml count whole seconds: a client that asks "changed since?" would be told no.
    """

    def __init__(self, time: clock.Clock) -> None:
        self._time = time
        self._last = 0

    def wait(self) -> None:
        """Return in a later second than the last time."""
        while int(self._time.now().timestamp()) <= self._last:
            self._time.sleep(0.05)
        self._last = int(self._time.now().timestamp())


def keep(building: Path, kept: Path) -> None:
    """Move a finished cache entry to its name; when another run was faster, its entry is as good."""
    try:
        building.rename(kept)
    except OSError:
        if not kept.is_dir():
            raise


def link_or_copy(effects: files.Files, source: Path, target: Path) -> None:
    """Hard link where both lie on one file system."""
    if os.stat(source).st_dev == os.stat(target.parent).st_dev:  # noqa: PTH116
        effects.link(source, target)
    else:
        effects.copy(source, target)
