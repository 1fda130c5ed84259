"""The unpinned tree of a source, for clients set up by hand (ha-protocol R3): which generation answers a path.

Names that a client learns from an index of whatever generation it happened to read come from all that are kept here:
hashed metadata and by-hash, whose bytes the name fixes, and packages, by the manifest of the visible generation first.
Everything else, plain names, is of the visible generation or absent: beside the root of another one it would be a lie.
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse

from stationmaster.mirror import catalog, failures, fileref, lookup, manifest, volume

HELD = "/.held/"
_FIXED_BY_NAME = re.compile(r"(?:^|/)(?:by-hash/|[0-9a-f]{32,128}-[^/]+$)")


@dataclasses.dataclass(frozen=True)
class Place:
    """The generation whose manifest has the path; ``is_here``: its own tree has the file."""

    source_id: str
    generation: str
    entry: manifest.Entry
    is_here: bool

    @property
    def internal_path(self) -> str:
        """Where nginx finds the file, in the form of ``X-Accel-Redirect``."""
        return urllib.parse.quote(f"{HELD}{self.source_id}/{self.generation}/tree/{self.entry.p}")


def find_place(found: volume.Volume, source_id: str, path: str, visible: str) -> Place | None:
    """Where the unpinned tree has ``path``: the visible generation before the others, which come newest first.

    One whose own tree has the file goes before one that would have to be filled from a peer.
    """
    kept = [one.generation for one in reversed(catalog.list_generations(found, source_id))]
    lacking: Place | None = None
    for generation in sorted(kept, key=lambda one: one != visible):
        try:
            entry = lookup.find_entry(found.manifest(source_id, generation), path)
        except (failures.ManifestDamagedError, OSError):
            continue
        if entry is None or not (generation == visible or _is_for_all(entry)):
            continue
        if (found.tree(source_id, generation) / entry.p).is_file():
            return Place(source_id, generation, entry, is_here=True)
        lacking = lacking or Place(source_id, generation, entry, is_here=False)
    return lacking


def _is_for_all(entry: manifest.Entry) -> bool:
    return entry.k != fileref.Kind.METADATA.value or _FIXED_BY_NAME.search(entry.p) is not None
