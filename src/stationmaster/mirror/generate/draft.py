"""What a format's writer hands over: a repository's metadata, whole and signed, before it gets its place.

Metadata lies in the draft's own directory until it is staged; packages are in the pool already.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.mirror import fileref, manifest, upstream, volume

Parse = Callable[..., Iterator[fileref.FileRef]]


@dataclasses.dataclass(frozen=True)
class Input:
    """A generation that is read: ``number`` is its place in the recipe."""

    number: int
    header: manifest.Header
    tree: Path

    @property
    def name(self) -> str:
        """The source it is a generation of."""
        return self.header.source


@dataclasses.dataclass(frozen=True)
class Draft:
    """Metadata as it will be served. ``made`` maps its paths to where they lie now; ``indexes`` name the packages."""

    format: str
    root: upstream.Root
    made: Mapping[str, Path]
    indexes: tuple[tuple[str, Parse], ...]
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Order:
    """What a writer needs beside inputs and selection: where to write, and the date of the result (Unix seconds)."""

    files: host_files.Files
    directory: Path
    made_at: int


def make_place(place: volume.Volume, files: host_files.Files, source: str) -> Path:
    """An empty directory for a draft; what a killed run left there goes."""
    directory = place.incoming(source) / "draft"
    files.remove_tree(directory)
    place.make_directory(directory)
    return directory
