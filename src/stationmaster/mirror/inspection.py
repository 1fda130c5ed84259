"""The full check of a volume: every byte of every held generation against its manifest, where clients are served."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from pathlib import Path

from stationmaster.host import clock as clocks
from stationmaster.mirror import catalog, failures, fileref, manifest
from stationmaster.mirror import volume as volumes

_METADATA = fileref.Kind.METADATA.value


class Problem(enum.StrEnum):
    """What is wrong with a path."""

    MANIFEST = "MANIFEST_DAMAGED"
    MISSING = "MISSING"
    SIZE = "WRONG_SIZE"
    DIGEST = "WRONG_DIGEST"
    UNREADABLE = "UNREADABLE"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is not as the manifest says."""

    source: str
    generation: str
    path: str
    problem: Problem
    expected: str
    found: str


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of a check."""

    generations: int
    files: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify(volume: volumes.Volume, clock: clocks.Clock, *, rate: float | None = None) -> Report:
    """Read everything that is held, at most ``rate`` bytes/s, and compare; shared content is read once."""
    volume.require()
    check = _Check(volume, clock, rate)
    findings: list[Finding] = []
    generations = 0
    for source in catalog.list_sources(volume):
        for directory in sorted(volume.generations(source).iterdir()):
            generations += 1
            findings.extend(check.generation(source, directory.name))
    return Report(generations, check.files, check.bytes, tuple(findings))


class _Check:
    def __init__(self, volume: volumes.Volume, clock: clocks.Clock, rate: float | None) -> None:
        self._volume = volume
        self._clock = clock
        self._rate = rate
        self._read: dict[tuple[int, int], str] = {}  # inode -> sha256: hard links are read once
        self.files = 0
        self.bytes = 0

    def generation(self, source: str, generation: str) -> Iterator[Finding]:
        if catalog.find_header(self._volume, source, generation) is None:
            yield Finding(source, generation, "manifest.jsonl", Problem.MANIFEST, "a manifest and its roots", "none")
            return
        try:
            for entry in manifest.read_entries(self._volume.manifest(source, generation)):
                self.files += 1
                wrong = self._entry(entry, self._place(source, generation, entry))
                if wrong is not None:
                    yield Finding(source, generation, entry.p, *wrong)
        except failures.ManifestDamagedError as exc:
            yield Finding(source, generation, "manifest.jsonl", Problem.MANIFEST, "JSON lines", exc.message)

    def _place(self, source: str, generation: str, entry: manifest.Entry) -> Path:
        """Where clients get the path; former generations of the engine alone are only in the pool."""
        own = self._volume.tree(source, generation) / entry.p
        if entry.k == _METADATA or own.exists():
            return own
        if catalog.published_generation(self._volume, source) in (None, generation):
            return self._volume.published(source) / entry.p
        return self._volume.pool_path("sha256", entry.d)

    def _entry(self, entry: manifest.Entry, path: Path) -> tuple[Problem, str, str] | None:
        try:
            status = path.stat()
            if status.st_size != entry.s:
                return Problem.SIZE, str(entry.s), str(status.st_size)
            key = (status.st_dev, status.st_ino)
            found = self._read.get(key)
            if found is None:
                found = self._read[key] = fileref.digest_of(path)
                self._pause(entry.s)
        except FileNotFoundError:
            return Problem.MISSING, entry.d, "nothing"
        except OSError as exc:
            return Problem.UNREADABLE, entry.d, exc.strerror or str(exc)
        return None if found == entry.d else (Problem.DIGEST, entry.d, found)

    def _pause(self, size: int) -> None:
        self.bytes += size
        if self._rate:
            self._clock.sleep(size / self._rate)
