"""What `mirror status` shows: the volume, and each source with its generations."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import click

from stationmaster.cli import output
from stationmaster.mirror import catalog, lock, retention
from stationmaster.mirror import volume as volumes
from stationmaster.mirror.generate import record


def describe(volume: volumes.Volume, now: datetime.datetime) -> dict[str, Any]:
    """Everything as plain values, as JSON shows it."""
    space = volume.space()
    busy = lock.live_locks(volume.control)
    return {
        "volume": volume.id,
        "path": str(volume.root),
        "total_bytes": space.total_bytes,
        "available_bytes": space.available_bytes,
        "sources": [_describe_source(volume, name, busy, now) for name in catalog.list_sources(volume)],
    }


def print_description(found: dict[str, Any]) -> None:
    """The same for people: a line on the volume, a table of generations."""
    free, total = (output.format_size(found[key]) for key in ("available_bytes", "total_bytes"))
    click.echo(f"Volume {found['volume']} at {found['path']}: {free} of {total} free.")
    rows = [
        [
            source["name"] + (" (syncing)" if source["is_syncing"] else ""),
            generation["generation"] + (" *" if generation["generation"] == source["published"] else ""),
            generation["format"] + _origin(generation["generated"]),
            str(generation["packages"]),
            output.format_size(generation["total_bytes"]),
            output.format_time(generation["root_time"]),
            output.format_time(generation["held_since"]),
            _kept(generation),
        ]
        for source in found["sources"]
        for generation in source["generations"]
    ]
    if rows:
        output.print_table(
            ["Source", "Generation", "Format", "Packages", "Size", "Upstream of", "Held since", "Kept"], rows
        )
        click.echo("* published")
    else:
        click.echo("It holds no source yet.")


def _describe_source(volume: volumes.Volume, name: str, busy: list[str], now: datetime.datetime) -> dict[str, Any]:
    generations = catalog.list_generations(volume, name)
    shown = frozenset({catalog.published_generation(volume, name) or ""})
    policy = retention.RetentionPolicy()
    judged = retention.judge_generations(generations, shown, now, policy)
    return {
        "name": name,
        "published": catalog.published_generation(volume, name),
        "is_syncing": name in busy,
        "generations": [
            {
                "generation": held.generation,
                "format": held.format,
                "generated": _generated(volume, name, held.generation),
                "packages": held.packages,
                "total_bytes": held.total_bytes,
                "root_time": held.root_time.isoformat(),
                "held_since": held.held_since.isoformat(),
                "age_seconds": int((now - held.held_since).total_seconds()),
                "is_kept": judged[held.generation][0],
                "reason": judged[held.generation][1],
                "retained_until": until.isoformat() if until else None,
            }
            for held, until in zip(generations, _lapses(generations, shown, policy), strict=True)
        ],
    }


def _generated(volume: volumes.Volume, source: str, generation: str) -> dict[str, Any] | None:
    """What it was made of here; None for what came from elsewhere."""
    made = record.read_record(volume, source, generation)
    if made is None:
        return None
    return {"inputs": [str(one) for one in made.inputs], "frozen": made.recipe.frozen or None, "key": made.key}


def _origin(generated: Mapping[str, Any] | None) -> str:
    if generated is None:
        return ""
    names = ", ".join(one.partition("@")[0] for one in generated["inputs"])
    return f" from {names}" + (f", frozen {generated['frozen']}" if generated["frozen"] else "")


def _lapses(
    generations: Sequence[catalog.HeldGeneration], shown: frozenset[str], policy: retention.RetentionPolicy
) -> list[datetime.datetime | None]:
    """Until when each is kept for its age; None for those that stay for another reason."""
    return [
        generations[index + 1].held_since + policy.age
        if index < len(generations) - policy.generations and held.generation not in shown
        else None
        for index, held in enumerate(generations)
    ]


def _kept(generation: Mapping[str, Any]) -> str:
    if not generation["is_kept"]:
        return f"may go: {generation['reason']}"
    until = generation["retained_until"]
    return f"until {output.format_time(until)}" if until else str(generation["reason"])
