"""The pool: each content once over all sources, named by its sha256. Content gets in only after it was verified."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import threading
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.mirror import fileref, volume

_NO_LINK = {errno.EMLINK, errno.ENOSPC, errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.EOPNOTSUPP}
_MODE = 0o644
_numbers = itertools.count()


class Pool:
    """The pool of one volume, used by several threads of one sync."""

    def __init__(self, files: host_files.Files, place: volume.Volume, *, is_doubted: bool = False) -> None:
        self._is_doubted = is_doubted  # content is believed only after its digest was looked at
        self._files = files
        self._volume = place
        self._directories: dict[tuple[str, str], Path] = {}
        self._lock = threading.Lock()

    def path(self, sha256: str) -> Path:
        """Where content lies, or would."""
        return self._volume.pool_path("sha256", sha256)

    def find(self, checksum: fileref.Checksum, size: int = -1) -> str | None:
        """The sha256 of content that is here; None when it is not. Other digests are links that name the sha256.

        Content of another ``size`` than expected (-1: any) is not here.
        """
        sha256: str | None = checksum.value
        if checksum.algorithm != "sha256":
            try:
                sha256 = self._volume.pool_path(checksum.algorithm, checksum.value).readlink().name
            except OSError:
                return None
        assert sha256 is not None  # noqa: S101 - for the type checker
        try:
            status = os.lstat(self._volume.pool_name("sha256", sha256))
        except OSError:
            return None
        found = status.st_size
        is_whole = (
            stat.S_ISREG(status.st_mode)
            and size in (-1, found)
            and not (self._is_doubted and fileref.digest_of(self.path(sha256)) != sha256)
        )
        return sha256 if is_whole else None

    def admit(self, part: Path, sha256: str, checksum: fileref.Checksum) -> None:
        """Take a verified file in; ``part`` is gone afterwards. Time and mode are set before it is visible."""
        target = self._directory("sha256", sha256) / sha256
        found = part.stat()
        if stat.S_IMODE(found.st_mode) != _MODE:
            self._files.set_mode(part, _MODE)
        self._files.set_mtime(part, fileref.package_mtime(sha256))
        # Another source may have brought it meanwhile; its name keeps its inode.
        if not self._is_doubted and _has_size(target, found.st_size):
            self._files.remove(part)
        else:
            self._files.rename(part, target)
        if checksum.algorithm != "sha256":
            alias = self._directory(checksum.algorithm, checksum.value) / checksum.value
            self._files.replace_symlink(alias, f"../../sha256/{sha256[:2]}/{sha256}")

    def place(self, sha256: str, target: Path) -> bool:
        """Give content a name in a tree; False when the name is taken. Where links run out, it becomes a copy."""
        return link_or_copy(self._files, self.path(sha256), target, mtime=fileref.package_mtime(sha256))

    def _directory(self, algorithm: str, digest: str) -> Path:
        """Where the digest's name belongs, made when it is the first there."""
        key = algorithm, digest[:2]
        with self._lock:
            found = self._directories.get(key)
            if found is None:
                found = self._volume.pool_path(algorithm, digest).parent
                self._volume.make_directory(found)
                self._directories[key] = found
            return found


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def link_or_copy(files: host_files.Files, source: Path, target: Path, *, mtime: int) -> bool:
    """link(2), or a copy where the file system allows no more links (GlusterFS says ENOSPC then); False when taken."""
    try:
        return files.link(source, target)
    except OSError as exc:
        if exc.errno not in _NO_LINK:
            raise
    if target.exists():
        return False
    temporary = target.with_name(f".{target.name[:200]}.{os.getpid()}.{next(_numbers)}")
    try:
        files.copy(source, temporary)
        files.set_mtime(temporary, mtime)
        files.rename(temporary, target)
    except BaseException:
        files.remove(temporary)
        raise
    return True
