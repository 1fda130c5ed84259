"""What one sync, or one copy from peers, tells of itself while it runs and when it has ended."""

from __future__ import annotations

import datetime
import logging
from typing import Protocol

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.mirror import failures, outcome
from stationmaster.model import errors, protocol
from stationmaster.station import observe

_log = logging.getLogger(__name__)
_LOG_LINES = 200
_ROOM_UNKNOWN_BYTES = 2 * outcome.SyncPolicy().reserve_bytes
_SHOW_SECONDS = 0.5
_UNSIGNED_HINT = (
    "The last good generation stays. Ask the upstream to sign its metadata; or, where it signs packages only, say so "
    "with the line repo_gpgcheck=0 in the source's advancedRepoOptions: instances still check each package."
)


class Listener(Protocol):
    """Who is told."""

    def running(self, source_id: str, report: protocol.SyncReport) -> None:
        """How far it is."""
        ...

    def ended(self, source_id: str, report: protocol.SyncReport, *, has_failed: bool, is_copy: bool) -> None:
        """How it ended."""
        ...

    def stopped(self, source_id: str) -> None:
        """It was told to stop, and goes on when it may."""
        ...

    def waits(self, source_id: str) -> None:
        """Another one writes the source on this volume now."""
        ...

    def interrupted(self, source_id: str) -> bool:
        """The volume failed under it; False when that happened too often to be tried again without a word."""
        ...


class Account:
    """One run. ``token`` is the lease it runs under, None for a copy from peers."""

    def __init__(
        self, listener: Listener, source: protocol.MirrorSource, clock: clocks.Clock, *, number: int, token: int | None
    ) -> None:
        self._is_copy = token is None
        self._listener = listener
        self._source = source
        self._clock = clock
        self._lines: list[str] = []
        self._phase: outcome.Phase | None = None
        self._shown_at = float("-inf")
        self._bytes_before = 0
        self._report = protocol.SyncReport(
            number=number, is_running=True, time_started=clock.now(), lease_token=token or 0
        )

    def begin(self, origin: str) -> None:
        """Say that it runs."""
        self.say(f"Sync of {self._source.title} from {origin} begins.")
        self._show()

    def listen(self, progress: outcome.Progress) -> None:
        """Take what the engine says; shown twice a second, and at each new phase."""
        is_new_phase = progress.phase is not self._phase
        self._phase = progress.phase
        if is_new_phase:
            self.say(f"{progress.phase.value}: {progress.files_total} files, {progress.bytes_total} bytes.")
        if is_new_phase or self._clock.monotonic() - self._shown_at >= _SHOW_SECONDS:
            done = self._report.bytes_downloaded
            if progress.phase is outcome.Phase.PACKAGES:
                done = self._bytes_before + progress.bytes_done
            self._report = msgspec.structs.replace(self._report, percentage=percentage(progress), bytes_downloaded=done)
            self._show()

    def failed_at(self, origin: str, ended: outcome.SyncOutcome) -> None:
        """One of several holders could not give it; the next is asked."""
        self._bytes_before += ended.bytes_downloaded
        self.say(f"{origin}: {ended.error}")

    def end(self, ended: outcome.SyncOutcome | None, error: errors.StationmasterError | None) -> None:
        """Say how it ended. One that was told to stop goes on when it may again."""
        error = error or (ended.error if ended else None)
        if isinstance(error, failures.StoppedError):
            _log.info("A sync was stopped.", extra={"source": self._source.name})
            self._listener.stopped(self._source.source_id)
            return
        if self._is_copy and isinstance(error, failures.SyncRunningError):
            _log.info(error.message, extra={"source": self._source.name})
            self._listener.waits(self._source.source_id)
            return
        if error is not None and is_volumes_fault(error) and self._listener.interrupted(self._source.source_id):
            _log.warning(error.message, extra={"source": self._source.name, "code": error.code})
            return
        if isinstance(error, failures.SignatureMissingError) and self._source.format is protocol.SourceFormat.RPM:
            error = failures.SignatureMissingError(error.message, hint=_UNSIGNED_HINT)
        self._say_end(ended, error)
        self._report = msgspec.structs.replace(
            self._report,
            is_running=False,
            percentage=100 if error is None else self._report.percentage,
            bytes_downloaded=self._bytes_before + ended.bytes_downloaded if ended else self._report.bytes_downloaded,
            time_finished=self._clock.now(),
            generation=ended.generation if ended else None,
            problem=observe.problem_of(error) if error is not None else None,
            log="\n".join(self._lines),
            is_upstream_reached=self._is_copy or is_reached(ended, error),
            room_bytes=room_of(error),
        )
        self._listener.ended(self._source.source_id, self._report, has_failed=error is not None, is_copy=self._is_copy)

    def say(self, line: str) -> None:
        """One more line of the log."""
        now: datetime.datetime = self._clock.now()
        self._lines = [*self._lines, f"{now:%Y-%m-%dT%H:%M:%SZ} {line}"][-_LOG_LINES:]

    def _say_end(self, ended: outcome.SyncOutcome | None, error: errors.StationmasterError | None) -> None:
        for warning in ended.warnings if ended is not None else ():
            self.say(f"Warning: {warning}")
        if error is not None:
            self.say(f"Failed: {error}")
            _log.error(error.message, extra={"source": self._source.name, "code": error.code})
        elif ended is not None:
            self.say(f"{ended.state.value}: generation {ended.generation}, {ended.packages} packages.")
            _log.info("Sync ended.", extra={"source": self._source.name, "state": ended.state.value})

    def _show(self) -> None:
        self._shown_at = self._clock.monotonic()
        self._report = msgspec.structs.replace(self._report, log="\n".join(self._lines))
        self._listener.running(self._source.source_id, self._report)


def room_of(error: errors.StationmasterError | None) -> int:
    """How much must be free for a sync that failed for want of room; a guess where it filled the volume on its way."""
    if not isinstance(error, failures.VolumeFullError):
        return 0
    return error.room_bytes or _ROOM_UNKNOWN_BYTES


def is_reached(ended: outcome.SyncOutcome | None, error: errors.StationmasterError | None) -> bool:
    """Whether anything answered at the address: a station that nothing answers is no leader for a while (R5)."""
    is_silent = isinstance(error, failures.UnavailableError) and error.status is None
    return not (is_silent and (ended is None or not ended.bytes_downloaded))


def is_volumes_fault(error: errors.StationmasterError) -> bool:
    """Whether a file system that may come back by itself was the reason: a mount that was away for a moment.

    Who fails so may still be the best to go on; for another one to follow takes the time of a lease (R5).
    """
    return isinstance(error, errors.VolumeError) and not isinstance(
        error, failures.VolumeFullError | failures.ManifestDamagedError
    )


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
