"""What a volume holds, read off the volume itself (I7): true on shared storage and after any restart."""

from __future__ import annotations

import dataclasses
import datetime

from stationmaster.mirror import volume as volumes


@dataclasses.dataclass(frozen=True)
class HeldGeneration:
    """A whole generation on a volume. Times: ``root_time`` is the upstream's own, ``held_since`` ours."""

    source: str
    generation: str
    packages: int
    unique_packages: int
    total_bytes: int
    root_time: datetime.datetime
    held_since: datetime.datetime


def list_sources(volume: volumes.Volume) -> tuple[str, ...]:
    """Names of the sources that have at least one generation directory, sorted."""
    raise NotImplementedError


def list_generations(volume: volumes.Volume, source: str) -> tuple[HeldGeneration, ...]:
    """The held generations of a source, oldest first by when they came onto the volume."""
    raise NotImplementedError


def find_generation(volume: volumes.Volume, source: str, generation: str) -> HeldGeneration | None:
    """One held generation; None when its manifest or a root document is not there."""
    raise NotImplementedError


def is_held_whole(volume: volumes.Volume, source: str, generation: str) -> bool:
    """I4: every path of the manifest is there with its size, where a station serves it. One stat per path."""
    raise NotImplementedError


def published_generation(volume: volumes.Volume, source: str) -> str | None:
    """The generation that ``published/<source>`` shows when the engine publishes alone; None in a station."""
    raise NotImplementedError
