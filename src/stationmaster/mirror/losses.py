"""What a held generation has lost: a quick look, by size, at every path where clients get it.

One stat(2) a path, and the digests of small metadata, from which clients learn all others. ``inspection`` reads every
byte instead, and takes accordingly long.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stationmaster.mirror import catalog, fileref, inspection, manifest, places
from stationmaster.mirror import volume as volumes

_METADATA = fileref.Kind.METADATA.value
_SMALL = 1 << 20
_MOST_READ = 32 << 20
_LOOKS = 256


def find_losses(
    place: volumes.Volume,
    source: str,
    generation: str,
    *,
    pause: Callable[[int], None] = lambda _: None,
    most: int = 10_000,
) -> list[inspection.Finding]:
    """At most ``most`` findings; empty when nothing is lost, or the generation is not held at all.

    ``pause`` is called after each few looks, with their number. ManifestDamagedError when the manifest cannot be read.
    """
    if catalog.find_header(place, source, generation) is None:
        return []
    where = places.places_of(place, source, generation)
    found: list[inspection.Finding] = []
    readable = _MOST_READ
    for number, entry in enumerate(manifest.read_entries(place.manifest(source, generation)), 1):
        path = where.of(entry) or place.pool_path("sha256", entry.d)
        is_read = entry.k == _METADATA and entry.s <= min(_SMALL, readable)
        readable -= entry.s if is_read else 0
        wrong = _wrong(path, entry, is_read=is_read)
        if wrong is not None:
            found.append(inspection.Finding(source, generation, entry.p, *wrong))
        if len(found) >= most:
            break
        if number % _LOOKS == 0:
            pause(_LOOKS)
    return found


def _wrong(path: Path, entry: manifest.Entry, *, is_read: bool) -> tuple[inspection.Problem, str, str] | None:
    try:
        size = path.stat().st_size
        if size != entry.s:
            return inspection.Problem.SIZE, str(entry.s), str(size)
        digest = fileref.digest_of(path) if is_read else entry.d
    except FileNotFoundError:
        return inspection.Problem.MISSING, entry.d, "nothing"
    except OSError as exc:
        return inspection.Problem.UNREADABLE, entry.d, exc.strerror or str(exc)
    return None if digest == entry.d else (inspection.Problem.DIGEST, entry.d, digest)
