"""Running the syncs of one command: sources side by side under common limits, signals, cleaning at the end."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING

import click

from stationmaster.cli import mirror_display, mirror_plan
from stationmaster.mirror import outcome

if TYPE_CHECKING:
    from stationmaster.mirror import engine, exchange, retention, volume

_PATIENCE = 3.0


class SyncRun:
    """One `mirror sync`."""

    def __init__(self, plan: mirror_plan.Plan, *, is_quiet: bool) -> None:
        self._plan = plan
        self._display = mirror_display.make_display(len(plan.tasks), is_quiet=is_quiet)
        self._stop = threading.Event()

    def run(self) -> Iterator[tuple[mirror_plan.Task, outcome.SyncOutcome]]:
        """Sync, and tell each outcome in the order of the plan, as soon as those before it are told.

        Ctrl-C and SIGTERM end it in good order, and at once when it does not answer within three seconds.
        """
        former = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield from self._run()
        finally:
            self._display.close()
            for number, handler in former.items():
                signal.signal(number, handler)

    def _run(self) -> Iterator[tuple[mirror_plan.Task, outcome.SyncOutcome]]:
        from stationmaster.host import clock, files, http
        from stationmaster.mirror import engine, limits, volume
        from stationmaster.model import errors

        tasks, common, now = self._plan.tasks, http.Http(), clock.SystemClock()
        try:
            place = volume.open_volume(files.Files(), self._plan.dest)
        except errors.StationmasterError as exc:
            yield from ((task, _failed(exc)) for task in tasks)
            return
        shared = limits.Limits(now, self._plan.settings)
        machine = engine.Engine(files.Files(), common, now, connections=self._plan.threads, limits=shared)
        if len(tasks) == 1:
            yield tasks[0], self._sync(machine, place, common, tasks[0])
            return
        yield from self._side_by_side(machine, place, common, tasks)

    def _side_by_side(
        self,
        machine: engine.Engine,
        place: volume.Volume,
        common: exchange.HttpDoor,
        tasks: Sequence[mirror_plan.Task],
    ) -> Iterator[tuple[mirror_plan.Task, outcome.SyncOutcome]]:
        from concurrent import futures

        with futures.ThreadPoolExecutor(self._plan.at_once, thread_name_prefix="source") as pool:
            waiting = [pool.submit(self._sync, machine, place, common, task) for task in tasks]
            for task, future in zip(tasks, waiting, strict=True):
                yield task, future.result()

    def _sync(
        self, machine: engine.Engine, place: volume.Volume, common: exchange.HttpDoor, task: mirror_plan.Task
    ) -> outcome.SyncOutcome:
        """One source to its end; what is wrong with it stays with it."""
        from stationmaster.mirror import access, failures
        from stationmaster.model import errors

        name = task.source.name
        try:
            if self._stop.is_set():
                raise failures.StoppedError("It was stopped before its turn.", hint="The next run goes on.")
            with access.opened(task.credentials, task.source, common) as door:
                found = machine.through(door).sync(
                    place,
                    task.source,
                    progress=lambda progress: self._display.show(name, progress),
                    stop=self._stop,
                    policy=task.policy,
                )
        except errors.StationmasterError as exc:
            found = _failed(exc)
        further = access.warnings_of(task.credentials, task.source)
        found = dataclasses.replace(found, warnings=(*further, *found.warnings))
        self._display.end(name)
        return found

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if not self._stop.is_set():
            click.echo("Stopping; the next run resumes where this one ends.", err=True)
            self._stop.set()
            # A stalled upstream may hold a thread for long. Ending at any point is safe, as a SIGKILL would be.
            timer = threading.Timer(_PATIENCE, os._exit, (128 + number,))
            timer.daemon = True
            timer.start()


def clean_after(plan: mirror_plan.Plan, results: Sequence[outcome.SyncOutcome]) -> list[retention.Verdict]:
    """What went, by the plan's cleaning: nothing unless something new came and nothing failed."""
    states = {result.state for result in results}
    if plan.cleaning is None or outcome.State.SYNCED not in states or outcome.State.FAILED in states:
        return []
    import datetime

    from stationmaster.host import clock, files
    from stationmaster.mirror import retention, volume

    policy = retention.RetentionPolicy(plan.cleaning.generations, datetime.timedelta(days=plan.cleaning.days))
    place = volume.open_volume(files.Files(), plan.dest)
    cleaner = retention.Cleaner(files.Files(), place, clock.SystemClock(), policy=policy)
    return [verdict for verdict in cleaner.clean() if verdict.is_removed]


def _failed(error: Exception) -> outcome.SyncOutcome:
    from stationmaster.model import errors

    assert isinstance(error, errors.StationmasterError)  # noqa: S101 - for the type checker
    return outcome.SyncOutcome(outcome.State.FAILED, None, 0, 0, 0, error)
