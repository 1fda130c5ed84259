"""What of a volume may go: generations that nobody needs any more, then what only they referred to.

Kept are the newest two generations, whatever is published or recorded as visible, what the hub says is needed in any of
the volume's groups, and those that were superseded less than three days ago: clients may be in the middle of them.
Order of removal: the generation with its root first, its packages last. Each removal goes through a ``writers.Writer``,
so that a cleaner that was paused removes nothing that came to be needed meanwhile (ha-protocol R1).
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, failures, fileref, lock, manifest, removals, superseded, writers
from stationmaster.mirror import volume as volumes

_METADATA = fileref.Kind.METADATA.value
_LEFT_DOWNLOADS = datetime.timedelta(days=7)


@dataclasses.dataclass(frozen=True)
class RetentionPolicy:
    """How much of the past is kept."""

    generations: int = 2
    age: datetime.timedelta = datetime.timedelta(days=3)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What happens to one thing, and why; ``size_bytes`` counts for what is removed."""

    what: str
    is_removed: bool
    reason: str
    size_bytes: int = 0


class _Record(msgspec.Struct, frozen=True):
    generation: str


def judge_generations(
    held: tuple[catalog.HeldGeneration, ...], needed: frozenset[str], now: datetime.datetime, policy: RetentionPolicy
) -> dict[str, tuple[bool, str]]:
    """For each generation (oldest first) whether it is kept, and why. ``needed`` is published or visible."""
    verdicts: dict[str, tuple[bool, str]] = {}
    for index, generation in enumerate(held):
        newer = len(held) - 1 - index
        superseded = now - held[index + 1].held_since if newer else datetime.timedelta(0)
        if newer == 0:
            verdicts[generation.generation] = (True, "the newest")
        elif generation.generation in needed:
            verdicts[generation.generation] = (True, "being shown")
        elif newer < policy.generations:
            verdicts[generation.generation] = (True, f"one of the newest {policy.generations}")
        elif superseded < policy.age:
            verdicts[generation.generation] = (True, f"superseded less than {policy.age.days} days ago")
        else:
            verdicts[generation.generation] = (False, f"superseded {superseded.days} days ago")
    return verdicts


