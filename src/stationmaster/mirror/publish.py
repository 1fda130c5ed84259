"""Publishing: a staged generation gets its place.

Order: packages, hashed metadata, everything to the disk, then one rename that switches.

A site is a directory of package links, shared by the generations of a source; ``published/<source>`` is a link to the
present one. For the engine alone its ``.metadata`` link names the tree that is shown, and one rename of it publishes.
A path whose bytes change cannot be changed in place, since the former generation is being served: the engine alone
builds a fresh site beside and switches ``published/<source>``; a station puts such a path into the generation's own
tree (an overlay), which its pinned addresses look into first. What former generations named stays fetchable
(``superseded``), also in a fresh site.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, failures, fileref, manifest, pool, superseded, volume, writers

_METADATA = fileref.Kind.METADATA.value
_ENDED = {errno.ENOTEMPTY, errno.EEXIST}


@dataclasses.dataclass(frozen=True)
class Placement:
    """One package path to make: in the site that generations share, or in the generation's own tree."""

    path: str
    sha256: str
    size: int
    is_overlay: bool


class _CollisionError(Exception):
    """The present site cannot take this generation."""


def plan_placements(
    former: Iterable[manifest.Entry],
    present: Iterable[manifest.Entry],
    *,
    tops: frozenset[str],
    former_overlays: frozenset[str],
) -> Iterator[Placement]:
    """What is to be placed for ``present`` where all of ``former`` is placed: the cost is the change.

    Below a top directory of metadata everything lies in the generation's own tree, as does what the former
    generation had there.
    """
    for old, new in manifest.paired(former, present):
        if new is None or new.k == _METADATA:
            continue
        is_overlay = new.p.partition("/")[0] in tops
        is_placed = old is not None and old.k != _METADATA and manifest.is_same_content(old, new)
        if not is_placed or is_overlay or new.p in former_overlays:
            yield Placement(new.p, new.d, new.s, is_overlay)


