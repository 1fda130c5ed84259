"""R4: held means fetchable. Every path of a generation is asked for at this station's own mirror, as a client would.

It must be there with the size that the manifest says; small metadata is read, and must have its digest.

The question carries the probe token, so that it is answered whatever range is permitted, and the mark of a request that
came from a peer, so that no peer's copy can stand in for a file that is missing here.
"""

from __future__ import annotations

import itertools
import urllib.parse
from pathlib import Path

from stationmaster.host import pipeline
from stationmaster.mirror import failures, fileref, manifest
from stationmaster.model import errors

_SHOWN = 5
_SMALL = 1 << 20
_MOST_READ = 32 << 20


def prove(address: str, port: int, token: str, source_id: str, manifest_path: Path) -> int:
    """The number of paths, when all answer 200; PeerError names some that do not."""
    generation = manifest_path.parent.name
    headers = {"X-Stationmaster-Probe": token, "X-Stationmaster-Hop": "1"}
    base = f"/g/{source_id}/{generation}/"
    count, missing = 0, []
    asked, expected = itertools.tee(manifest.read_entries(manifest_path))
    answers = pipeline.head_all(address, port, (base + urllib.parse.quote(one.p) for one in asked), headers=headers)
    for answer, entry in zip(answers, expected, strict=True):
        count += 1
        if answer.status != 200 or answer.size not in (-1, entry.s):
            found = f"{answer.size} bytes, not {entry.s}" if answer.status == 200 else str(answer.status)
            missing.append(f"{entry.p} ({found})")
            if len(missing) == _SHOWN:
                break
    if missing:
        raise errors.PeerError(
            f"Generation {generation} is not fetchable at {address}:{port}: {', '.join(missing)}.",
            hint="Sync the source again; the generation is not shown until it is whole.",
            code="NotFetchable",
        )
    return count


def require_metadata(manifest_path: Path) -> None:
    """The small files from which clients learn all others have the bytes they should; DigestMismatchError if not.

    Sizes of all others are part of ``prove``; their digests are looked at by clients, and by ``mirror verify``.
    """
    tree, read = manifest_path.parent / "tree", 0
    for entry in manifest.read_entries(manifest_path):
        if entry.k != fileref.Kind.METADATA.value or entry.s > _SMALL or read + entry.s > _MOST_READ:
            continue
        read += entry.s
        if fileref.digest_of(tree / entry.p) != entry.d:
            raise failures.DigestMismatchError(
                f"{entry.p} of generation {manifest_path.parent.name} has other bytes than its manifest says.",
                hint="Check the volume; `mirror verify --repair` fetches it again.",
            )
