"""Who may remove from a volume: fenced by what the file system itself refuses, never by a check before an act (R1).

A remover owns ``.stationmaster/writers/<token>/``, made once by mkdir(2). Each removal is one rename into its trash,
and only there content is deleted. Whoever must be sure that nobody removes any more closes every open token: puts back
what lies in its trash, removes the directory, again until it is gone, and leaves a file of that name, so that it is
never made again. A remover that was paused meanwhile finds no directory to rename into: it has lost, and removes
nothing. Anybody may close, at any time: closing takes nothing away, and costs a remover another token.

Closed are all tokens: by a new remover, all that are lower; before a generation is believed to be there, all. A
generation that is held by then is seen by whoever begins to remove later.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib import parse

from stationmaster.host import files as host_files
from stationmaster.mirror import failures
from stationmaster.mirror import volume as volumes

REMOVED = "manifest.removed"  # a directory with it is what a removal left, not a generation
_MANIFEST = "manifest.jsonl"
_TOMBSTONE = b"closed\n"
_NAME_LENGTH = 200
_ROUNDS = 1000
# ENOTDIR: the file that closes a token stands where its directory was.
_LOST = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EEXIST, errno.ENOTEMPTY})


class Writer:
    """The right to remove under one token. ``may_go_on`` is asked before each removal: the lease's clock."""

    def __init__(
        self,
        files: host_files.Files,
        place: volumes.Volume,
        token: int,
        *,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._files = files
        self._volume = place
        self._may_go_on = may_go_on
        self.token = token
        self._trash = directory(place) / str(token) / "trash"

    def begin(self) -> None:
        """Make the directory and close all lower tokens. LeaseLostError when the token was used, or a higher one is."""
        self._require_allowed()
        self._volume.make_directory(directory(self._volume))
        with self._losing():
            if not self._files.make_directory_exclusive(self._trash.parent):
                raise self._lost("it was used before")
            self._files.make_directory_exclusive(self._trash)
        for token in open_tokens(self._volume):
            if token < self.token:
                close(self._files, self._volume, token)
        if highest_token(self._volume) > self.token:
            raise self._lost("a higher one is there")

    def remove(self, path: Path) -> None:
        """Take away one file, link or directory of the volume; one that is not there is fine."""
        self._require_allowed()
        with self._losing():
            target = self._target(path)
            try:
                self._files.rename(path, target)
            except FileNotFoundError:
                if not self._trash.is_dir():
                    raise
                return
            self._destroy(target)

    def end(self) -> None:
        """Leave the token closed."""
        close(self._files, self._volume, self.token)

    def _destroy(self, target: Path) -> None:
        """What is put back in the middle of this must not look like a generation, but like what a removal left."""
        if target.is_symlink() or not target.is_dir():
            self._files.remove(target)
            return
        for pattern in (_MANIFEST, f"*/{_MANIFEST}", f"*/*/{_MANIFEST}"):
            for manifest in sorted(target.glob(pattern)):
                self._files.rename(manifest, manifest.with_name(REMOVED))
                for other in sorted(manifest.parent.iterdir()):
                    if other.name != REMOVED:  # it says what the rest is: last
                        self._files.remove_tree(other)
        self._files.remove_tree(target)

    def _target(self, path: Path) -> Path:
        """The place in the trash that says where it came from; long names become directories that end in a plus."""
        name = parse.quote(str(path.relative_to(self._volume.root)), safe="")
        target = self._trash
        while len(name) > _NAME_LENGTH:
            target = target / (name[:_NAME_LENGTH] + "+")
            self._files.make_directory_exclusive(target)
            name = name[_NAME_LENGTH:]
        return target / name

    def _require_allowed(self) -> None:
        if not self._may_go_on():
            raise self._lost("its time is over")
        self._volume.require()

    @contextlib.contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            if exc.errno in _LOST:
                raise self._lost("another writer closed it") from exc
            raise

    def _lost(self, why: str) -> failures.LeaseLostError:
        return failures.LeaseLostError(
            f"Nothing more is removed from {self._volume.root} under token {self.token}: {why}.",
            hint="It goes on by itself under a later token.",
        )


def new_writer(files: host_files.Files, place: volumes.Volume) -> Writer:
    """For the engine alone: a writer that has begun, under the first token that was free."""
    for _ in range(_ROUNDS):
        writer = Writer(files, place, highest_token(place) + 1)
        try:
            writer.begin()
        except failures.LeaseLostError:
            continue
        return writer
    raise failures.LeaseLostError(f"Others clean {place.root} all the time.", hint="Run again later.")


def close_all(files: host_files.Files, place: volumes.Volume) -> None:
    """From now on nothing is removed that was decided on before now; what is in the middle of it is put back."""
    for token in open_tokens(place):
        close(files, place, token)


def close(files: host_files.Files, place: volumes.Volume, token: int) -> None:
    """Close one token; safe to do by several at once, and to do again."""
    home = directory(place) / str(token)
    for _ in range(_ROUNDS):
        if home.is_dir():
            _empty(files, place, home / "trash", "")
            if not (_has_gone(files, home / "trash") and _has_gone(files, home)):
                continue
        if files.create_exclusive(home, _TOMBSTONE) or home.is_file():
            return
    raise failures.LeaseLostError(
        f"The token {token} of {place.root} cannot be closed: its owner goes on adding to it.", hint="Stop its owner."
    )


def directory(place: volumes.Volume) -> Path:
    """Where tokens lie."""
    return place.control / "writers"


def open_tokens(place: volumes.Volume) -> list[int]:
    """Tokens that may still be removed under, lowest first."""
    home = directory(place)
    return [token for token in _tokens(place) if (home / str(token)).is_dir()]


def highest_token(place: volumes.Volume) -> int:
    """The highest token that was ever used here; 0 when none was."""
    return max(_tokens(place), default=0)


def needed_token(place: volumes.Volume) -> int:
    """What to tell who hands out tokens (R8): a closed one is used up, so the next is counted as used as well."""
    highest = highest_token(place)
    return highest + 1 if highest and (directory(place) / str(highest)).is_file() else highest


def _tokens(place: volumes.Volume) -> list[int]:
    try:
        return sorted(int(entry.name) for entry in directory(place).iterdir() if entry.name.isdecimal())
    except FileNotFoundError:
        return []


def _empty(files: host_files.Files, place: volumes.Volume, trash: Path, begun: str) -> None:
    try:
        entries = sorted(trash.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.endswith("+") and entry.is_dir():
            _empty(files, place, entry, begun + entry.name[:-1])
            _has_gone(files, entry)
        else:
            _put_back(files, entry, place.root / parse.unquote(begun + entry.name))


def _put_back(files: host_files.Files, entry: Path, target: Path) -> None:
    """Where something has the name already it came later, and stays; what lies in the trash goes."""
    try:
        files.make_directory(target.parent)
        if entry.is_symlink() or entry.is_dir():
            if target.is_symlink() or target.exists():
                files.remove_tree(entry)
            else:
                files.rename(entry, target)
            return
        _link(files, entry, target)
        files.remove(entry)
    except FileNotFoundError:
        return  # its owner, or another that closes, was faster
    except OSError as exc:
        if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ESTALE):
            raise


def _link(files: host_files.Files, entry: Path, target: Path) -> None:
    """link(2) takes no name from anybody; where links run out, a rename, after a look."""
    try:
        files.link(entry, target)
    except FileNotFoundError:
        raise
    except OSError:
        if not target.exists():
            files.rename(entry, target)


def _has_gone(files: host_files.Files, path: Path) -> bool:
    try:
        files.remove_directory(path)
    except FileNotFoundError:
        return True
    except OSError as exc:
        if exc.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ESTALE):
            return False
        if exc.errno == errno.ENOTDIR:
            return True
        raise
    return True
