"""What a sync shows while it runs: bars on a terminal, one line per change of state in a log, nothing for programs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import click

from stationmaster.cli import output
from stationmaster.host import clock as clocks
from stationmaster.mirror import outcome
from stationmaster.model import plain_text

if TYPE_CHECKING:
    from rich import progress as rich_progress

    from stationmaster.mirror import ledger

_SHOW_SECONDS = 0.1


class Display(Protocol):
    """Hears of all sources, from several threads; closed at the end."""

    def show(self, name: str, progress: outcome.Progress) -> None:
        """Take note of how far a source is."""
        ...

    def end(self, name: str) -> None:
        """Take note that a source is done with."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def make_display(sources: int, *, is_quiet: bool) -> Display:
    """The one that fits where standard error leads."""
    if is_quiet:
        return _Silent()
    return _Bars(sources) if sys.stderr.isatty() else _Lines()


class _Silent:
    def show(self, name: str, progress: outcome.Progress) -> None:
        """Nothing."""

    def end(self, name: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class _Lines:
    """One line per change of phase, and for what is waited for."""

    def __init__(self) -> None:
        self._seen: dict[str, outcome.Phase] = {}

    def show(self, name: str, progress: outcome.Progress) -> None:
        """A line when something is new."""
        if progress.note or progress.ledger is not None:
            click.echo(f"{name}: {progress.note or describe_ledger(progress.ledger)}", err=True)
        elif progress.phase is not self._seen.get(name):
            self._seen[name] = progress.phase
            amount = f", {progress.files_total} files, {output.format_size(progress.bytes_total)}"
            click.echo(f"{name}: {progress.phase}{amount if progress.files_total else ''}", err=True)

    def end(self, name: str) -> None:
        """The outcome is told by whoever asked for it."""

    def close(self) -> None:
        """Nothing to put back."""


class _Bars:
    """A bar for each source that is being synced, and one for all; the library is loaded when there is one to draw."""

    def __init__(self, sources: int) -> None:
        self._sources = sources
        self._clock = clocks.SystemClock()
        self._lock = threading.Lock()
        self._progress: rich_progress.Progress | None = None
        self._tasks: dict[str, rich_progress.TaskID] = {}
        self._latest: dict[str, outcome.Progress] = {}
        self._shown_at: dict[str, float] = {}
        self._ended = 0

    def show(self, name: str, progress: outcome.Progress) -> None:
        """Move the bars, ten times a second at most."""
        with self._lock:
            if progress.note or progress.ledger is not None:
                self._say(f"{name}: {progress.note or describe_ledger(progress.ledger)}")
                return
            former = self._latest.get(name)
            self._latest[name] = progress
            now = self._clock.monotonic()
            is_new = former is None or former.phase is not progress.phase or progress.files_done == progress.files_total
            if progress.phase is outcome.Phase.ROOT or not (is_new or now - self._shown_at[name] > _SHOW_SECONDS):
                return
            self._shown_at[name] = now
            self._draw(name, progress)

    def end(self, name: str) -> None:
        """Take its bar away."""
        with self._lock:
            self._ended += 1
            if self._progress is not None and name in self._tasks and self._sources > 1:
                self._progress.remove_task(self._tasks.pop(name))
            self._draw_all()

    def close(self) -> None:
        """Leave the last line standing."""
        if self._progress is not None:
            self._progress.stop()

    def _say(self, line: str) -> None:
        if self._progress is not None:
            self._progress.console.print(line, highlight=False, markup=False)
        else:
            click.echo(line, err=True)

    def _draw(self, name: str, progress: outcome.Progress) -> None:
        bars = self._progress or self._start()
        if name not in self._tasks:
            self._tasks[name] = bars.add_task(name, total=None)
        if not progress.files_total:  # nothing to count: what was counted before stands
            bars.update(self._tasks[name], description=f"{name}: {progress.phase}")
        else:
            bars.update(
                self._tasks[name],
                description=f"{name}: {progress.phase} {progress.files_done}/{progress.files_total}",
                completed=progress.bytes_done,
                total=progress.bytes_total or None,
            )
        self._draw_all()

    def _draw_all(self) -> None:
        if self._progress is None or self._sources < 2:
            return
        packages = [one for one in self._latest.values() if one.phase is outcome.Phase.PACKAGES]
        self._progress.update(
            self._tasks[""],
            description=f"in all: {self._ended}/{self._sources} sources",
            completed=sum(one.bytes_done for one in packages),
            total=sum(one.bytes_total for one in packages) or None,
        )

    def _start(self) -> rich_progress.Progress:
        from rich import console, progress

        self._progress = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.DownloadColumn(binary_units=True),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=console.Console(stderr=True),
        )
        if self._sources > 1:
            self._tasks[""] = self._progress.add_task("in all", total=None)
        self._progress.start()
        return self._progress


def describe_ledger(found: ledger.Ledger | None) -> str:
    """The byte ledger in a line."""
    if found is None:
        return ""
    size = output.format_size
    granted = f", {size(found.granted_bytes)} granted to other syncs" if found.granted_bytes else ""
    return (
        f"needs {size(found.needed_bytes)} in {found.needed_files} files, holds {size(found.held_bytes)}, "
        f"{size(found.free_bytes)} free{granted}, {size(found.reserve_bytes)} in reserve"
    )


def outcome_object(name: str, result: outcome.SyncOutcome) -> Mapping[str, object]:
    """An outcome as `--json` shows it (design section 12)."""
    import dataclasses

    error = result.error
    return {
        "name": name,
        "state": result.state.value,
        "generation": result.generation,
        "packages": result.packages,
        "bytes_downloaded": result.bytes_downloaded,
        "requests": result.requests,
        "error": None if error is None else {"code": error.code, "message": str(error)},
        "warnings": list(result.warnings),
        "ledger": None if result.ledger is None else dataclasses.asdict(result.ledger),
    }


def _describe_failure(result: outcome.SyncOutcome) -> str:
    """What, which file of which upstream, expected and got, and what clients see now."""
    assert result.error is not None  # noqa: S101 - for the type checker
    held = f"Generation {result.generation} with {result.packages} packages is still served."
    return f"{result.error.code}: {result.error}{' ' + held if result.generation else ''}"


def print_outcome(name: str, result: outcome.SyncOutcome, shown_at: str) -> None:
    """The last line of a source, and what to do when it failed."""
    for warning in result.warnings:
        click.echo(plain_text.one_line(f"warning: {name}: {warning}"), err=True)
    cost = f"{output.format_size(result.bytes_downloaded)} in {result.requests} requests"
    if result.error is not None:
        click.echo(plain_text.one_line(f"{result.state}: {name}: {_describe_failure(result)} ({cost})"), err=True)
    elif result.state is outcome.State.PENDING:
        what = describe_ledger(result.ledger) if result.ledger else "what is held would be shown"
        click.echo(f"{result.state}: {name}: {what}.")
    else:
        click.echo(
            f"{result.state}: {name} has {result.packages} packages in {shown_at} ({cost}, "
            f"generation {result.generation})."
        )
