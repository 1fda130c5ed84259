"""What comes in: whose downloads lie where, when a writer may have been taken for dead that is not.

Two writers never share a file. Who takes over from one that may still be alive (its lease was given away, its record
lapsed) downloads into a directory of a higher epoch, and begins with a copy of what the other had: a late byte of that
one lands in its own files. What is no longer needed is renamed before it is deleted, so that a writer that wakes late
cannot carry a half deleted stage into its place.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.mirror import volume as volumes

_GONE = ":gone-"  # no source's name begins so


def take_up(files: host_files.Files, place: volumes.Volume, source: str, epoch: int) -> volumes.Volume:
    """The volume as the writer of this epoch sees it, with what its predecessor left."""
    mine = dataclasses.replace(place, epoch=epoch)
    target = mine.incoming(source)
    if epoch == 0 or target.exists():
        return mine
    former = next((one for one in _former(place, source, epoch) if one.is_dir()), None)
    place.make_directory(target)
    if former is not None:
        _copy(files, former, target)
    return mine


def clear(files: host_files.Files, place: volumes.Volume, source: str) -> None:
    """What this writer and those before it brought is in its place, or of no use."""
    for directory in (place.incoming(source), *_former(place, source, place.epoch)):
        gone = directory.with_name(f"{_GONE}{directory.name}-{os.getpid()}")
        try:
            files.rename(directory, gone)
        except FileNotFoundError:
            continue
        files.remove_tree(gone)


def _former(place: volumes.Volume, source: str, epoch: int) -> list[Path]:
    """Newest first."""
    return [dataclasses.replace(place, epoch=one).incoming(source) for one in range(epoch - 1, -1, -1)]


def _copy(files: host_files.Files, former: Path, target: Path) -> None:
    """Whatever can be read; what is half written, or goes meanwhile, is fetched again."""
    for directory, _, names in os.walk(former):
        there = target / Path(directory).relative_to(former)
        files.make_directory(there)
        for name in names:
            try:
                files.copy(Path(directory) / name, there / name)
            except FileNotFoundError:
                continue
