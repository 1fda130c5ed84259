"""Staging: everything of a generation that the volume lacks, brought there out of sight of clients.

Order: the root is known and verified; its metadata comes into a private tree; the metadata names the content; the
guards and the ledger say whether it may come and fits; the content comes into the pool; the manifest is written.
What a former run left is used.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from stationmaster.host import files as host_files
from stationmaster.mirror import (
    failures,
    fileref,
    guards,
    ledger,
    manifest,
    metadata,
    meter,
    outcome,
    pool,
    tallies,
    transfer,
    unsettled,
    upstream,
    volume,
)

_METADATA = fileref.Kind.METADATA.value


@dataclasses.dataclass(frozen=True)
class Staged:
    """A generation that is whole except for its name among the held ones."""

    directory: Path
    header: manifest.Header


@dataclasses.dataclass(frozen=True)
class Terms:
    """Under which a source is staged. ``is_guarded``: it may not shrink; ``room``: of all syncs of the process."""

    source: str
    policy: outcome.SyncPolicy
    progress: outcome.Listener = outcome.ignore_progress
    is_guarded: bool = True
    room: ledger.Grants = dataclasses.field(default_factory=ledger.Grants)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A generation whose metadata is here, and of whose content it is known what is missing."""

    directory: Path
    root: upstream.Root
    totals: tallies.Totals


