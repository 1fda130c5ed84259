"""The full check of a volume: every byte of every held generation against its manifest, where clients are served."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from pathlib import Path

from stationmaster.host import clock as clocks
from stationmaster.mirror import catalog, failures, fileref, manifest, places
from stationmaster.mirror import volume as volumes


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
        where = places.places_of(self._volume, source, generation)
        try:
            for entry in manifest.read_entries(self._volume.manifest(source, generation)):
                self.files += 1
                # Former generations of the engine alone are only in the pool.
                wrong = self._entry(entry, where.of(entry) or self._volume.pool_path("sha256", entry.d))
                if wrong is not None:
                    yield Finding(source, generation, entry.p, *wrong)
        except failures.ManifestDamagedError as exc:
            yield Finding(source, generation, "manifest.jsonl", Problem.MANIFEST, "JSON lines", exc.message)

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
