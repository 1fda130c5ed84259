"""One path in a manifest, without reading all of it: lines are sorted by path, so a few jumps find it."""

from __future__ import annotations

import mmap
from pathlib import Path

import msgspec

from stationmaster.mirror import failures, manifest

_decoder = msgspec.json.Decoder(manifest.Entry)


def find_entry(path: Path, wanted: str) -> manifest.Entry | None:
    """The entry of ``wanted``; None when the manifest does not have it, ManifestDamagedError when it cannot tell."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        low, high = content.find(b"\n") + 1, len(content)
        while low < high:
            begin = content.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = content.find(b"\n", begin)
            if end < 0:
                raise failures.ManifestDamagedError(f"{path} ends in the middle of a line.", hint="Sync again.")
            entry = _decoded(content[begin:end], path)
            if entry.p == wanted:
                return entry
            if entry.p < wanted:
                low = end + 1
            else:
                high = begin
    return None


def _decoded(line: bytes, path: Path) -> manifest.Entry:
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise failures.ManifestDamagedError(f"{path} is damaged: {exc}.", hint="Sync again.") from exc
