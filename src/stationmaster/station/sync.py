"""Syncs: runs the mirror engine for one source at a time and thread, and says how far it is and how it ended.

A failure keeps the last good generation and is tried again later, with longer and longer pauses. What a source's state
is called is decided from the volume (``report``), not here.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.host import http as host_http
from stationmaster.mirror import engine, failures, outcome, volume
from stationmaster.mirror import source as mirror_source
from stationmaster.model import errors, protocol
from stationmaster.station import background, memory, observe
from stationmaster.station import board as boards
from stationmaster.station import snapshot as snapshots

_log = logging.getLogger(__name__)
_LOG_LINES = 200
_SHOW_SECONDS = 0.5
_FIRST_PAUSE_SECONDS = 15.0
_LONGEST_PAUSE_SECONDS = 900.0


@dataclasses.dataclass(frozen=True)
class SyncDoors:
    """What a sync needs of the host, and how to open the volume it goes to (I11)."""

    files: host_files.Files
    clock: clocks.Clock
    verified: host_http.Http
    unverified: host_http.Http
    open_volume: Callable[[], volume.Volume]


class Syncs:
    """All syncs of a station."""

    def __init__(
        self, board: boards.Board, kept: memory.Memory, doors: SyncDoors, threads: int, stop: threading.Event
    ) -> None:
        self._board = board
        self._memory = kept
        self._doors = doors
        self._stop = stop
        self._work = background.Background("sync", threads)

    def start(self, source: protocol.MirrorSource, number: int) -> None:
        """Queue a sync; one that waits or runs already is enough."""
        former = self._board.read().syncs.get(source.source_id, snapshots.SyncView())
        self._change(source.source_id, is_queued=True, number=number)
        if not self._work.start(source.source_id, lambda: self._run(source, number)):
            # The thread of the last one has told how it ended, and has not ended itself: the next look starts this one.
            self._change(source.source_id, is_queued=former.is_queued, number=former.number)

    def close(self) -> None:
        """Start no more; running ones see the stop event."""
        self._work.close()

    def _run(self, source: protocol.MirrorSource, number: int) -> None:
        if self._stop.is_set():
            return
        account = _Account(self, source, number, self._doors.clock)
        account.begin()
        try:
            found = self._doors.open_volume()
            keys = self._board.read().keys.get(source.source_id)
            http = self._doors.verified if source.is_tls_verified else self._doors.unverified
            ended = engine.Engine(self._doors.files, http, self._doors.clock).sync(
                found,
                engine_source(source, keys.armored if keys else ""),
                progress=account.listen,
                stop=self._stop,
                publish_alone=False,
            )
        except errors.StationmasterError as exc:
            account.end(None, exc)
        except Exception:  # noqa: BLE001 - the edge of a thread: a sync that ended must not look as if it ran on
            _log.exception("A sync failed.", extra={"action": "sync", "source": source.name})
            account.end(None, errors.StationmasterError("The sync failed by a mistake of ours; the log has its trace."))
        else:
            account.end(ended, None)

    def _change(self, source_id: str, **changes: Any) -> None:
        def changed(present: snapshots.Snapshot) -> snapshots.Snapshot:
            former = present.syncs.get(source_id, snapshots.SyncView())
            view = dataclasses.replace(former, **changes)
            return dataclasses.replace(present, syncs=boards.with_entry(present.syncs, source_id, view))

        self._board.change(changed)

    def ended(self, source_id: str, report: protocol.SyncReport, *, has_failed: bool) -> None:
        """Store how a sync ended, and when to try again."""
        former = self._board.read().syncs.get(source_id, snapshots.SyncView())
        failures = former.failures + 1 if has_failed else 0
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** max(failures - 1, 0), _LONGEST_PAUSE_SECONDS)
        retry_at = self._doors.clock.monotonic() + pause
        self._change(source_id, is_queued=False, is_running=False, report=report, failures=failures, retry_at=retry_at)
        self._memory.keep_syncs(self._board.read().syncs)

    def running(self, source_id: str, report: protocol.SyncReport) -> None:
        """Show how far a sync is."""
        self._change(source_id, is_queued=False, is_running=True, report=report)


_UNSIGNED_HINT = (
    "The last good generation stays. Ask the upstream to sign its metadata; or, where it signs packages only, say so "
    "with the line repo_gpgcheck=0 in the source's advancedRepoOptions: instances still check each package."
)


class _Account:
    """What one sync tells of itself."""

    def __init__(self, syncs: Syncs, source: protocol.MirrorSource, number: int, clock: clocks.Clock) -> None:
        self._syncs = syncs
        self._source = source
        self._clock = clock
        self._lines: list[str] = []
        self._phase: outcome.Phase | None = None
        self._shown_at = float("-inf")
        self._report = protocol.SyncReport(number=number, is_running=True, time_started=clock.now())

    def begin(self) -> None:
        """Say that it runs."""
        self._say(f"Sync of {self._source.name} from {self._source.url} begins.")
        self._show()

    def listen(self, progress: outcome.Progress) -> None:
        """Take what the engine says; shown twice a second, and at each new phase."""
        is_new_phase = progress.phase is not self._phase
        self._phase = progress.phase
        if is_new_phase:
            self._say(f"{progress.phase.value}: {progress.files_total} files, {progress.bytes_total} bytes.")
        if is_new_phase or self._clock.monotonic() - self._shown_at >= _SHOW_SECONDS:
            done = progress.bytes_done if progress.phase is outcome.Phase.PACKAGES else self._report.bytes_downloaded
            self._report = msgspec.structs.replace(self._report, percentage=percentage(progress), bytes_downloaded=done)
            self._show()

    def end(self, ended: outcome.SyncOutcome | None, error: errors.StationmasterError | None) -> None:
        """Say how it ended. One that was told to stop goes on when the daemon starts again."""
        error = error or (ended.error if ended else None)
        if isinstance(error, failures.StoppedError):
            return
        if isinstance(error, failures.SignatureMissingError) and self._source.format is protocol.SourceFormat.RPM:
            error = failures.SignatureMissingError(error.message, hint=_UNSIGNED_HINT)
        if ended is not None:
            for warning in ended.warnings:
                self._say(f"Warning: {warning}")
        if error is not None:
            self._say(f"Failed: {error}")
            _log.error(error.message, extra={"source": self._source.name, "code": error.code})
        elif ended is not None:
            self._say(f"{ended.state.value}: generation {ended.generation}, {ended.packages} packages.")
            _log.info("Sync ended.", extra={"source": self._source.name, "state": ended.state.value})
        self._report = msgspec.structs.replace(
            self._report,
            is_running=False,
            percentage=100 if error is None else self._report.percentage,
            bytes_downloaded=ended.bytes_downloaded if ended else self._report.bytes_downloaded,
            time_finished=self._clock.now(),
            generation=ended.generation if ended else None,
            problem=observe.problem_of(error) if error is not None else None,
            log="\n".join(self._lines),
        )
        self._syncs.ended(self._source.source_id, self._report, has_failed=error is not None)

    def _say(self, line: str) -> None:
        now: datetime.datetime = self._clock.now()
        self._lines = [*self._lines, f"{now:%Y-%m-%dT%H:%M:%SZ} {line}"][-_LOG_LINES:]

    def _show(self) -> None:
        self._shown_at = self._clock.monotonic()
        self._report = msgspec.structs.replace(self._report, log="\n".join(self._lines))
        self._syncs.running(self._source.source_id, self._report)


def percentage(progress: outcome.Progress) -> int:
    """How far a sync is: metadata are the first tenth, packages nearly all the rest."""
    total, done = progress.bytes_total or progress.files_total, progress.bytes_done or progress.files_done
    share = min(1.0, done / total) if total else 0.0
    starts = {
        outcome.Phase.ROOT: (0, 1),
        outcome.Phase.METADATA: (1, 10),
        outcome.Phase.PACKAGES: (10, 98),
        outcome.Phase.PUBLISH: (98, 99),
    }
    low, high = starts[progress.phase]
    return int(low + (high - low) * share)


def engine_source(source: protocol.MirrorSource, armored_keys: str) -> mirror_source.Source:
    """The source as the engine knows it; its name is the OCID. CallerError when it cannot be mirrored."""
    is_pinned = armored_keys and source.is_gpg_checked and source.is_root_signed
    keys = (armored_keys.encode(),) if is_pinned else ()
    if source.format is protocol.SourceFormat.RPM:
        return mirror_source.RpmSource(name=source.source_id, url=source.url, keys=keys)
    return mirror_source.DebSource(
        name=source.source_id,
        url=source.url,
        suites=tuple(source.suites),
        components=tuple(source.components),
        architectures=tuple(source.architectures),
        keys=keys,
    )
