"""What a sync leaves for the next one, so that a no-op can ask conditionally: ``.stationmaster/sources/<source>.json``.

Losing it costs one unconditional request, so it is not flushed to disk, and a damaged one counts as none.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from stationmaster.host import files as host_files
from stationmaster.mirror import upstream, volume


class _Known(msgspec.Struct, frozen=True, rename="camel"):
    url: str
    generation: str
    validators: dict[str, upstream.Validator]
    mirrors: list[str] = []


def former_of(place: volume.Volume, name: str) -> upstream.Former | None:
    """What an address gave for a generation that is held; None when that is not known."""
    known = _read(place, name)
    if known is None:
        return None
    return upstream.Former(known.url, known.generation, place.tree(name, known.generation), known.validators)


def addresses_of(place: volume.Volume, name: str) -> tuple[str, ...]:
    """Where a source was last synced from, the address of its root first; empty when that is not known."""
    known = _read(place, name)
    return () if known is None else (known.url, *known.mirrors)


def remember_root(
    files: host_files.Files, place: volume.Volume, name: str, root: upstream.Root, mirrors: Iterable[str]
) -> None:
    """Keep the validators of a root whose generation is held now, and where else its files are."""
    others = [base for base in mirrors if base != root.base]
    known = _Known(root.base, root.generation, dict(root.validators), others)
    files.write_atomic(_path(place, name), msgspec.json.encode(known), durable=False)


def _read(place: volume.Volume, name: str) -> _Known | None:
    try:
        return msgspec.json.decode(_path(place, name).read_bytes(), type=_Known)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _path(place: volume.Volume, name: str) -> Path:
    return place.control / "sources" / f"{name}.json"
