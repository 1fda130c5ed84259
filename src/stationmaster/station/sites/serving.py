"""Being fit to serve, told to nginx in a form that outlives the daemon.

A dead daemon turns a station from ready to last-resort (design 12a): for up to 60 s nginx answers
``/healthz?tier=serving`` with 200 on its own. nginx cannot compare times, but it can name a file by the time: the
daemon writes one file for each coming slot of ten seconds, and nginx looks for the file of the present slot. So nobody
has to take the answer back when the daemon dies.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from stationmaster.host import files as host_files

SLOT_SECONDS = 10
_SLOTS = 6
_BODY = (
    b'{"readiness":"LAST_RESORT","reasons":[{"code":"DaemonSilent","message":'
    b'"The station daemon does not answer; it was fit to serve less than a minute ago."}]}\n'
)


def slot_names(now: datetime.datetime) -> tuple[str, ...]:
    """The files that say "fit to serve" from ``now`` on: the last one ends 50 to 60 s from now."""
    first = int(now.timestamp()) // SLOT_SECONDS
    return tuple(str(first + offset) for offset in range(_SLOTS))


class ServingRecord:
    """The directory ``serving`` of a station. ``renew`` every few seconds while fit to serve, ``withdraw`` when not."""

    def __init__(self, directory: Path, files: host_files.Files) -> None:
        self._directory = directory
        self._files = files

    def renew(self, now: datetime.datetime) -> None:
        """Say that the station is fit to serve now: only files that are missing are written, stale ones removed."""
        wanted = slot_names(now)
        self._files.make_directory(self._directory)
        present = {path.name for path in self._directory.iterdir()}
        for name in wanted:
            if name not in present:
                self._files.write_atomic(self._directory / name, _BODY, durable=False)
        self._remove(present - set(wanted))

    def withdraw(self) -> None:
        """Say that it is not."""
        if self._directory.is_dir():
            self._remove({path.name for path in self._directory.iterdir()})

    def _remove(self, names: set[str]) -> None:
        for name in sorted(names):
            self._files.remove(self._directory / name)
