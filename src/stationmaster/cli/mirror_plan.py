"""What one `mirror sync` is to do: sources with their guards, and what they may take together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the engine is loaded by the command that runs it
    from stationmaster.mirror import access, limits, outcome, source


@dataclasses.dataclass(frozen=True)
class Task:
    """One source."""

    source: source.Source
    credentials: access.Credentials
    policy: outcome.SyncPolicy


@dataclasses.dataclass(frozen=True)
class Cleaning:
    """Clean afterwards, keeping this much; None in its place: leave everything."""

    generations: int = 2
    days: int = 3


@dataclasses.dataclass(frozen=True)
class Plan:
    """All of it. ``threads`` is how many files of one source are fetched side by side."""

    dest: Path
    tasks: tuple[Task, ...]
    settings: limits.LimitSettings
    threads: int = 8
    at_once: int = 4
    cleaning: Cleaning | None = None


def overridden(plan: Plan, options: Mapping[str, Any], *, threads: int | None = None) -> Plan:
    """The plan with what the command line says in place of its own."""
    settings = {
        "bytes_per_second": options["limit_rate"],
        "connections": options["connections"],
        "connections_per_host": options["connections_per_host"],
    }
    policy: dict[str, Any] = {"is_dry": options["dry_run"]}
    if options["reserve"] is not None:
        policy["reserve_bytes"] = options["reserve"]
    return dataclasses.replace(
        plan,
        settings=dataclasses.replace(plan.settings, **{key: value for key, value in settings.items() if value}),
        tasks=tuple(
            dataclasses.replace(task, policy=dataclasses.replace(task.policy, **policy)) for task in plan.tasks
        ),
        threads=min(threads or plan.threads, 32),
        cleaning=plan.cleaning or (Cleaning() if options["clean"] else None),
    )
