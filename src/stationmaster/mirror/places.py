"""Where clients get each path of a held generation: its own tree, or the site that the generations of a source share.

What lies in its own tree beside metadata is written down (``overlays.json``), so that an overlay that was lost is not
taken for the file of that name in the site, which belongs to other generations.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec

from stationmaster.mirror import catalog, fileref, manifest
from stationmaster.mirror import volume as volumes

_METADATA = fileref.Kind.METADATA.value


@dataclasses.dataclass(frozen=True)
class Places:
    """The places of one generation; ``site`` is None where the engine alone shows another generation."""

    tree: Path
    site: Path | None
    overlays: frozenset[str]

    def of(self, entry: manifest.Entry) -> Path | None:
        """Where clients get the path; None when they get it nowhere, and only the pool has it."""
        own = self.tree / entry.p
        if entry.k == _METADATA or entry.p in self.overlays or own.exists():
            return own
        return None if self.site is None else self.site / entry.p


def places_of(place: volumes.Volume, source: str, generation: str) -> Places:
    """The places of a generation as it is on the volume now."""
    is_shown = catalog.published_generation(place, source) in (None, generation)
    try:
        content = (place.generation(source, generation) / "overlays.json").read_bytes()
        overlays = frozenset(msgspec.json.decode(content, type=list[str]))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        overlays = frozenset()
    site = place.published(source) if is_shown else None
    return Places(tree=place.tree(source, generation), site=site, overlays=overlays)
