"""Running one sync from the command line: signals, progress, and the words at its end."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Protocol

import click

from stationmaster.mirror import access, outcome, source

if TYPE_CHECKING:
    from rich import progress as rich_progress

_PATIENCE = 3.0


class Display(Protocol):
    """Shows progress; closed at the end."""

    def show(self, progress: outcome.Progress) -> None:
        """Take note of how far a phase is."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class SyncRun:
    """One `mirror sync`."""

    def __init__(
        self,
        dest: Path,
        wanted: source.Source,
        policy: outcome.SyncPolicy,
        *,
        credentials: access.Credentials,
        connections: int,
        is_quiet: bool,
    ) -> None:
        self._dest = dest
        self._source = wanted
        self._policy = policy
        self._credentials = credentials
        self._connections = connections
        self._is_quiet = is_quiet
        self._stop = threading.Event()

    def run(self) -> outcome.SyncOutcome:
        """Sync; Ctrl-C and SIGTERM end it in good order, and at once when it does not answer within three seconds."""
        from stationmaster.host import clock, files, http
        from stationmaster.mirror import engine, volume
        from stationmaster.model import errors

        display = self._display()
        former = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            place = volume.open_volume(files.Files(), self._dest)
            common = http.Http()
            machine = engine.Engine(files.Files(), common, clock.SystemClock(), connections=self._connections)
            with access.opened(self._credentials, self._source, common) as door:
                found = machine.through(door).sync(
                    place, self._source, progress=display.show, stop=self._stop, policy=self._policy
                )
            further = access.warnings_of(self._credentials, self._source)
            return dataclasses.replace(found, warnings=(*further, *found.warnings))
        except errors.StationmasterError as exc:
            return outcome.SyncOutcome(outcome.State.FAILED, None, 0, 0, 0, exc)
        finally:
            display.close()
            for number, handler in former.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if not self._stop.is_set():
            click.echo("Stopping; the next run resumes where this one ends.", err=True)
            self._stop.set()
            # A stalled upstream may hold a thread for long. Ending at any point is safe, as a SIGKILL would be.
            timer = threading.Timer(_PATIENCE, os._exit, (128 + number,))
            timer.daemon = True
            timer.start()

    def _display(self) -> Display:
        if self._is_quiet:
            return _Silent()
        return _Bar(self._source.name) if sys.stderr.isatty() else _Lines(self._source.name)


class _Silent:
    def show(self, progress: outcome.Progress) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class _Lines:
    """One line per change of phase, for logs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._phase: outcome.Phase | None = None

    def show(self, progress: outcome.Progress) -> None:
        """A line when the phase is another one."""
        if progress.phase is not self._phase:
            self._phase = progress.phase
            amount = f", {progress.files_total} files, {progress.bytes_total} bytes" if progress.files_total else ""
            click.echo(f"{self._name}: {progress.phase}{amount}", err=True)

    def close(self) -> None:
        """Nothing to put back."""


class _Bar:
    """A live bar on a terminal; the library is loaded only when there is something to wait for."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._progress: rich_progress.Progress | None = None
        self._task: rich_progress.TaskID | None = None

    def show(self, progress: outcome.Progress) -> None:
        """Move the bar."""
        if progress.phase is outcome.Phase.ROOT:
            return
        if self._progress is None:
            self._start()
        assert self._progress is not None  # noqa: S101 - for the type checker
        assert self._task is not None  # noqa: S101 - for the type checker
        self._progress.update(
            self._task,
            description=f"{self._name}: {progress.phase} {progress.files_done}/{progress.files_total}",
            completed=progress.bytes_done,
            total=progress.bytes_total or None,
        )

    def close(self) -> None:
        """Leave the last line standing."""
        if self._progress is not None:
            self._progress.stop()

    def _start(self) -> None:
        from rich import console, progress

        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.DownloadColumn(binary_units=True),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=console.Console(stderr=True),
        )
        self._task = self._progress.add_task(self._name, total=None)
        self._progress.start()


def print_outcome(result: outcome.SyncOutcome, dest: Path, name: str) -> None:
    """The last line, and what to do when it failed."""
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    cost = f"{result.bytes_downloaded} bytes in {result.requests} requests"
    if result.error is None:
        click.echo(
            f"{result.state}: {name} has {result.packages} packages in {dest / 'published' / name}/ ({cost}, "
            f"generation {result.generation})."
        )
        return
    click.echo(f"{result.state}: {name}: {result.error.code} ({cost}).", err=True)
    click.echo(f"error: {result.error.message}", err=True)
    if result.error.hint:
        click.echo(f"hint: {result.error.hint}", err=True)
    if result.generation:
        click.echo(f"Generation {result.generation} with {result.packages} packages is still served.", err=True)
