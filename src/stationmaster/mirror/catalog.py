"""What a volume holds, read off the volume itself (I7): true on shared storage and after any restart."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import msgspec

from stationmaster.mirror import failures, fileref, manifest
from stationmaster.mirror import volume as volumes


class HeldRecord(msgspec.Struct, frozen=True):
    """``held.json``: when the generation came onto this volume, in Unix seconds; unlike the manifest it may differ."""

    since: float


@dataclasses.dataclass(frozen=True)
class HeldGeneration:
    """A generation on a volume. Times: ``root_time`` is the upstream's own, ``held_since`` this volume's."""

    source: str
    generation: str
    format: str
    packages: int
    unique_packages: int
    total_bytes: int
    root_time: datetime.datetime
    held_since: datetime.datetime


def list_sources(volume: volumes.Volume) -> tuple[str, ...]:
    """Names of the sources that have at least one generation directory, sorted."""
    return tuple(name for name in _names(volume.root / "generations") if _names(volume.generations(name)))


def list_generations(volume: volumes.Volume, source: str) -> tuple[HeldGeneration, ...]:
    """The held generations of a source, oldest first by when they came onto the volume."""
    found = [find_generation(volume, source, name) for name in _names(volume.generations(source))]
    held = [generation for generation in found if generation is not None]
    return tuple(sorted(held, key=lambda one: (one.held_since, one.root_time, one.generation)))


def find_generation(volume: volumes.Volume, source: str, generation: str) -> HeldGeneration | None:
    """One held generation; None when its manifest or a root document is not there."""
    header = find_header(volume, source, generation)
    if header is None:
        return None
    try:
        record = (volume.generation(source, generation) / "held.json").read_bytes()
        since = msgspec.json.decode(record, type=HeldRecord).since
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        since = float(header.timestamp)
    return HeldGeneration(
        source=source,
        generation=generation,
        format=header.format,
        packages=header.packages,
        unique_packages=header.unique_packages,
        total_bytes=header.bytes,
        root_time=datetime.datetime.fromtimestamp(header.timestamp, datetime.UTC),
        held_since=datetime.datetime.fromtimestamp(since, datetime.UTC),
    )


def find_header(volume: volumes.Volume, source: str, generation: str) -> manifest.Header | None:
    """The header of a held generation whose root documents are there."""
    header = manifest.read_header(volume.manifest(source, generation))
    if header is None or header.generation != generation:
        return None
    tree = volume.tree(source, generation)
    return header if all((tree / path).is_file() for path in header.roots) else None


def newest_header(volume: volumes.Volume, source: str) -> manifest.Header | None:
    """The header of the generation that is published alone, else of the one that came last; None when none is held."""
    published = published_generation(volume, source)
    if published is not None and (header := find_header(volume, source, published)) is not None:
        return header
    held = list_generations(volume, source)
    return find_header(volume, source, held[-1].generation) if held else None


def is_held_whole(volume: volumes.Volume, source: str, generation: str) -> bool:
    """I4: every path of the manifest is there with its size, where a station serves it. One stat per path."""
    if find_header(volume, source, generation) is None:
        return False
    tree, site = volume.tree(source, generation), volume.published(source)
    try:
        return all(
            _has_size(tree / entry.p, entry.s)
            or (entry.k != fileref.Kind.METADATA.value and _has_size(site / entry.p, entry.s))
            for entry in manifest.read_entries(volume.manifest(source, generation))
        )
    except (OSError, failures.ManifestDamagedError):
        return False


def published_generation(volume: volumes.Volume, source: str) -> str | None:
    """The generation that ``published/<source>`` shows when the engine publishes alone; None in a station."""
    try:
        target = (volume.published(source) / ".metadata").readlink()
    except OSError:
        return None
    return target.parent.name


def is_shown(volume: volumes.Volume, source: str, generation: str) -> bool:
    """Whether ``published/<source>`` shows this generation, and its root documents are there."""
    if published_generation(volume, source) != generation:
        return False
    header = find_header(volume, source, generation)
    published = volume.published(source)
    return header is not None and all((published / path).is_file() for path in header.roots)


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _names(directory: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in directory.iterdir() if entry.is_dir())
    except FileNotFoundError:
        return []