class Publisher:
    """Publishes generations of one source on one volume; the caller holds the source's lock."""

    def __init__(self, files: host_files.Files, place: volume.Volume, clock: clocks.Clock, source: str) -> None:
        self._files = files
        self._volume = place
        self._clock = clock
        self._source = source
        self._pool = pool.Pool(files, place)
        self._directories: set[Path] = set()

    def publish(self, directory: Path, header: manifest.Header, *, alone: bool) -> None:
        """Place what ``directory`` holds (staged, or held already), make it held, and switch to it when alone."""
        self._volume.require()
        former = catalog.newest_header(self._volume, self._source)
        site = self._present_site()
        is_fresh = site is None
        if site is None:
            site = self._new_site()
            if not alone:
                self._show(site)
        try:
            overlays = self._fill(site, directory, header, None if is_fresh else former, alone=alone)
        except _CollisionError:
            site, is_fresh = self._new_site(), True
            overlays = self._fill(site, directory, header, None, alone=alone)
        if alone and is_fresh:
            self._fill_former(site, header.generation)
        if alone and former is not None:
            superseded.Superseded(self._files, self._volume, self._source).carry(former, directory, header.generation)
        self._seal(directory, header, overlays)
        self._make_held(directory, header)
        writers.close_all(self._files, self._volume)  # who begins to remove from now on sees that it is held (R1)
        if alone:
            self._volume.require()
            tree = f"../../../../generations/{self._source}/{header.generation}/tree"
            self._files.replace_symlink(site / ".metadata", tree)
            if is_fresh:
                self._show(site)

    def _fill(
        self, site: Path, directory: Path, header: manifest.Header, former: manifest.Header | None, *, alone: bool
    ) -> list[str]:
        """Place packages; returns the paths that went into the generation's own tree."""
        tops = frozenset(header.tops)
        if alone:
            self._prepare_tops(site, tops)
        overlays: list[str] = []
        for placement in self._placements(directory, former, tops):
            is_taken = not placement.is_overlay and not self._place(site, placement, alone=alone)
            if placement.is_overlay or is_taken:
                self._put(directory / "tree" / placement.path, placement)
                overlays.append(placement.path)
        return overlays

    def _fill_former(self, site: Path, present: str) -> None:
        """Packages of the other held generations, where the present one has nothing at their path."""
        for generation in reversed(catalog.list_generations(self._volume, self._source)):
            if generation.generation == present:
                continue
            path = self._volume.manifest(self._source, generation.generation)
            try:
                for entry in manifest.read_entries(path):
                    is_below_link = (site / entry.p.partition("/")[0]).is_symlink()
                    if entry.k != _METADATA and not is_below_link:
                        with contextlib.suppress(FileNotFoundError):  # `mirror verify` tells of it
                            self._put(site / entry.p, Placement(entry.p, entry.d, entry.s, is_overlay=False))
            except (failures.ManifestDamagedError, FileNotFoundError):
                continue

    def _placements(self, directory: Path, former: manifest.Header | None, tops: frozenset[str]) -> Iterator[Placement]:
        present = manifest.read_entries(directory / "manifest.jsonl")
        if former is None:
            return plan_placements(iter(()), present, tops=tops, former_overlays=frozenset())
        held = self._volume.generation(self._source, former.generation)
        try:
            overlays = frozenset(msgspec.json.decode((held / "overlays.json").read_bytes(), type=list[str]))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return plan_placements(iter(()), present, tops=tops, former_overlays=frozenset())
        before = manifest.read_entries(held / "manifest.jsonl")
        return plan_placements(before, present, tops=tops, former_overlays=overlays)

    def _prepare_tops(self, site: Path, tops: frozenset[str]) -> None:
        for top in sorted(tops):
            link = site / top
            target = f".metadata/{top}"
            if link.is_symlink() and str(link.readlink()) == target:
                continue
            if link.is_symlink() or link.exists():
                raise _CollisionError
            self._files.replace_symlink(link, target)

    def _place(self, site: Path, placement: Placement, *, alone: bool) -> bool:
        """True when the site shows the right bytes at the path; a collision raises when alone, else is False."""
        top = site / placement.path.partition("/")[0]
        is_free = not top.is_symlink()  # a link here leads into the metadata of another generation
        if is_free and self._put(site / placement.path, placement):
            return True
        if alone:
            raise _CollisionError
        return False

    def _put(self, target: Path, placement: Placement) -> bool:
        """Make one name for pooled content; False when other content has it. Repeating it changes nothing."""
        if target.parent not in self._directories:
            try:
                self._volume.make_directory(target.parent)
            except (FileExistsError, NotADirectoryError):  # a file where this generation has a directory
                return False
            self._directories.add(target.parent)
        if self._pool.place(placement.sha256, target):
            return True
        held, found = self._pool.path(placement.sha256).stat(), target.lstat()
        if (held.st_dev, held.st_ino) == (found.st_dev, found.st_ino):
            return True
        return target.is_file() and found.st_size == placement.size and fileref.digest_of(target) == placement.sha256

    def _seal(self, directory: Path, header: manifest.Header, overlays: list[str]) -> None:
        """Complete the generation and bring all of it to the disk, content and names, before anything shows it."""
        if directory != self._volume.generation(self._source, header.generation):
            record = catalog.HeldRecord(since=self._clock.now().timestamp())
            overlaid = msgspec.json.encode(sorted(overlays))
            self._files.write_atomic(directory / "overlays.json", overlaid, durable=False)
            self._files.write_atomic(directory / "held.json", msgspec.json.encode(record), durable=False)
            for scratch in ("wanted", "missing"):
                self._files.remove(directory / scratch)
        self._volume.require()
        self._files.sync_file_system(self._volume.root)

    def _make_held(self, directory: Path, header: manifest.Header) -> None:
        """One rename makes the generation held; its root is there only from now on."""
        target = self._volume.generation(self._source, header.generation)
        if directory == target or catalog.find_header(self._volume, self._source, header.generation) is not None:
            return  # or another writer was faster: equal names are equal content
        self._volume.make_directory(target.parent)
        self._volume.require()
        try:
            self._files.rename(directory, target)
        except OSError as exc:
            if exc.errno not in _ENDED:
                raise
            # What has this name is damaged, or it would not have been staged again.
            self._files.rename(target, directory.with_name(f"damaged-{header.generation}"))
            self._files.rename(directory, target)

    def _present_site(self) -> Path | None:
        try:
            name = self._volume.published(self._source).readlink().name
        except OSError:
            return None
        site = self._volume.sites(self._source) / name
        return site if site.is_dir() else None

    def _new_site(self) -> Path:
        sites = self._volume.sites(self._source)
        self._volume.make_directory(sites)
        numbers = [int(entry.name) for entry in sites.iterdir() if entry.name.isdecimal()]
        site = sites / str(max(numbers, default=0) + 1)
        self._volume.make_directory(site)
        self._directories.clear()
        return site

    def _first_shown(self, site: Path) -> Path:
        """In a station the site is shown once and for all; whoever was first decides which (ha-protocol R1)."""
        link = self._volume.published(self._source)
        self._files.make_symlink_exclusive(link, f".sites/{self._source}/{site.name}")
        return self._present_site() or site

    def _show(self, site: Path) -> None:
        self._files.replace_symlink(self._volume.published(self._source), f".sites/{self._source}/{site.name}")
