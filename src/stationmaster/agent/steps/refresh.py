"""Fetches the metadata of the pinned repositories, so that what follows sees what the hub saw."""

from __future__ import annotations

from stationmaster.agent.package_managers import base
from stationmaster.agent.steps import outcome
from stationmaster.host import clock
from stationmaster.model.protocol import Problem


def refresh(manager: base.Manager, wall_clock: clock.Clock) -> outcome.Outcome:
    """Refresh; a failure is a problem in the package manager's own words (a wrong key, a dead mirror)."""
    said = outcome.with_retries(manager.refresh, wall_clock)
    if said.is_success:
        return outcome.Outcome()
    words = manager.find_problems(said) or [Problem("", base.last_words(said))]
    problems = tuple(Problem("MetadataUnavailable", problem.message) for problem in words)
    return outcome.Outcome(tuple(outcome.said_log(said)), problems)