class Stager:
    """Stages one generation of one source; made anew for each try."""

    def __init__(
        self,
        files: host_files.Files,
        place: volume.Volume,
        repository: upstream.Upstream,
        reach: upstream.Reach,
        *,
        terms: Terms,
        threads: int,
    ) -> None:
        self._files = files
        self._volume = place
        self._upstream = repository
        self._reach = reach
        self._source = terms.source
        self._policy = terms.policy
        self._progress = terms.progress
        self._is_guarded = terms.is_guarded
        self._room = terms.room
        self._threads = threads
        self._pool = pool.Pool(files, place, is_doubted=unsettled.is_doubtful(place))
        self._lock = threading.Lock()

    def stage(self, root: upstream.Root, former: manifest.Header | None) -> Staged:
        """Bring everything."""
        return self.complete(self.prepare(root, former))

    def prepare(self, root: upstream.Root, former: manifest.Header | None) -> Prepared:
        """Bring the metadata, and know what is missing, what it costs, and that it may come and fits."""
        directory = self._volume.incoming(self._source) / f"stage-{root.generation}"
        self._volume.make_directory(directory / "tree")
        self._claim(len(root.metadata), sum(ref.size or 0 for ref in root.metadata), held_bytes=0)
        staged = self._stage_metadata(root, former, directory)
        totals = self._collect(root, staged, directory, former)
        if self._is_guarded:
            guards.require_not_shrunk(totals.packages, former, self._policy)
        self._claim(totals.missing_files, totals.missing_bytes, totals.size - totals.missing_bytes)
        return Prepared(directory, root, totals)

    def complete(self, prepared: Prepared) -> Staged:
        """Bring the content; raises the first failure, keeping what came for the next run."""
        directory, root, totals = prepared.directory, prepared.root, prepared.totals
        self._bring_content(directory, totals)
        header = manifest.Header(
            format_version=manifest.FORMAT_VERSION,
            source=self._source,
            generation=root.generation,
            format=self._upstream.format,
            timestamp=root.timestamp,
            roots=tuple(document.path for document in root.documents),
            tops=tuple(sorted(totals.tops)),
            packages=totals.packages,
            unique_packages=totals.contents.distinct(),
            files=totals.files,
            bytes=totals.size,
        )
        entries = self._settled(manifest.read_plain(directory / "wanted"))
        manifest.write_lines(self._files, directory / "manifest.jsonl", header, entries)
        return Staged(directory, header)

    def _claim(self, files: int, size: int, held_bytes: int) -> None:
        """Have the volume's room granted, or WouldNotFitError; the ledger is told in both cases."""
        asked = ledger.Ledger(files, size, held_bytes, 0, 0, self._policy.reserve_bytes)
        found = self._room.claim(self._volume, self._source, asked)
        self._progress(outcome.Progress(outcome.Phase.METADATA, ledger=found))
        if found.short_bytes:
            raise ledger.refusal(self._volume, found)

    def _stage_metadata(
        self, root: upstream.Root, former: manifest.Header | None, directory: Path
    ) -> list[manifest.Entry]:
        stager = metadata.MetadataStager(self._files, self._volume, self._reach, directory=directory)
        held = metadata.held_metadata(self._volume, self._source, former.generation) if former else {}
        total = sum(ref.size or 0 for ref in root.metadata)
        told = meter.Counter(self._progress, outcome.Phase.METADATA, len(root.metadata), total)
        entries = stager.write_documents(root)
        return entries + stager.bring_all(root, held, threads=self._threads, told=told.add)

    def _collect(
        self, root: upstream.Root, staged: list[manifest.Entry], directory: Path, former: manifest.Header | None
    ) -> tallies.Totals:
        """Write down what is wanted and what of it is missing; a damaged record of the former generation is ignored."""
        if former is not None:
            path = self._volume.manifest(former.source, former.generation)
            try:
                return self._compare(root, staged, directory, manifest.read_entries(path))
            except (failures.ManifestDamagedError, FileNotFoundError):
                pass
        return self._compare(root, staged, directory, iter(()))

    def _compare(
        self, root: upstream.Root, staged: list[manifest.Entry], directory: Path, former: Iterator[manifest.Entry]
    ) -> tallies.Totals:
        totals = tallies.Totals()
        content = (_entry(ref) for ref in self._upstream.content(root, directory / "tree"))
        present = manifest.sorted_entries(self._files, _chained(staged, content), directory / "run")

        def missing() -> Iterator[manifest.Entry]:
            for old, new in manifest.paired(former, _kept(present, directory / "wanted", self._files)):
                if new is None:
                    continue
                totals.count(new)
                is_held = old is not None and manifest.is_same_content(old, new)
                if new.k != _METADATA and not is_held and self._pool.find(manifest.checksum_of(new), new.s) is None:
                    totals.missing_files += 1
                    totals.missing_bytes += max(0, new.s)
                    yield new

        manifest.write_lines(self._files, directory / "missing", None, missing())
        return totals

    def _bring_content(self, directory: Path, totals: tallies.Totals) -> None:
        told = meter.Counter(self._progress, outcome.Phase.PACKAGES, totals.missing_files, totals.missing_bytes)
        coming: set[str] = set()  # two paths may have equal content; kept is only what is on its way
        if totals.missing_files:
            unsettled.mark(self._files, directory.parent)

        def work(entry: manifest.Entry) -> None:
            checksum = manifest.checksum_of(entry)
            with self._lock:
                is_mine = checksum.value not in coming and self._pool.find(checksum, entry.s) is None
                if is_mine:
                    coming.add(checksum.value)
            if is_mine:
                self._bring_package(directory.parent, entry, checksum)
                with self._lock:
                    coming.remove(checksum.value)
            self._room.spend(self._volume, self._source, max(0, entry.s))
            told.add(max(0, entry.s))

        first = transfer.first_threads(totals.missing_files, totals.missing_bytes)
        transfer.run_parallel(manifest.read_plain(directory / "missing"), work, threads=self._threads, first=first)

    def _bring_package(self, incoming: Path, entry: manifest.Entry, checksum: fileref.Checksum) -> None:
        size = entry.s if entry.s >= 0 else None
        ref = fileref.FileRef(entry.p, size, checksum, fileref.Kind(entry.k), base=entry.b)
        part = incoming / f"{checksum.value}.part"
        sha256 = self._reach.fetch_content(ref, part)
        self._pool.admit(part, sha256, checksum)

    def _settled(self, entries: Iterable[manifest.Entry]) -> Iterator[manifest.Entry]:
        """The entries with what only the download could tell: sha256 where upstream uses another digest, and size."""
        for entry in entries:
            if entry.d and entry.s >= 0:
                yield msgspec.structs.replace(entry, b="") if entry.b else entry
                continue
            sha256 = entry.d or self._pool.find(manifest.checksum_of(entry))
            if sha256 is None:
                raise failures.ManifestDamagedError(
                    f"{entry.p} ({entry.u}) vanished from the pool during the sync.", hint="Run the sync again."
                )
            size = entry.s if entry.s >= 0 else self._pool.path(sha256).stat().st_size
            yield manifest.Entry(entry.p, size, sha256, entry.k, entry.u)


def _entry(ref: fileref.FileRef) -> manifest.Entry:
    size = -1 if ref.size is None else ref.size
    if ref.checksum.algorithm == "sha256":
        return manifest.Entry(ref.path, size, ref.checksum.value, ref.kind.value, b=ref.base)
    return manifest.Entry(ref.path, size, "", ref.kind.value, str(ref.checksum), b=ref.base)


def _chained(first: Iterable[manifest.Entry], second: Iterable[manifest.Entry]) -> Iterator[manifest.Entry]:
    yield from first
    yield from second


def _kept(entries: Iterable[manifest.Entry], path: Path, files: host_files.Files) -> Iterator[manifest.Entry]:
    """Pass entries on while writing them down."""
    writer = manifest.LineWriter(files, path)
    with writer:
        for entry in entries:
            writer.add(entry)
            yield entry
