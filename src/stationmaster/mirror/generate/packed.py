"""Compressed files whose bytes depend on their content alone: no name, no time, one level. Digested while written."""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from pathlib import Path
from typing import BinaryIO, Self

from stationmaster.host import files as host_files

_BUFFER = 1 << 18
_LEVEL = 6
_GZIP = 31  # zlib's word for a gzip header, which it writes without name and time


@dataclasses.dataclass(frozen=True)
class Written:
    """A file that was written: digests and sizes, as they are packed and open."""

    sha256: str
    size: int
    open_sha256: str
    open_size: int


class GzipWriter:
    """Writes a new file; a context manager. ``written`` holds after its end. A publish flushes it to the disk."""

    def __init__(self, files: host_files.Files, path: Path) -> None:
        self._files = files
        self._path = path
        self._stream: BinaryIO | None = None
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._digest, self._open_digest = hashlib.sha256(), hashlib.sha256()
        self._size = self._open_size = 0
        self._buffer = bytearray()
        self.count = 0

    def __enter__(self) -> Self:
        self._files.truncate(self._path)
        self._stream = self._files.open_append(self._path)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._stream is not None:
            if kind is None:
                self._put(self._compressor.flush(), is_last=True)
            self._stream.close()

    @property
    def written(self) -> Written:
        """What the file is."""
        return Written(self._digest.hexdigest(), self._size, self._open_digest.hexdigest(), self._open_size)

    def add(self, content: bytes) -> None:
        """More of the open content; ``count`` says how often this was called."""
        self.count += 1
        self._open_digest.update(content)
        self._open_size += len(content)
        self._put(self._compressor.compress(content))

    def _put(self, packed: bytes, *, is_last: bool = False) -> None:
        self._buffer += packed
        if self._stream is not None and (is_last or len(self._buffer) > _BUFFER):
            self._digest.update(self._buffer)
            self._size += len(self._buffer)
            self._stream.write(bytes(self._buffer))
            self._buffer.clear()
