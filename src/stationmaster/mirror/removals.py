"""What a removal still has to take away once its generation is gone: written down first, so that the next one ends it.

``.stationmaster/removals/<source>/<generation>`` lists the package paths that only this generation named. The
generation goes before them (I4), and with it the knowledge of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from stationmaster.host import files as host_files
from stationmaster.mirror import volume


class Removals:
    """The unfinished removals of one source; the caller holds the cleaner's lock."""

    def __init__(self, files: host_files.Files, place: volume.Volume, source: str) -> None:
        self._files = files
        self._volume = place
        self._home = place.control / "removals" / source

    def begin(self, generation: str, paths: list[str]) -> None:
        """Before the generation goes."""
        self._volume.make_directory(self._home)
        self._files.write_atomic(self._home / generation, msgspec.json.encode(paths))

    def end(self, generation: str) -> None:
        """Nothing is left of it, nor of lists whose writing was cut short."""
        self._files.remove(self._home / generation)
        for path in _entries(self._home):
            if path.name.startswith("."):
                self._files.remove(path)

    def unfinished(self) -> dict[str, set[str]]:
        """The paths by generation; what cannot be read lists none, and its links stay until the source is replaced."""
        return {path.name: _read(path) for path in _entries(self._home) if not path.name.startswith(".")}


def _entries(home: Path) -> Iterable[Path]:
    try:
        return sorted(home.iterdir())
    except FileNotFoundError:
        return ()


def _read(path: Path) -> set[str]:
    try:
        return set(msgspec.json.decode(path.read_bytes(), type=list[str]))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return set()
