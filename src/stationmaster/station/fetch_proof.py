"""R4: held means fetchable. Every path of a generation is asked for at this station's own mirror, as a client would.

The question carries the probe token, so that it is answered whatever range is permitted, and the mark of a request that
came from a peer, so that no peer's copy can stand in for a file that is missing here.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from stationmaster.host import pipeline
from stationmaster.mirror import manifest
from stationmaster.model import errors

_SHOWN = 5


def prove(address: str, port: int, token: str, source_id: str, manifest_path: Path) -> int:
    """The number of paths, when all answer 200; PeerError names some that do not."""
    generation = manifest_path.parent.name
    headers = {"X-Stationmaster-Probe": token, "X-Stationmaster-Hop": "1"}
    base = f"/g/{source_id}/{generation}/"
    count, missing = 0, []
    for answer in pipeline.head_all(address, port, _targets(base, manifest_path), headers=headers):
        count += 1
        if answer.status != 200:
            missing.append(f"{answer.target.removeprefix(base)} ({answer.status})")
            if len(missing) == _SHOWN:
                break
    if missing:
        raise errors.PeerError(
            f"Generation {generation} is not fetchable at {address}:{port}: {', '.join(missing)}.",
            hint="Sync the source again; the generation is not shown until it is whole.",
            code="NotFetchable",
        )
    return count


def _targets(base: str, manifest_path: Path) -> Iterator[str]:
    for entry in manifest.read_entries(manifest_path):
        yield base + urllib.parse.quote(entry.p)
