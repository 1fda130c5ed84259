"""How far a sync of a group is: judged from what its stations in rotation report, so that a dead one blocks nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from stationmaster.model import protocol, rotation
from stationmaster.model.work_request import Status

NOBODY = "No station of the group is in rotation; the sync goes on when one returns."


@dataclasses.dataclass(frozen=True)
class SourceSync:
    """One source of the sync. ``reports`` by station name: the station in rotation, and what it says of the source.

    ``newer``: generations that are still to become visible.
    """

    name: str
    number: int
    visible: protocol.Visible | None
    newer: frozenset[str]
    reports: Mapping[str, tuple[rotation.Station, protocol.SourceReport | None]]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Where the sync is. ``lines`` are all lines the log should have by now, each worded once and for all."""

    status: Status
    percentage: float
    lines: tuple[str, ...]
    problems: tuple[protocol.Problem, ...] = ()


def judge(syncs: Iterable[SourceSync]) -> Outcome:
    """ACCEPTED until a station begins, FAILED when one ended with a problem, SUCCEEDED when all is done and visible."""
    told = [_judge_source(one) for one in syncs]
    lines = tuple(line for one in told for line in one.lines)
    problems = tuple(problem for one in told for problem in one.problems)
    percentage = sum(one.percentage for one in told) / len(told) if told else 100.0
    running = [one for one in told if one.status not in {Status.SUCCEEDED, Status.FAILED}]
    if running:
        # Others are still at it: their work is not thrown away, and the end tells of all problems at once.
        started = any(one.status is not Status.ACCEPTED for one in told)
        return Outcome(Status.IN_PROGRESS if started else Status.ACCEPTED, min(percentage, 99.0), lines, problems)
    if problems:
        return Outcome(Status.FAILED, percentage, lines, problems)
    return Outcome(Status.SUCCEEDED, 100.0, lines)


def _judge_source(sync: SourceSync) -> Outcome:
    if not sync.reports:
        return Outcome(Status.ACCEPTED, 0.0, (NOBODY,))
    lines: list[str] = []
    problems: list[protocol.Problem] = []
    percentages, syncing, unshown, started = [], 0, 0, False
    for name, (station, report) in sorted(sync.reports.items()):
        run = report.sync if report and report.sync and report.sync.number >= sync.number else None
        started = started or run is not None
        percentages.append(_percentage(run))
        if run is None or run.is_running:
            syncing += 1
            lines += [f"{name} syncs {sync.name}."] if run else []
        elif run.problem is not None:
            text = f"{name} could not sync {sync.name}: {run.problem.message}"
            problems.append(protocol.Problem(code=run.problem.code, message=text))
            lines.append(text)
        else:
            lines.append(f"{name} holds {sync.name} in generation {run.generation}.")
            unshown += not _is_shown(sync, station, run)
    percentage = sum(percentages) / len(percentages)
    if syncing or (unshown and not problems):
        # What is held and not yet visible comes up in a moment; next to a failure it may never, and the failure counts.
        return Outcome(Status.IN_PROGRESS if started else Status.ACCEPTED, percentage, tuple(lines), tuple(problems))
    return Outcome(Status.FAILED if problems else Status.SUCCEEDED, percentage, tuple(lines), tuple(problems))


def _is_shown(sync: SourceSync, station: rotation.Station, run: protocol.SyncReport) -> bool:
    """Done means seen by clients of this station, and that what this run brought is not still to come."""
    visible, shown = sync.visible, station.shown
    if visible is None or shown is None or run.generation in sync.newer:
        return False
    return visible.generation in station.fetchable and shown.number >= visible.number


def _percentage(run: protocol.SyncReport | None) -> float:
    if run is None:
        return 0.0
    return float(min(99, run.percentage)) if run.is_running else 100.0
