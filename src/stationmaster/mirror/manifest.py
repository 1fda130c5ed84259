"""The manifest of a generation: a header line, then one line per path, sorted by path. Read and written as a stream.

Memory stays bounded whatever the repository's size: entries are sorted in runs that are merged from disk.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from stationmaster.host import files as host_files
from stationmaster.mirror import failures, fileref

FORMAT_VERSION = 1
_RUN_LENGTH = 50_000
_MOST_ENTRIES = 2_000_000  # the largest repositories known have 100,000 packages
_BUFFER = 1 << 18


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One path: ``s`` size, ``d`` sha256, ``k`` kind, ``u`` the upstream's own checksum where it is another.

    While a sync collects what it wants, ``d`` may be empty and ``s`` -1: not known before the download; and ``b`` says
    where the file lies when that is not the upstream's own address.
    """

    p: str
    s: int
    d: str
    k: str
    u: str = ""
    b: str = ""


class Header(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The first line. ``unique_packages`` counts contents, ``packages`` paths; ``timestamp`` is the upstream's own.

    ``roots`` are the root documents; ``tops`` the first path components below which metadata lies.
    """

    format_version: int
    source: str
    generation: str
    format: str
    timestamp: int
    roots: tuple[str, ...]
    tops: tuple[str, ...]
    packages: int
    unique_packages: int
    files: int
    bytes: int


_header_decoder = msgspec.json.Decoder(Header)
_entry_decoder = msgspec.json.Decoder(Entry)
_encoder = msgspec.json.Encoder()


def read_header(path: Path) -> Header | None:
    """The header; None when there is no manifest, or a damaged one."""
    try:
        with path.open("rb") as stream:
            return _header_decoder.decode(stream.readline())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def read_entries(path: Path) -> Iterator[Entry]:
    """The entries in order; ManifestDamagedError when the file is damaged."""
    with path.open("rb", buffering=_BUFFER) as stream:
        stream.readline()
        yield from _decoded(stream, path)


def read_plain(path: Path) -> Iterator[Entry]:
    """The entries of a file without header: what a sync wants."""
    with path.open("rb", buffering=_BUFFER) as stream:
        yield from _decoded(stream, path)


class LineWriter:
    """Writes a new file line by line; an unfinished one of a former run is overwritten. A context manager.

    It is not flushed to the disk: a publish flushes all at once.
    """

    def __init__(self, files: host_files.Files, path: Path) -> None:
        self._files = files
        self._path = path
        self._buffer = bytearray()
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._files.truncate(self._path)
        self._stream = self._files.open_append(self._path)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._stream is not None:
            if kind is None:
                self._flush()
            self._stream.close()

    def add(self, line: Entry | Header) -> None:
        """One more line."""
        self._buffer += _encoder.encode(line)
        self._buffer += b"\n"
        if len(self._buffer) > _BUFFER:
            self._flush()

    def _flush(self) -> None:
        if self._stream is not None:
            self._stream.write(bytes(self._buffer))
            self._buffer.clear()


def write_lines(files: host_files.Files, path: Path, header: Header | None, entries: Iterable[Entry]) -> None:
    """Write a whole file."""
    with LineWriter(files, path) as writer:
        if header is not None:
            writer.add(header)
        for entry in entries:
            writer.add(entry)


def sorted_entries(files: host_files.Files, entries: Iterable[Entry], scratch: Path) -> Iterator[Entry]:
    """The entries in path order, each path once; runs beyond the first go to files that begin with ``scratch``.

    One path with two contents is the upstream contradicting itself: MetadataInvalidError.
    """
    runs: list[Path] = []
    run: list[Entry] = []
    for entry in entries:
        run.append(entry)
        if len(runs) * _RUN_LENGTH >= _MOST_ENTRIES:
            raise failures.MetadataTooLargeError(
                f"The metadata names more than {_MOST_ENTRIES} files.",
                hint="It is no honest repository; the last good generation stays.",
            )
        if len(run) == _RUN_LENGTH:
            run.sort(key=_by_path)
            runs.append(scratch.with_name(f"{scratch.name}.{len(runs)}"))
            write_lines(files, runs[-1], None, run)
            run = []
    run.sort(key=_by_path)
    try:
        yield from _consistent(_without_doubles(heapq.merge(*(read_plain(path) for path in runs), run, key=_by_path)))
    finally:
        for path in runs:
            files.remove(path)


def paired(former: Iterable[Entry], present: Iterable[Entry]) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Merge two sorted streams: (former, present) for each path of either; one of the two is None where it lacks."""
    missing = Entry("", 0, "", "")
    left, right = iter(former), iter(present)
    old, new = next(left, missing), next(right, missing)
    while old.p or new.p:
        if old.p and (not new.p or _by_path(old) < _by_path(new)):
            yield old, None
            old = next(left, missing)
        elif new.p and (not old.p or _by_path(new) < _by_path(old)):
            yield None, new
            new = next(right, missing)
        else:
            yield old, new
            old, new = next(left, missing), next(right, missing)


def is_same_content(one: Entry, other: Entry) -> bool:
    """Whether two entries of a path promise the same bytes, by whichever digest both know."""
    if one.d and other.d:
        return one.d == other.d
    return bool(one.u) and one.u == other.u


def checksum_of(entry: Entry) -> fileref.Checksum:
    """The upstream's checksum of an entry."""
    if entry.u:
        algorithm, _, value = entry.u.partition(":")
        return fileref.Checksum(algorithm, value)
    return fileref.Checksum("sha256", entry.d)


def _by_path(entry: Entry) -> str:
    return entry.p


def _without_doubles(entries: Iterable[Entry]) -> Iterator[Entry]:
    last: Entry | None = None
    for entry in entries:
        if last is not None and last.p == entry.p:
            if not is_same_content(last, entry) or (last.s != entry.s and -1 not in (last.s, entry.s)):
                raise failures.MetadataInvalidError(
                    f"The metadata names {entry.p} twice, with different content ({last.d or last.u} and "
                    f"{entry.d or entry.u}).",
                    hint="The last good generation stays. Report it to those who run the upstream.",
                )
            if last.k <= entry.k:  # a package stays one when something else names its path, too
                continue
        elif last is not None:
            yield last
        last = entry
    if last is not None:
        yield last


def _consistent(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries, as long as no path is both a file and a directory.

    Sorted, everything that begins with a path follows it without a gap; so a short chain of prefixes is enough.
    """
    chain: list[str] = []
    for entry in entries:
        while chain and not entry.p.startswith(chain[-1]):
            chain.pop()
        for path in chain:
            if entry.p.startswith(path + "/"):
                raise failures.MetadataInvalidError(
                    f"The metadata names {path} both as a file and as a directory.",
                    hint="The last good generation stays. Report it to those who run the upstream.",
                )
        chain.append(entry.p)
        yield entry


def _decoded(lines: Iterable[bytes], path: Path) -> Iterator[Entry]:
    decode = _entry_decoder.decode
    try:
        for line in lines:
            yield decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise failures.ManifestDamagedError(f"{path} is damaged: {exc}.", hint="Run `mirror verify`.") from exc
