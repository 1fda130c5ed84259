"""Staging a draft: its files get their places in a generation's tree, and its manifest is written.

As a sync's staging, but nothing comes from elsewhere: what an index names must be in the pool, or is an error.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.mirror import failures, fileref, manifest, pool, stage, tallies, unpack, unsettled, volume
from stationmaster.mirror.generate import draft

_METADATA = fileref.Kind.METADATA.value
_PACKAGE = fileref.Kind.PACKAGE.value


@dataclasses.dataclass
class _Totals:
    packages: int = 0
    files: int = 0
    size: int = 0
    contents: tallies.Tally = dataclasses.field(default_factory=tallies.Tally)

    def add(self, entry: manifest.Entry) -> None:
        self.files += 1
        self.size += entry.s
        if entry.k == _PACKAGE:
            self.packages += 1
            self.contents.add(entry.d)


class Stager:
    """Stages one draft."""

    def __init__(self, files: host_files.Files, place: volume.Volume, source: str, made: draft.Draft) -> None:
        self._files = files
        self._volume = place
        self._source = source
        self._draft = made
        self._pool = pool.Pool(files, place, is_doubted=unsettled.is_doubtful(place))
        self._directory = place.incoming(source) / f"stage-{made.root.generation}"
        self._tree = self._directory / "tree"

    def stage(self) -> stage.Staged:
        """Make the generation whole, out of sight. UnavailableError when the volume lacks what an input promised."""
        self._files.remove_tree(self._directory)  # of a run that was killed
        placed = [*self._documents(), *self._metadata()]
        totals = _Totals()
        entries = manifest.sorted_entries(self._files, self._all(placed), self._directory / "run")
        manifest.write_lines(self._files, self._directory / "wanted", None, self._settled(entries, totals))
        root = self._draft.root
        header = manifest.Header(
            format_version=manifest.FORMAT_VERSION,
            source=self._source,
            generation=root.generation,
            format=self._draft.format,
            timestamp=root.timestamp,
            roots=tuple(document.path for document in root.documents),
            tops=tuple(sorted({entry.p.partition("/")[0] for entry in placed})),
            packages=totals.packages,
            unique_packages=totals.contents.distinct(),
            files=totals.files,
            bytes=totals.size,
        )
        wanted = manifest.read_plain(self._directory / "wanted")
        manifest.write_lines(self._files, self._directory / "manifest.jsonl", header, wanted)
        return stage.Staged(self._directory, header)

    def _documents(self) -> Iterator[manifest.Entry]:
        for document in self._draft.root.documents:
            path = self._tree / document.path
            self._volume.make_directory(path.parent)
            self._files.write_atomic(path, document.content, durable=False)  # a publish flushes all at once
            yield self._dated(path, document.path, hashlib.sha256(document.content).hexdigest())

    def _metadata(self) -> Iterator[manifest.Entry]:
        for ref in self._draft.root.metadata:
            path = self._tree / ref.path
            self._volume.make_directory(path.parent)
            self._files.set_mode(self._draft.made[ref.path], 0o644)
            self._files.rename(self._draft.made[ref.path], path)
            yield self._dated(path, ref.path, ref.checksum.value)
            for also in ref.also_at:
                self._volume.make_directory((self._tree / also).parent)
                pool.link_or_copy(self._files, path, self._tree / also, mtime=self._draft.root.timestamp)
                yield manifest.Entry(also, path.stat().st_size, ref.checksum.value, _METADATA)

    def _dated(self, path: Path, name: str, sha256: str) -> manifest.Entry:
        self._files.set_mtime(path, self._draft.root.timestamp)
        return manifest.Entry(name, path.stat().st_size, sha256, _METADATA)

    def _all(self, placed: Iterable[manifest.Entry]) -> Iterator[manifest.Entry]:
        """What was placed, and what the written indexes name: read as an upstream's would be."""
        yield from placed
        for path, parse in self._draft.indexes:
            for ref in parse(unpack.unpacked_blocks(self._tree / path), what=path):
                size = -1 if ref.size is None else ref.size
                is_pooled = ref.checksum.algorithm == "sha256"
                digest, other = (ref.checksum.value, "") if is_pooled else ("", str(ref.checksum))
                yield manifest.Entry(ref.path, size, digest, ref.kind.value, other)

    def _settled(self, entries: Iterable[manifest.Entry], totals: _Totals) -> Iterator[manifest.Entry]:
        for entry in entries:
            settled = entry
            if entry.k != _METADATA:
                sha256 = self._pool.find(manifest.checksum_of(entry), entry.s)
                if sha256 is None:
                    raise failures.UnavailableError(
                        f"The content of {entry.p} ({entry.d or entry.u}) is not on this volume, though an input of "
                        f"{self._source} names it.",
                        hint="Run `mirror verify --repair`, then generate again.",
                    )
                size = entry.s if entry.s >= 0 else self._pool.path(sha256).stat().st_size
                settled = manifest.Entry(entry.p, size, sha256, entry.k, entry.u)
            totals.add(settled)
            yield settled
