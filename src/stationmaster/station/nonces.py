"""How stations recognise each other on a volume (ha-protocol R10): by what each leaves there, a fresh one now and then.

    .stationmaster/stations/<station>/<number>-<nonce>    an empty file; the highest number counts

Leaving it is also the proof that the volume can be written; between two of them the last one is touched. A name is
never used twice, and nothing is replaced: GlusterFS whose bricks are full at different moments keeps what each brick
took, and merges directories by itself as long as no name has two contents. One that has stays in split brain, and its
whole directory with it, until a person decides. For the same reason nothing is tried on a volume that is nearly full,
nor in the first seconds after: each brick looks for itself, every five seconds, whether it has room again (ADR 18).
"""

from __future__ import annotations

import contextlib
import errno
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from stationmaster.host import clock as clocks
from stationmaster.mirror import volume
from stationmaster.model import protocol
from stationmaster.station import snapshot as snapshots

NONCE_SECONDS = 30.0
FLOOR_BYTES = 8 << 20
SETTLE_SECONDS = 10.0
_NONCE_LENGTH = 64
_HOMES = 3  # directories that a station may use; the next one when a former is damaged
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = _FULL | {errno.EROFS, errno.EACCES, errno.EPERM}  # another name would be refused as well


class Nonce:
    """What this station leaves on its volume; ``written`` is what the hub is told of it."""

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._made_at = float("-inf")
        self._full_until = float("-inf")
        self._path: Path | None = None
        self._number = 0
        self.written = ""

    def leave(self, found: volume.Volume, station_id: str, available_bytes: int) -> protocol.Problem | None:
        """Leave one, or touch the last; what comes of that says whether the volume can be written."""
        now = self._clock.monotonic()
        if available_bytes < FLOOR_BYTES:
            self._full_until = now + SETTLE_SECONDS
        if now < self._full_until:
            return _full(found, is_still=available_bytes < FLOOR_BYTES)
        try:
            if now - self._made_at >= NONCE_SECONDS or not self._is_touched(found):
                self._make(found, station_id)
                self._made_at = now
        except OSError as exc:
            if exc.errno in _FULL:
                self._full_until = now + SETTLE_SECONDS
            return _refused(found, exc)
        return None

    def _is_touched(self, found: volume.Volume) -> bool:
        """False when it went, or lies where nothing can be done any more: another one is needed."""
        if self._path is None or not self._path.is_relative_to(directory(found)):
            return False
        try:
            found.files.set_mtime(self._path, int(self._clock.now().timestamp()))
        except OSError as exc:
            if exc.errno in _REFUSED:
                raise
            return False
        return True

    def _make(self, found: volume.Volume, station_id: str) -> None:
        homes = [directory(found) / (f"{station_id}~{one}" if one else station_id) for one in range(_HOMES)]
        left = [path for home in homes for path in _entries(home)]
        self._number = max([self._number, *(_number(path.name) for path in left)]) + 1
        nonce = secrets.token_hex(16)
        for home in homes:
            path = home / f"{self._number}-{nonce}"
            try:
                found.make_directory(home)
                with found.files.open_append(path):
                    pass
            except OSError as exc:
                if exc.errno in _REFUSED or home == homes[-1]:
                    raise
                continue
            break
        self._path, self.written = path, nonce
        for former in left:
            with contextlib.suppress(OSError):
                found.files.remove(former)


def read_nonces(found: volume.Volume) -> Mapping[str, str]:
    """What is read here of each station (R10); what cannot be read proves nothing, and hides no other."""
    newest: dict[str, tuple[int, str]] = {}
    for home in _entries(directory(found)):
        station = home.name.partition("~")[0]
        for path in _entries(home):
            read = _number(path.name), path.name.partition("-")[2][:_NONCE_LENGTH]
            if read[0] and read > newest.get(station, (0, "")):
                newest[station] = read
    return snapshots.frozen_map({station: nonce for station, (_, nonce) in newest.items()})


def directory(found: volume.Volume) -> Path:
    """Where each station has a directory of its own."""
    return found.control / "stations"


def _entries(home: Path) -> Iterator[Path]:
    try:
        return iter(sorted(home.iterdir()))
    except OSError:
        return iter(())


def _number(name: str) -> int:
    """The number that a name begins with; 0 when it is not one of ours."""
    number, dash, _ = name.partition("-")
    return int(number) if dash and number.isdecimal() else 0


def _full(found: volume.Volume, *, is_still: bool) -> protocol.Problem:
    why = (
        f"has less than {FLOOR_BYTES >> 20} MiB left and counts as full"
        if is_still
        else f"was full until lately: nothing is written to it before it has had room for {SETTLE_SECONDS:.0f} s"
    )
    message = f"The mirror volume {found.root} {why}. It goes on serving what it holds."
    return protocol.Problem(code="VolumeFull", message=message)


def _refused(found: volume.Volume, refused: OSError) -> protocol.Problem:
    code = "VolumeFull" if refused.errno in _FULL else "VolumeNotWritable"
    if refused.errno == errno.EROFS:
        code = "VolumeReadOnly"
    message = f"The mirror volume {found.root} cannot be written: {refused.strerror}. It goes on serving what it holds."
    return protocol.Problem(code=code, message=message)
