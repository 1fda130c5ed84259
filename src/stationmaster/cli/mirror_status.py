"""What `mirror status` shows: the volume, and each source with its generations."""

from __future__ import annotations

from typing import Any

import click

from stationmaster.cli import output
from stationmaster.mirror import catalog, lock
from stationmaster.mirror import volume as volumes


def describe(volume: volumes.Volume) -> dict[str, Any]:
    """Everything as plain values, as JSON shows it."""
    space = volume.space()
    busy = lock.live_locks(volume.control)
    return {
        "volume": volume.id,
        "path": str(volume.root),
        "total_bytes": space.total_bytes,
        "available_bytes": space.available_bytes,
        "sources": [_describe_source(volume, name, busy) for name in catalog.list_sources(volume)],
    }


def print_description(found: dict[str, Any]) -> None:
    """The same for people: a line on the volume, a table of generations."""
    free, total = (output.format_size(found[key]) for key in ("available_bytes", "total_bytes"))
    click.echo(f"Volume {found['volume']} at {found['path']}: {free} of {total} free.")
    rows = [
        [
            source["name"] + (" (syncing)" if source["is_syncing"] else ""),
            generation["generation"] + (" *" if generation["generation"] == source["published"] else ""),
            generation["format"],
            str(generation["packages"]),
            output.format_size(generation["total_bytes"]),
            output.format_time(generation["root_time"]),
            output.format_time(generation["held_since"]),
        ]
        for source in found["sources"]
        for generation in source["generations"]
    ]
    if rows:
        output.print_table(["Source", "Generation", "Format", "Packages", "Size", "Upstream of", "Held since"], rows)
        click.echo("* published")
    else:
        click.echo("It holds no source yet.")


def _describe_source(volume: volumes.Volume, name: str, busy: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "published": catalog.published_generation(volume, name),
        "is_syncing": name in busy,
        "generations": [
            {
                "generation": held.generation,
                "format": held.format,
                "packages": held.packages,
                "total_bytes": held.total_bytes,
                "root_time": held.root_time.isoformat(),
                "held_since": held.held_since.isoformat(),
            }
            for held in catalog.list_generations(volume, name)
        ],
    }
