# ruff: noqa: D102 - each method is the real one of the same name, and an effect
"""A file system on which the process dies at a chosen effect: that is how interrupt-anywhere tests reach each point."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import BinaryIO, cast

from stationmaster.host import files

_numbers = itertools.count()


class CrashError(BaseException):
    """The process is gone; nothing catches it, and nothing that runs afterwards has any effect."""


class CrashingFiles(files.Files):
    """Lets ``effects`` effects happen, then dies; a write at which it dies leaves half of its bytes.

    With ``effects`` None it never dies, and ``count`` tells how many effects there were.
    """

    def __init__(self, effects: int | None = None) -> None:
        self._left = effects
        self.count = 0

    def spend(self) -> None:
        """One effect, or the end."""
        self.count += 1
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise CrashError

    def write_atomic(self, path: Path, content: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
        self.spend()
        super().write_atomic(path, content, mode=mode, durable=False)
        del durable

    def create_exclusive(self, path: Path, content: bytes, *, mode: int = 0o644) -> bool:
        """Without waiting for the disk: no test here cuts the power."""
        self.spend()
        del mode
        temporary = path.with_name(f".{path.name}.{next(_numbers)}")
        temporary.write_bytes(content)
        try:
            return super().link(temporary, path)
        finally:
            temporary.unlink()

    def sync_directory(self, path: Path) -> None:
        """Not an effect that a killed process could miss."""

    def sync_file(self, stream: BinaryIO) -> None:
        """Not an effect that a killed process could miss."""

    def begin_flush(self, stream: BinaryIO) -> None:
        """Not an effect that a killed process could miss."""

    def sync_file_system(self, path: Path) -> None:
        """Not an effect that a killed process could miss."""

    def link(self, source: Path, target: Path) -> bool:
        self.spend()
        return super().link(source, target)

    def rename(self, source: Path, target: Path) -> None:
        self.spend()
        super().rename(source, target)

    def replace_symlink(self, link: Path, target: str) -> None:
        self.spend()
        super().replace_symlink(link, target)

    def make_symlink_exclusive(self, link: Path, target: str) -> bool:
        self.spend()
        return super().make_symlink_exclusive(link, target)

    def make_directory(self, path: Path, *, mode: int = 0o755) -> None:
        self.spend()
        super().make_directory(path, mode=mode)

    def make_directory_exclusive(self, path: Path, *, mode: int = 0o755) -> bool:
        self.spend()
        return super().make_directory_exclusive(path, mode=mode)

    def remove_directory(self, path: Path) -> None:
        self.spend()
        super().remove_directory(path)

    def truncate(self, path: Path) -> None:
        self.spend()
        super().truncate(path)

    def remove(self, path: Path) -> None:
        self.spend()
        super().remove(path)

    def remove_tree(self, path: Path) -> None:
        self.spend()
        super().remove_tree(path)

    def set_mtime(self, path: Path, seconds: int) -> None:
        self.spend()
        super().set_mtime(path, seconds)

    def set_mode(self, path: Path, mode: int) -> None:
        self.spend()
        super().set_mode(path, mode)

    def copy(self, source: Path, target: Path) -> None:
        self.spend()
        super().copy(source, target)

    def open_append(self, path: Path) -> BinaryIO:
        self.spend()
        return cast("BinaryIO", _CrashingStream(super().open_append(path), self))


class _CrashingStream(io.RawIOBase):
    def __init__(self, stream: BinaryIO, owner: CrashingFiles) -> None:
        super().__init__()
        self._stream = stream
        self._owner = owner

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        try:
            self._owner.spend()
        except CrashError:
            self._stream.write(content[: len(content) // 2])
            raise
        return self._stream.write(content)

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        self._stream.close()
        super().close()
