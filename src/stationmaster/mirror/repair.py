"""Repair of what a check found: each damaged or missing path gets its bytes again, and its place by one rename.

The manifest says which bytes a path has, so nothing else need be trusted: content that is whole in the pool, or where
clients get it, is linked again, all other is fetched: from the addresses that the caller knows, else from the one that
the source was last synced from. What nobody has any more stays a finding; a damaged manifest is none of ours: the next
sync makes that generation anew.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.mirror import (
    catalog,
    failures,
    fetch,
    fileref,
    inspection,
    lock,
    manifest,
    mirrors,
    places,
    pool,
    remembered,
    upstream,
)
from stationmaster.mirror import volume as volumes
from stationmaster.model import errors

_METADATA = fileref.Kind.METADATA.value


@dataclasses.dataclass(frozen=True)
class Repair:
    """What became of a finding; ``problem`` is empty when it is mended."""

    source: str
    generation: str
    path: str
    problem: str = ""

    @property
    def is_mended(self) -> bool:
        """Whether the path has its bytes again."""
        return not self.problem


class Repairer:
    """Repairs findings on one volume."""

    def __init__(
        self,
        files: host_files.Files,
        place: volumes.Volume,
        fetcher: fetch.Fetcher,
        *,
        addresses: Callable[[str, str], Sequence[str]] | None = None,
        watch: lock.Watch | None = None,
    ) -> None:
        """``addresses``: by source and generation. Without a ``watch`` another host's lock is believed for ever."""
        self._addresses = addresses or (lambda source, _: remembered.addresses_of(place, source))
        self._watch = watch
        self._files = files
        self._volume = place
        self._fetcher = fetcher

    def repair(self, findings: Sequence[inspection.Finding]) -> list[Repair]:
        """Mend what can be mended; the source's lock is held meanwhile."""
        self._volume.require()
        done: list[Repair] = []
        by_source = itertools.groupby(sorted(findings, key=lambda one: one.source), key=lambda one: one.source)
        for source, group in by_source:
            with lock.SourceLock(self._files, self._volume.control, source, watch=self._watch):
                lock.require_no_cleaning(self._volume.control, self._watch)
                done += self._source(source, list(group))
        self._files.sync_file_system(self._volume.root)
        return done

    def _source(self, source: str, findings: list[inspection.Finding]) -> Iterator[Repair]:
        for generation in sorted({one.generation for one in findings}):
            paths = {one.path for one in findings if one.generation == generation}
            header = catalog.find_header(self._volume, source, generation)
            try:
                entries = [] if header is None else self._entries(source, generation, paths)
            except failures.ManifestDamagedError:
                entries = []
            where = places.places_of(self._volume, source, generation)
            for entry in entries:
                assert header is not None  # noqa: S101 - for the type checker
                yield Repair(source, generation, entry.p, self._mend(header, entry, where.of(entry)))
            for path in sorted(paths - {entry.p for entry in entries}):
                yield Repair(source, generation, path, "the next sync makes this generation anew")

    def _entries(self, source: str, generation: str, paths: set[str]) -> list[manifest.Entry]:
        entries = manifest.read_entries(self._volume.manifest(source, generation))
        return [entry for entry in entries if entry.p in paths]

    def _mend(self, header: manifest.Header, entry: manifest.Entry, target: Path | None) -> str:
        """Give the path its bytes; returns what stood in the way."""
        try:
            if entry.k == _METADATA:
                part = self._fetched(header, entry)
                self._files.set_mtime(part, header.timestamp)
                self._into(part, self._volume.tree(header.source, header.generation) / entry.p)
            else:
                self._mend_content(header, entry, target)
        except errors.StationmasterError as exc:
            return exc.message
        return ""

    def _mend_content(self, header: manifest.Header, entry: manifest.Entry, target: Path | None) -> None:
        """The pool first; what is whole at the one of both is linked to the other."""
        pooled = self._volume.pool_path("sha256", entry.d)
        is_shown = target is not None and _is_whole(target, entry)
        if not _is_whole(pooled, entry):
            if target is not None and is_shown:
                self._link(header, entry, target, pooled)
            else:
                part = self._fetched(header, entry)
                self._files.set_mtime(part, fileref.package_mtime(entry.d))
                self._into(part, pooled)
        if target is not None and not is_shown:
            self._link(header, entry, pooled, target)

    def _link(self, header: manifest.Header, entry: manifest.Entry, origin: Path, target: Path) -> None:
        temporary = self._part(header.source, entry)
        self._files.remove(temporary)
        pool.link_or_copy(self._files, origin, temporary, mtime=fileref.package_mtime(entry.d))
        self._into(temporary, target)

    def _fetched(self, header: manifest.Header, entry: manifest.Entry) -> Path:
        addresses = self._addresses(header.source, header.generation)
        if not addresses:
            raise failures.UnavailableError(f"It is not known where {header.source} is to be had.", status=None)
        part = self._part(header.source, entry)
        self._files.remove(part)
        ref = fileref.FileRef(entry.p, entry.s, fileref.Checksum("sha256", entry.d), fileref.Kind(entry.k))
        path = fileref.quoted_path(entry.p)

        def ask(base: str, is_hurried: bool) -> str:  # noqa: FBT001 - the shape that ``first`` wants
            return self._fetcher.fetch_file((upstream.join_address(base, path),), ref, part, is_hurried=is_hurried)

        mirrors.Mirrors(addresses).first(ask)
        self._files.set_mode(part, 0o644)
        return part

    def _part(self, source: str, entry: manifest.Entry) -> Path:
        directory = self._volume.incoming(source)
        self._volume.make_directory(directory)
        return directory / f"repair-{entry.d}.part"

    def _into(self, part: Path, target: Path) -> None:
        self._volume.make_directory(target.parent)
        self._files.rename(part, target)


def _is_whole(path: Path, entry: manifest.Entry) -> bool:
    try:
        return path.stat().st_size == entry.s and fileref.digest_of(path) == entry.d
    except OSError:
        return False
