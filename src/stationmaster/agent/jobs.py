"""Carries out one job: pin, refresh, do, judge. Its report is written down by the caller before it is sent.

I14: a job sees the generations that it was dispatched for, from its first step to its last, whatever the group shows
meanwhile; when one of them cannot be had, nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stationmaster.agent import doors, pins, spool
from stationmaster.agent.package_managers import base
from stationmaster.agent.steps import install_packages, outcome, refresh, remove_packages, update_packages
from stationmaster.model import dispatch, errors
from stationmaster.model.protocol import JobReport, JobState, LogLine, Operation, Problem, Visible

Prepare = Callable[[Sequence[Visible]], tuple[base.Manager, outcome.Outcome]]
_CATEGORIES = {
    Operation.UPDATE_PACKAGES: base.Category.ALL,
    Operation.UPDATE_ALL: base.Category.ALL,
    Operation.UPDATE_SECURITY: base.Category.SECURITY,
    Operation.UPDATE_BUGFIX: base.Category.BUGFIX,
    Operation.UPDATE_ENHANCEMENT: base.Category.ENHANCEMENT,
}


def start_report(accepted: spool.AcceptedJob, through: doors.Doors) -> JobReport:
    """The report that a job was begun."""
    again = f" (try {accepted.attempts})" if accepted.attempts > 1 else ""
    names = " ".join(accepted.job.packages)
    line = LogLine(through.clock.now(), f"{accepted.job.operation.value}{again}: {names or 'started'}")
    return JobReport(accepted.job.work_request_id, 0, JobState.IN_PROGRESS, 10, [line])


def run_job(accepted: spool.AcceptedJob, prepare: Prepare, through: doors.Doors) -> JobReport:
    """Do it. Whatever goes wrong becomes the report's problems: the job fails, the agent goes on."""
    if accepted.attempts > spool.ATTEMPTS:
        words = f"The agent ended {spool.ATTEMPTS} times in the middle of this job; it is not tried again."
        return _final(accepted, outcome.Outcome(problems=(Problem("Interrupted", words),)), through)
    try:
        manager, prepared = _prepare(accepted, prepare, through)
        if accepted.attempts > 1:
            manager.repair()
        missing = tuple(problem for problem in prepared.problems if problem.code == pins.REQUIRED)
        is_blocked = missing and dispatch.needs_packages(accepted.job.operation)
        result = outcome.Outcome(prepared.log, missing) if is_blocked else _do(accepted, manager, prepared, through)
    except errors.StationmasterError as exc:
        result = outcome.Outcome(problems=(Problem(exc.code, str(exc)),))
    except OSError as exc:
        result = outcome.Outcome(problems=(Problem(errors.HostError.code, f"This machine could not do it: {exc}."),))
    return _final(accepted, result, through)


def _prepare(
    accepted: spool.AcceptedJob, prepare: Prepare, through: doors.Doors
) -> tuple[base.Manager, outcome.Outcome]:
    """Pin; again after a pause while a source that is needed gives no answer, since a station may just have died."""
    for pause in outcome.PAUSES:
        manager, prepared = prepare(accepted.job.visible)
        if all(problem.code != pins.REQUIRED for problem in prepared.problems):
            return manager, prepared
        through.clock.sleep(pause)
    return prepare(accepted.job.visible)


def _do(
    accepted: spool.AcceptedJob, manager: base.Manager, prepared: outcome.Outcome, through: doors.Doors
) -> outcome.Outcome:
    operation, names = accepted.job.operation, accepted.job.packages
    if operation is Operation.REMOVE_PACKAGES:
        return remove_packages.remove_packages(manager, names)
    fetched = refresh.refresh(manager, through.clock)
    if fetched.problems:
        return _together(prepared, fetched)
    if operation in (Operation.REFRESH_SOFTWARE, Operation.SET_SOFTWARE_SOURCES):
        return _together(prepared, outcome.Outcome(("Metadata of all sources is fresh.",)))
    if operation is Operation.INSTALL_PACKAGES:
        done = install_packages.install_packages(manager, names, through.clock)
    elif operation in _CATEGORIES:
        done = update_packages.update_packages(manager, names, _CATEGORIES[operation], through.clock)
    else:
        words = f"This agent cannot do {operation.value}."
        return outcome.Outcome(problems=(Problem("NotSupported", words),))
    # A source that could not be had is worth a problem only where the job did not get by without it.
    remarks = tuple(problem.message for problem in prepared.problems)
    return _together(outcome.Outcome(prepared.log + remarks, prepared.problems if done.problems else ()), done)


def _together(first: outcome.Outcome, second: outcome.Outcome) -> outcome.Outcome:
    return outcome.Outcome(first.log + second.log, first.problems + second.problems)


def _final(accepted: spool.AcceptedJob, result: outcome.Outcome, through: doors.Doors) -> JobReport:
    now = through.clock.now()
    lines = [LogLine(now, line) for line in result.log]
    state = JobState.FAILED if result.problems else JobState.SUCCEEDED
    return JobReport(accepted.job.work_request_id, 0, state, 100, lines, list(result.problems))
