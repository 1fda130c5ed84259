"""How far a sync of a group is: judged from what its stations in rotation report, so that a dead one blocks nothing.

A request ends when the leader has answered its number, and every station in rotation holds and shows what came of it.
It fails when every station that could lead has tried and failed, each with its reason; or when a station cannot even
begin to take over what the others have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from stationmaster.model import protocol, rotation
from stationmaster.model.work_request import Status

NOBODY = "No station of the group is in rotation; the sync goes on when one returns."


@dataclasses.dataclass(frozen=True)
class SourceSync:
    """One source of the sync. ``reports`` by station name: the station in rotation, and what it says of the source.

    ``staged``: what the leader brought and is not visible yet. ``copies``: by station name, the generation that it is
    to copy and from which station.
    """

    name: str
    number: int
    visible: protocol.Visible | None
    staged: str | None
    reports: Mapping[str, tuple[rotation.Station, protocol.SourceReport | None]]
    copies: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)


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
    tried = {name: run for name, (_, report) in sorted(sync.reports.items()) if (run := _run(sync, report)) is not None}
    lines = tuple(_lines(sync, tried))
    answered = [name for name, run in tried.items() if _is_answer(sync.reports[name][0], run)]
    problems = _problems(sync, tried, is_answered=bool(answered))
    is_seen = bool(answered) and _is_result_visible(sync, [tried[name] for name in answered])
    shown = [name for name, (station, _) in sync.reports.items() if is_seen and _is_shown(sync, station)]
    percentages = [100.0 if name in shown else _percentage(sync.reports[name][1]) for name in sync.reports]
    percentage = sum(percentages) / len(percentages)
    if problems:
        return Outcome(Status.FAILED, percentage, lines, problems)
    if len(shown) == len(sync.reports):
        return Outcome(Status.SUCCEEDED, 100.0, lines)
    return Outcome(Status.IN_PROGRESS if tried else Status.ACCEPTED, percentage, lines)


def _run(sync: SourceSync, report: protocol.SourceReport | None) -> protocol.SyncReport | None:
    """A sync that answers this request or a later one."""
    return report.sync if report and report.sync and report.sync.number >= sync.number else None


def _is_answer(station: rotation.Station, run: protocol.SyncReport) -> bool:
    """Whether it says what the upstream has; a copy from a peer does not."""
    return not run.is_running and run.problem is None and (bool(run.lease_token) or not station.is_led)


def _problems(
    sync: SourceSync, tried: Mapping[str, protocol.SyncReport], *, is_answered: bool
) -> tuple[protocol.Problem, ...]:
    failed = {name: run.problem for name, run in tried.items() if run.problem is not None and not run.is_running}
    if is_answered:
        # What was brought is copied until it is there; only one that cannot even begin will not end by itself.
        failed = {
            name: problem
            for name, problem in failed.items()
            if tried[name].time_started is None and not _is_shown(sync, sync.reports[name][0])
        }
    else:
        able = {name for name, (station, _) in sync.reports.items() if station.is_writable}
        if not (able or set(sync.reports)) <= set(failed):
            return ()
    return tuple(
        protocol.Problem(code=problem.code, message=f"{name} could not sync {sync.name}: {problem.message}")
        for name, problem in failed.items()
    )


def _lines(sync: SourceSync, tried: Mapping[str, protocol.SyncReport]) -> Iterable[str]:
    for name, run in tried.items():
        leads = f"{name} leads the sync of {sync.name}"
        if run.is_running and (run.lease_token or not sync.reports[name][0].is_led):
            yield f"{leads}."
        elif run.problem is not None and not run.is_running:
            yield f"{name} could not sync {sync.name}: {run.problem.message}"
        elif _is_answer(sync.reports[name][0], run):
            yield f"{leads} and found generation {run.generation}."
    for name, (generation, holder) in sorted(sync.copies.items()):
        if tried and generation == sync.staged:
            yield f"{name} copies generation {generation} of {sync.name} from {holder}."
    for name, (station, _) in sorted(sync.reports.items()):
        if any(_is_answer(sync.reports[one][0], run) for one, run in tried.items()) and _is_shown(sync, station):
            yield f"{name} holds and shows {sync.name} in generation {sync.visible.generation if sync.visible else ''}."


def _is_result_visible(sync: SourceSync, answers: Iterable[protocol.SyncReport]) -> bool:
    """Whether what a leader found is what clients are told.

    A leader may tell of its end one heartbeat before the new generation is seen on its volume; nothing is staged then,
    and nothing new is visible yet. Stations of the first release bring each what it found, and the newest counts.
    """
    found = {run.generation for run in answers if run.lease_token}
    return not found or (sync.visible is not None and sync.visible.generation in found)


def _is_shown(sync: SourceSync, station: rotation.Station) -> bool:
    """Done means seen by clients of this station, and that what the leader brought is not still to come."""
    visible, shown = sync.visible, station.shown
    if visible is None or shown is None or sync.staged not in (None, visible.generation):
        return False
    return visible.generation in station.fetchable and shown.number >= visible.number


def _percentage(report: protocol.SourceReport | None) -> float:
    run = report.sync if report else None
    return float(min(99, run.percentage)) if run is not None and run.is_running else 0.0