class Cleaner:
    """Cleans one volume; with ``is_dry`` it only says what it would do."""

    def __init__(
        self,
        files: host_files.Files,
        volume: volumes.Volume,
        clock: clocks.Clock,
        *,
        policy: RetentionPolicy | None = None,
        is_dry: bool = False,
        retained: Mapping[str, frozenset[str]] | None = None,
        writer: writers.Writer | None = None,
    ) -> None:
        """``writer``: under whose token to remove, begun already; None: one of its own, as the engine alone does."""
        self._retained = retained or {}
        self._writer = writer
        self._files = files
        self._volume = volume
        self._clock = clock
        self._policy = policy or RetentionPolicy()
        self._is_dry = is_dry

    def clean(self) -> Iterator[Verdict]:
        """One verdict per generation, site, left download and unreferenced content."""
        self._volume.require()
        watch = lock.Watch(self._clock)
        with lock.SourceLock(self._files, self._volume.control, lock.CLEANING, watch=watch), self.removing():
            busy = set(lock.live_locks(self._volume.control)) - {lock.CLEANING}
            dropped: set[tuple[str, str]] = set()
            for source in catalog.list_sources(self._volume):
                if source in busy:
                    yield Verdict(f"source {source}", is_removed=False, reason="it is being synced now")
                    continue
                yield from self._clean_generations(source, dropped)
                yield from self._clean_sites(source)
            if busy:
                yield Verdict("pool", is_removed=False, reason=f"{', '.join(sorted(busy))} is being synced now")
                return
            yield from self._clean_incoming()
            yield from self._clean_pool(dropped)

    @contextlib.contextmanager
    def removing(self) -> Iterator[None]:
        """Have a writer for as long as this is open."""
        if self._is_dry or self._writer is not None:
            yield
            return
        self._writer = writers.new_writer(self._files, self._volume)
        try:
            yield
        finally:
            self._writer.end()
            self._writer = None

    def _remove(self, path: Path) -> None:
        if not self._is_dry:
            assert self._writer is not None  # noqa: S101 - for the type checker
            self._writer.remove(path)

    def _clean_generations(self, source: str, dropped: set[tuple[str, str]]) -> Iterator[Verdict]:
        yield from self._clean_remains(source, dropped)
        held = catalog.list_generations(self._volume, source)
        needed = self.needed(source) | self._retained.get(source, frozenset())
        verdicts = judge_generations(held, needed, self._clock.now(), self._policy)
        kept = [name for name, (is_kept, _) in verdicts.items() if is_kept]
        for name, (is_kept, reason) in verdicts.items():
            yield Verdict(f"generation {source}/{name}", is_removed=not is_kept, reason=reason)
            if not is_kept:
                dropped.add((source, name))
                if not self._is_dry:
                    self._drop(source, name, kept)
        if not self._is_dry:
            self._finish(source, kept)

    def _clean_remains(self, source: str, dropped: set[tuple[str, str]]) -> Iterator[Verdict]:
        """What a removal left that did not come to its end."""
        for directory in sorted(self._volume.generations(source).iterdir()):
            is_marked = (directory / writers.REMOVED).exists() and not (directory / "manifest.jsonl").exists()
            if is_marked or not any(directory.iterdir()):
                dropped.add((source, directory.name))
                yield Verdict(f"remains {source}/{directory.name}", is_removed=True, reason="left by a removal")
                self._remove(directory)

    def _drop(self, source: str, generation: str, kept: list[str]) -> None:
        """Out of the held ones by one rename; then the links of packages that no kept generation names."""
        needed = heapq.merge(*(self._entries(source, name) for name in kept), key=lambda entry: entry.p)
        going = [
            old.p
            for old, new in manifest.paired(self._entries(source, generation), _distinct(needed))
            if old is not None and new is None and old.k != _METADATA
        ]
        removals.Removals(self._files, self._volume, source).begin(generation, going)
        self._remove(self._volume.generation(source, generation))

    def drop(self, source: str, generation: str) -> None:
        """Take away one generation and what only it referred to; the caller holds the cleaner's lock, and a writer."""
        kept = [one.generation for one in catalog.list_generations(self._volume, source)]
        kept.remove(generation)
        self._drop(source, generation, kept)
        self._finish(source, kept)
        for _ in self._clean_pool({(source, generation)}):
            pass

    def _finish(self, source: str, kept: list[str]) -> None:
        """Take away what removals left to be done, this one's and those that were interrupted."""
        begun = removals.Removals(self._files, self._volume, source)
        for generation, paths in begun.unfinished().items():
            if generation not in kept:
                for name in kept if paths else ():
                    paths.difference_update(entry.p for entry in self._entries(source, name))
                for path in sorted(paths):
                    self._remove(self._volume.published(source) / path)
                superseded.Superseded(self._files, self._volume, source).forget(generation)
            begun.end(generation)

    def _clean_sites(self, source: str) -> Iterator[Verdict]:
        """Sites that were replaced, or never finished: no address leads there."""
        try:
            present = self._volume.published(source).readlink().name
            sites = sorted(self._volume.sites(source).iterdir())
        except OSError:
            return
        for site in sites:
            if site.name != present:
                yield Verdict(f"site {source}/{site.name}", is_removed=True, reason="no longer shown")
                self._remove(site)

    def _clean_incoming(self) -> Iterator[Verdict]:
        oldest = (self._clock.now() - _LEFT_DOWNLOADS).timestamp()
        for place in sorted((self._volume.control / "incoming").iterdir()):
            if place.stat().st_mtime < oldest:
                yield Verdict(f"incoming {place.name}", is_removed=True, reason="left for more than 7 days")
                self._remove(place)

    def _clean_pool(self, dropped: set[tuple[str, str]]) -> Iterator[Verdict]:
        referred: set[bytes] = set()
        for source in catalog.list_sources(self._volume):
            for directory in self._volume.generations(source).iterdir():
                if (source, directory.name) in dropped:
                    continue
                referred.update(bytes.fromhex(entry.d) for entry in self._entries(source, directory.name))
        for path in _files_below(self._volume.root / "pool" / "sha256"):
            if len(path.name) == 64 and bytes.fromhex(path.name) not in referred:
                size = path.stat().st_size
                yield Verdict(
                    f"content {path.name}", is_removed=True, reason="no generation refers to it", size_bytes=size
                )
                self._remove(path)
        for path in _files_below(self._volume.root / "pool"):
            if path.is_symlink() and not path.exists():
                self._remove(path)

    def _entries(self, source: str, generation: str) -> Iterator[manifest.Entry]:
        """The entries of a generation; one that cannot be read stops the cleaning, since what it needs is unknown."""
        path = self._volume.manifest(source, generation)
        if not path.exists():
            raise failures.ManifestDamagedError(
                f"{path} is missing, so what that generation needs is unknown; nothing was removed for it.",
                hint="Sync the source again, then clean.",
            )
        return manifest.read_entries(path)

    def needed(self, source: str) -> frozenset[str]:
        """What is published by the engine alone, and what a station's highest record makes visible (R1)."""
        needed = {catalog.published_generation(self._volume, source)}
        records = self._volume.control / "seq" / source
        if records.is_dir():
            numbers = [int(entry.name) for entry in records.iterdir() if entry.name.isdecimal()]
            for number in sorted(numbers)[-2:]:
                try:
                    needed.add(msgspec.json.decode((records / str(number)).read_bytes(), type=_Record).generation)
                except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
                    raise failures.ManifestDamagedError(
                        f"The record {records / str(number)} cannot be read, so what is visible is unknown.",
                        hint="Nothing was removed. Check the storage.",
                    ) from exc
        return frozenset(name for name in needed if name is not None)


def _distinct(entries: Iterator[manifest.Entry]) -> Iterator[manifest.Entry]:
    last = ""
    for entry in entries:
        if entry.p != last:
            last = entry.p
            yield entry


def _files_below(directory: Path) -> Iterator[Path]:
    for shard in sorted(directory.iterdir()) if directory.is_dir() else ():
        if shard.is_dir() and not shard.is_symlink():
            yield from _files_below(shard)
        else:
            yield shard
