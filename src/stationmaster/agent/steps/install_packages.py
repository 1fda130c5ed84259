"""Installs packages; done when each name is installed."""

from __future__ import annotations

from collections.abc import Sequence

from stationmaster.agent.package_managers import base
from stationmaster.agent.steps import outcome
from stationmaster.host import clock
from stationmaster.model.protocol import Package, Problem

_ADVICE = "check the name, or synchronise the source that should have it."


def install_packages(manager: base.Manager, names: Sequence[str], wall_clock: clock.Clock) -> outcome.Outcome:
    """Install ``names``; the exit status alone is not believed (engines.md 5)."""
    if not names:
        return outcome.Outcome(problems=(Problem("InvalidParameter", "The job names no package to install."),))
    before = manager.installed()
    said = outcome.with_retries(lambda: manager.install(names), wall_clock)

    def check(after: list[Package]) -> list[Problem]:
        missing = outcome.missing_names(names, after)
        unknown = outcome.unknown_names(missing, said)
        return [
            Problem("PackageNotVisible", f"{name} is in none of the generations that the stations show; {_ADVICE}")
            if name in unknown
            else Problem("NotInstalled", f"{name} is not installed after the run.")
            for name in missing
        ]

    return outcome.judge(manager, said, before, check)
