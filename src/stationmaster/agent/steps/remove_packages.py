"""Removes packages; done when none of the names is installed."""

from __future__ import annotations

from collections.abc import Sequence

from stationmaster.agent.package_managers import base
from stationmaster.agent.steps import outcome
from stationmaster.model.protocol import Package, Problem


def remove_packages(manager: base.Manager, names: Sequence[str]) -> outcome.Outcome:
    """Remove ``names``; one that is not installed is fine."""
    if not names:
        return outcome.Outcome(problems=(Problem("InvalidParameter", "The job names no package to remove."),))
    before = manager.installed()
    present = [name for name in names if name not in outcome.missing_names(names, before)]
    if not present:
        return outcome.Outcome(log=("None of the packages is installed.",))
    said = manager.remove(present)

    def check(after: list[Package]) -> list[Problem]:
        kept = [name for name in present if name not in outcome.missing_names([name], after)]
        return [Problem("NotRemoved", f"{name} is still installed after the run.") for name in kept]

    return outcome.judge(manager, said, before, check)
