"""Files: every write the rest of the code makes goes through one ``Files`` object.

Twins that crash after the n-th effect, or run out of space, subclass it; that is how the interrupt-anywhere tests reach
each point of a publish.
"""

from __future__ import annotations

import dataclasses
import errno
import io
import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO

from stationmaster.model import errors

if TYPE_CHECKING:
    import tempfile

_COPY_BLOCK = 1 << 20
_MOST_LINKS = 40  # as Linux has it


@dataclasses.dataclass(frozen=True)
class Space:
    """Room on the file system that holds a path, in bytes; ``available_bytes`` is what an ordinary user may take."""

    total_bytes: int
    available_bytes: int


class Files:
    """The real file system. Methods that change something are single effects: each either happened or did not."""

    def write_atomic(self, path: Path, content: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
        """Replace ``path`` by ``content``: readers see the old or the new bytes, also after a power cut."""
        import tempfile  # here and below: with what they load, these take a third of a no-op's time

        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fchmod(stream.fileno(), mode)
                if durable:
                    os.fsync(stream.fileno())
            os.replace(name, path)
        except BaseException:
            self.remove(Path(name))
            raise
        if durable:
            self.sync_directory(path.parent)

    def create_exclusive(self, path: Path, content: bytes, *, mode: int = 0o644) -> bool:
        """Make ``path`` with ``content`` by link(2); False when somebody was there first (ha-protocol R1)."""
        import tempfile

        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fchmod(stream.fileno(), mode)
                os.fsync(stream.fileno())
            return self.link(Path(name), path)
        finally:
            self.remove(Path(name))

    def link(self, source: Path, target: Path) -> bool:
        """Hard link; False when ``target`` exists already."""
        try:
            os.link(source, target)
        except FileExistsError:
            return False
        return True

    def rename(self, source: Path, target: Path) -> None:
        """Replace ``target`` in one step (rename, not copy)."""
        os.replace(source, target)

    def replace_symlink(self, link: Path, target: str) -> None:
        """Point ``link`` at ``target`` in one rename; a reader sees the former or the new target, never none."""
        temporary = link.with_name(f".{link.name[:50]}.{os.getpid()}.{id(target):x}")
        self.remove(temporary)
        os.symlink(target, temporary)
        os.replace(temporary, link)

    def make_symlink_exclusive(self, link: Path, target: str) -> bool:
        """symlink(2); False when the name is taken."""
        try:
            link.symlink_to(target)
        except FileExistsError:
            return False
        return True

    def make_directory(self, path: Path, *, mode: int = 0o755) -> None:
        """Make ``path`` and its parents; existing ones are left as they are."""
        path.mkdir(mode=mode, parents=True, exist_ok=True)

    def make_directory_exclusive(self, path: Path, *, mode: int = 0o755) -> bool:
        """mkdir(2); False when somebody was there first."""
        try:
            path.mkdir(mode=mode)
        except FileExistsError:
            return False
        return True

    def open_append(self, path: Path) -> BinaryIO:
        """Open for adding at the end: a download that resumes. A link in its place is an error, never followed."""
        # By its descriptor, which spares each download three system calls of open().
        return io.FileIO(_no_link(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "wb")

    def truncate(self, path: Path) -> None:
        """Throw away the bytes of a download that cannot be resumed."""
        with open(path, "wb", opener=_no_link):
            pass

    def sync_file(self, stream: BinaryIO) -> None:
        """Make the bytes written so far survive a power cut."""
        os.fsync(stream.fileno())

    def begin_flush(self, stream: BinaryIO) -> None:
        """Have the disk begin to write, without waiting: the flush at the end then finds little left to do."""
        from stationmaster.host import flushing

        flushing.begin_flush(stream.fileno())

    def sync_directory(self, path: Path) -> None:
        """Make the names in ``path`` survive a power cut."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as exc:
            if exc.errno not in (errno.EINVAL, errno.ENOTSUP):  # some FUSE file systems cannot sync a directory
                raise
        finally:
            os.close(descriptor)

    def sync_file_system(self, path: Path) -> None:
        """Make everything written so far to the file system that holds ``path`` survive a power cut (syncfs(2))."""
        from stationmaster.host import flushing

        flushing.flush_file_system(path)

    def remove(self, path: Path) -> None:
        """Remove a file or link; one that is not there is fine."""
        path.unlink(missing_ok=True)

    def remove_tree(self, path: Path) -> None:
        """Remove a directory and all below it; one that is not there is fine. Never follows links."""
        import shutil

        shutil.rmtree(
            path, ignore_errors=False, onerror=None
        ) if path.is_dir() and not path.is_symlink() else self.remove(path)

    def remove_directory(self, path: Path) -> None:
        """rmdir(2): an empty directory; OSError when it is not there, or not empty."""
        path.rmdir()

    def set_mtime(self, path: Path, seconds: int) -> None:
        """Equal times on all volumes, since nginx makes the ETag from time and size (engines.md, nginx)."""
        os.utime(path, (seconds, seconds))

    def set_mode(self, path: Path, mode: int) -> None:
        """chmod(2)."""
        path.chmod(mode)

    def set_owner(self, path: Path, user: str, group: str) -> None:
        """chown(2) by name."""
        import shutil

        shutil.chown(path, user, group)

    def space(self, path: Path) -> Space:
        """Room where ``path`` lies."""
        status = os.statvfs(path)
        return Space(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)

    def copy(self, source: Path, target: Path) -> None:
        """Copy bytes and mode; a link in the target's place is an error, never followed."""
        import shutil

        with source.open("rb") as origin, open(target, "wb", opener=_no_link) as stream:
            shutil.copyfileobj(origin, stream, _COPY_BLOCK)
            os.fchmod(stream.fileno(), os.fstat(origin.fileno()).st_mode & 0o7777)

    def temporary_directory(self, *, prefix: str) -> tempfile.TemporaryDirectory[str]:
        """A private directory that goes when its context ends."""
        import tempfile

        return tempfile.TemporaryDirectory(prefix=prefix)


def _no_link(path: Path | str, flags: int) -> int:
    """An opener that refuses a link as the last part: who may write to a directory could lead us elsewhere with it."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def resolve_below(root: Path, path: PurePath) -> Path:
    """Where ``path`` leads for a process whose root is ``root``: links are followed, but never out of it.

    OSError when links go round in a circle. Parts that do not exist stay as they are.
    """
    if root == Path("/"):
        return Path(path)
    pending = [part for part in reversed(path.parts) if part != "/"]
    found: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            del found[-1:]
            continue
        here = root.joinpath(*found, part)
        if not here.is_symlink():
            found.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(here))
        target = here.readlink()
        if target.is_absolute():
            found.clear()
        pending.extend(one for one in reversed(target.parts) if one != "/")
    return root.joinpath(*found)


def read_text_or_none(path: Path) -> str | None:
    """The text of ``path``, or None when there is no such file."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def read_required(path: Path, *, what: str, hint: str) -> bytes:
    """The bytes of ``path``; a HostError naming ``what`` and the path when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise errors.HostError(f"Cannot read {what} {path}: {exc.strerror}.", hint=hint) from exc
