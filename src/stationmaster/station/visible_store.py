"""Where signed records lie on a volume, and how they get there so that no late writer puts an older one in force (R1).

    .stationmaster/groups/<group>/<counter>-<digest>.json    one record, named by what it says: equal names, equal bytes
    .stationmaster/groups/<group>/visible.json               a link to the newest, for people; no station reads it

The highest counter that is signed holds. A writer that wakes late adds a lower one, or points the link back until the
next look of any station; neither is read. Lower ones are taken away only where a higher, signed one lies, so that
whoever does that late does no harm either. Reading may hang: it is part of the look at the volume.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.mirror import volume as volumes
from stationmaster.model import protocol
from stationmaster.model import visible_record as records
from stationmaster.station import snapshot as snapshots
from stationmaster.station import visible_record

POINTER = "visible.json"
_NAME = re.compile(r"(\d{1,13})-([0-9a-f]{32})\.json")
_MOST_TRIED = 8
_MOST_GROUPS = 256
_MOST_BYTES = 64 << 20
_KEPT = 2


class Store:
    """Reads and writes records on one volume. What was checked once is not checked again while its bytes stay."""

    def __init__(self, reader: visible_record.Reader, station_id: str) -> None:
        self._reader = reader
        self._station_id = station_id
        self._checked: dict[Path, tuple[tuple[int, ...], snapshots.RecordView | str]] = {}

    def look(self, found: volumes.Volume, group_id: str | None) -> snapshots.RecordView | None:
        """The record that holds: of the group, or of any that names this station where this one does not."""
        if not self._reader.can_read:
            return None
        home = found.control / "groups"
        own = self._best_of(home / group_id) if group_id else None
        if own is not None and own.record.names(self._station_id):
            return own
        groups = sorted(_names_in(home))[:_MOST_GROUPS]
        best = [view for group in groups if (view := self._best_of(home / group)) is not None]
        newest = records.newest([view.record for view in best if view.record.names(self._station_id)])
        return next((view for view in best if view.record is newest), None)

    def problem(self, found: volumes.Volume, group_id: str | None) -> protocol.Problem | None:
        """What was refused at the last look, with the file and the reason."""
        home = found.control / "groups"
        refused = [
            f"{path}: {told}"
            for path, (_, told) in sorted(self._checked.items())
            if isinstance(told, str) and path.is_relative_to(home / group_id if group_id else home)
        ]
        if not refused:
            return None
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        message = (
            f"A visible record on the volume is refused: {refused[0]}{more}. The newest one that the hub signed stays "
            "in force. Find out who writes there, and remove the file."
        )
        return protocol.Problem(code=visible_record.RecordRefusedError.code, message=message)

    def write(self, files: host_files.Files, found: volumes.Volume, view: snapshots.RecordView) -> None:
        """Put a record there and take older ones away; safe to repeat, and to do late."""
        directory = found.control / "groups" / view.record.group_id
        found.make_directory(directory)
        name = name_of(view)
        files.write_atomic(directory / name, view.content)
        files.replace_symlink(directory / POINTER, name)
        lower = [path for counter, path in _records_in(directory) if counter < view.record.counter]
        for path in lower[_KEPT - 1 :]:
            files.remove(path)

    def _best_of(self, directory: Path) -> snapshots.RecordView | None:
        """The highest one that is signed, and named by what it is."""
        tried = {}
        best = None
        for _, path in list(_records_in(directory))[:_MOST_TRIED]:
            told = self._checked_at(path)
            if told is None:
                continue
            tried[path] = self._checked[path]
            if not isinstance(told, str) and told.record.group_id == directory.name:
                best = told
                break
        self._checked = {path: one for path, one in self._checked.items() if path.parent != directory} | tried
        return best

    def _checked_at(self, path: Path) -> snapshots.RecordView | str | None:
        try:
            found = path.lstat()
        except FileNotFoundError:
            return None
        mark = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        known = self._checked.get(path)
        if known is None or known[0] != mark:
            known = self._checked[path] = mark, self._judged(path, found.st_mode, found.st_size)
        return known[1]

    def _judged(self, path: Path, mode: int, size: int) -> snapshots.RecordView | str:
        if not stat.S_ISREG(mode) or size > _MOST_BYTES:
            return "it is no file, or larger than any record"
        try:
            content = path.read_bytes()
            view = self._reader.read(content)
        except visible_record.RecordRefusedError as exc:
            return exc.message
        except OSError as exc:
            return f"it cannot be read: {exc.strerror}"
        if view.record.group_id != path.parent.name or name_of(view) != path.name:
            return "it is another record than its name says"
        return view


def name_of(view: snapshots.RecordView) -> str:
    """By counter and content, so that a name is never taken by other bytes."""
    return f"{view.record.counter}-{hashlib.sha256(view.content).hexdigest()[:32]}.json"


def is_pointed_at(found: volumes.Volume, view: snapshots.RecordView) -> bool:
    """Whether the link for people leads to this record."""
    try:
        return str((found.control / "groups" / view.record.group_id / POINTER).readlink()) == name_of(view)
    except OSError:
        return False


def _records_in(directory: Path) -> Iterator[tuple[int, Path]]:
    """By counter, the highest first."""
    found = [(int(match[1]), name) for name in _names_in(directory) if (match := _NAME.fullmatch(name))]
    for counter, name in sorted(found, reverse=True):
        yield counter, directory / name


def _names_in(directory: Path) -> list[str]:
    try:
        return [path.name for path in directory.iterdir() if not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
