"""What former generations keep below the published tree, where the engine publishes alone.

A client that read the root before a switch goes on with what it named: hashed metadata, by-hash files, packages.
Packages of a held generation stay in the site by themselves. Its metadata is linked into the tree of the generation
that is shown next, where that has nothing at the path; ``carried.json`` beside the manifest names each such path with
the generation it comes from, so that cleaning takes it away together with that one. Each publish costs what the last
one differs by.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from stationmaster.host import files as host_files
from stationmaster.mirror import failures, fileref, manifest, pool, volume

_METADATA = fileref.Kind.METADATA.value


class Superseded:
    """The former generations of one source; the caller holds the source's lock."""

    def __init__(self, files: host_files.Files, place: volume.Volume, source: str) -> None:
        self._files = files
        self._volume = place
        self._source = source

    def carry(self, former: manifest.Header, directory: Path, generation: str) -> None:
        """Bring what ``former`` shows, and ``directory`` has not, into the tree in ``directory``."""
        held = self._volume.generation(self._source, former.generation)
        if former.generation == generation or not held.is_dir():
            return
        carried = self._still_held(read_carried(directory))
        shown = dict.fromkeys(self._own_paths(held, former), former.generation)
        for path, origin in {**self._still_held(read_carried(held)), **shown}.items():
            target = directory / "tree" / path
            if origin != generation and not os.path.lexists(target) and self._link(held / "tree" / path, target):
                carried[path] = origin
        self._write(directory, carried)

    def forget(self, dropped: str) -> None:
        """Take away what the other generations carry of one that is gone."""
        for directory in sorted(self._volume.generations(self._source).iterdir()):
            carried = read_carried(directory)
            gone = [path for path, origin in carried.items() if origin == dropped]
            for path in gone:
                self._files.remove(directory / "tree" / path)
            if gone:
                self._write(directory, {path: origin for path, origin in carried.items() if origin != dropped})

    def _own_paths(self, held: Path, header: manifest.Header) -> Iterator[str]:
        """What lies in a generation's own tree, without the roots, of which there is one state at a time."""
        try:
            for entry in manifest.read_entries(held / "manifest.jsonl"):
                if entry.k == _METADATA and entry.p not in header.roots:
                    yield entry.p
            yield from msgspec.json.decode((held / "overlays.json").read_bytes(), type=list[str])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, failures.ManifestDamagedError):
            return

    def _still_held(self, carried: Mapping[str, str]) -> dict[str, str]:
        held = {name for name in set(carried.values()) if self._volume.manifest(self._source, name).exists()}
        return {path: origin for path, origin in carried.items() if origin in held}

    def _link(self, source: Path, target: Path) -> bool:
        try:
            self._volume.make_directory(target.parent)
            return pool.link_or_copy(self._files, source, target, mtime=int(source.stat().st_mtime))
        except (FileNotFoundError, FileExistsError, NotADirectoryError):
            return False  # it is damaged there, or a directory here is a file there: the new generation goes first

    def _write(self, directory: Path, carried: Mapping[str, str]) -> None:
        if carried or (directory / "carried.json").exists():
            content = msgspec.json.encode(dict(sorted(carried.items())))
            self._files.write_atomic(directory / "carried.json", content, durable=False)


def read_carried(directory: Path) -> dict[str, str]:
    """The paths that a generation carries for others, each with the generation it comes from."""
    try:
        return msgspec.json.decode((directory / "carried.json").read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
