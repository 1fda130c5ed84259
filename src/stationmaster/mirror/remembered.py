"""What a sync leaves for the next one, so that a no-op can ask conditionally: ``.stationmaster/sources/<source>.json``.

Losing it costs one unconditional request, so it is not flushed to disk, and a damaged one counts as none.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from stationmaster.host import files as host_files
from stationmaster.mirror import source, upstream, volume


class _Known(msgspec.Struct, frozen=True, rename="camel"):
    url: str
    generation: str
    validators: dict[str, upstream.Validator]


def former_of(place: volume.Volume, wanted: source.Source) -> upstream.Former | None:
    """What the same address gave for a generation that is held; None when that is not known."""
    try:
        known = msgspec.json.decode(_path(place, wanted.name).read_bytes(), type=_Known)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if known.url != wanted.url:
        return None
    return upstream.Former(known.generation, place.tree(wanted.name, known.generation), known.validators)


def address_of(place: volume.Volume, name: str) -> str | None:
    """Where a source was last synced from; None when that is not known."""
    try:
        return msgspec.json.decode(_path(place, name).read_bytes(), type=_Known).url
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def remember_root(files: host_files.Files, place: volume.Volume, wanted: source.Source, root: upstream.Root) -> None:
    """Keep the validators of a root whose generation is held now."""
    known = _Known(wanted.url, root.generation, dict(root.validators))
    files.write_atomic(_path(place, wanted.name), msgspec.json.encode(known), durable=False)


def _path(place: volume.Volume, name: str) -> Path:
    return place.control / "sources" / f"{name}.json"
