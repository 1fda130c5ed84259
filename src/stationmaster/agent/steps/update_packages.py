"""Updates packages: those named, or all; done when no source has a newer version of what was to be updated."""

from __future__ import annotations

from collections.abc import Sequence

from stationmaster.agent.package_managers import base
from stationmaster.agent.steps import outcome
from stationmaster.host import clock
from stationmaster.model.protocol import Package, Problem

EVERYTHING = "ALL"


def update_packages(
    manager: base.Manager, names: Sequence[str], category: base.Category, wall_clock: clock.Clock
) -> outcome.Outcome:
    """Update ``names``; none, or the word ALL, means every package (of the category)."""
    chosen = [] if any(name.upper() == EVERYTHING for name in names) else list(names)
    before = manager.installed()
    absent = outcome.missing_names(chosen, before)
    if absent:
        return outcome.Outcome(
            problems=tuple(
                Problem("NotInstalled", f"{name} is not installed, so it cannot be updated.") for name in absent
            )
        )
    said = outcome.with_retries(lambda: manager.update(chosen, category), wall_clock)
    left = manager.updatable() if said.is_success else []

    def check(after: list[Package]) -> list[Problem]:
        if chosen:
            held = [package for package in left if any(outcome.matches(package, name) for name in chosen)]
        else:
            # Packages may be held back on purpose; but an update of everything that moved nothing did not work.
            held = left if category is base.Category.ALL and after == before else []
        return [
            Problem("NotUpdated", f"{one.name} is still {one.version}; {one.available_version} is available.")
            for one in held
        ]

    return outcome.judge(manager, said, before, check)
