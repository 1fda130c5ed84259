"""Runs the mirror engine for one source at a time and thread, and says how far it is and how it ended.

A run is a sync from the upstream, under a lease where the hub gives them, or a copy of one generation from peers. It
stops, to be resumed, when the daemon ends or what allowed it does (R5). A failure keeps the last good generation and is
tried again later, with longer and longer pauses. What a source's state is called is decided from the volume
(``report``), not here.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from typing import Any

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.host import http as host_http
from stationmaster.mirror import engine, exchange, limits, outcome, volume
from stationmaster.mirror import source as mirror_source
from stationmaster.model import errors, protocol
from stationmaster.station import account, background, memory, orders, peers, steps, upstreams
from stationmaster.station import board as boards
from stationmaster.station import snapshot as snapshots

_log = logging.getLogger(__name__)
_FIRST_PAUSE_SECONDS = 15.0
_LONGEST_PAUSE_SECONDS = 900.0
_FIRST_COPY_PAUSE_SECONDS = 1.0
_LONGEST_COPY_PAUSE_SECONDS = 30.0
_MOST_INTERRUPTIONS = 3
_WAIT_SECONDS = 2.0
# The hub has one station write a source to a volume. Another's record that is not renewed for so long is of one that is
# gone or frozen; one that wakes finds itself overtaken before it publishes, and its files are its own (R1).
LAPSE_SECONDS = 12.0


@dataclasses.dataclass(frozen=True)
class SyncDoors:
    """What a sync needs of the host, and how to open the volume it goes to (I11).

    ``peer_limits`` is what copying from peers may take of the network: they serve clients at the same time.
    """

    files: host_files.Files
    clock: clocks.Clock
    verified: host_http.Http
    unverified: host_http.Http
    open_volume: Callable[[], volume.Volume]
    peers: exchange.HttpDoor
    peer_limits: limits.Limits | None = None


class Permission(threading.Event):
    """Set when the daemon ends, or as soon as what allowed the work no longer does; asked at each piece that comes."""

    def __init__(self, end: threading.Event, is_allowed: Callable[[], bool]) -> None:
        super().__init__()
        self._end = end
        self._is_allowed = is_allowed

    def is_set(self) -> bool:
        """Whether to stop now."""
        return self._end.is_set() or not self._is_allowed()


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
        self._before: dict[str, snapshots.SyncView] = {}

    def start(self, step: steps.StartSync) -> None:
        """Queue a sync; one that waits or runs already is enough."""
        self._queue(step.source.source_id, step.number, lambda: self._run(step))

    def start_copy(self, step: steps.StartCopy) -> None:
        """Queue a copy, which answers no request."""
        number = self._view(step.source.source_id).number
        self._queue(step.source.source_id, number, lambda: self._run_copy(step))

    def close(self) -> None:
        """Start no more; running ones see the stop event."""
        self._work.close()

    def _queue(self, source_id: str, number: int, run: Callable[[], None]) -> None:
        former = self._view(source_id)
        self._change(source_id, is_queued=True, number=number)
        if not self._work.start(source_id, lambda: self._begin(source_id, former, run)):
            # The thread of the last one has told how it ended, and has not ended itself: the next look starts this one.
            self._change(source_id, is_queued=former.is_queued, number=former.number)

    def _begin(self, source_id: str, former: snapshots.SyncView, run: Callable[[], None]) -> None:
        if not self._stop.is_set():
            self._before[source_id] = former
            run()

    def _run(self, step: steps.StartSync) -> None:
        source = step.source
        told = account.Account(self, source, self._doors.clock, number=step.number, token=step.token)
        told.begin(source.url)
        permission = Permission(self._stop, lambda: self._may_sync(step))
        http = self._doors.verified if source.is_tls_verified else self._doors.unverified
        machine = engine.Engine(self._doors.files, http, self._doors.clock)

        def sync() -> outcome.SyncOutcome:
            with upstreams.opened(source, self._engine_source(source), http) as (door, warnings):
                ended = self._sync(machine.through(door), source, told, permission, token=step.token)
            return dataclasses.replace(ended, warnings=(*warnings, *ended.warnings))

        self._guarded(told, source, sync)

    def _run_copy(self, step: steps.StartCopy) -> None:
        source, places = step.source, peers.places_of(step.holders, step.source.source_id, step.generation)
        told = account.Account(self, source, self._doors.clock, number=source.sync_number, token=None)
        told.begin(f"{', '.join(holder.display_name for holder in step.holders)}: generation {step.generation}")
        permission = Permission(self._stop, lambda: self._may_copy(step))
        machine = engine.Engine(
            self._doors.files,
            self._doors.peers,
            self._doors.clock,
            fetch_policy=peers.POLICY,
            limits=self._doors.peer_limits,
        )

        def copy() -> outcome.SyncOutcome:
            for place in places[:-1]:
                ended = self._sync(machine, source, told, permission, url=place.url, expected=step.generation)
                if not isinstance(ended.error, errors.UpstreamError):
                    return ended
                told.failed_at(f"{place.name} ({place.url})", ended)
            return self._sync(machine, source, told, permission, url=places[-1].url, expected=step.generation)

        self._guarded(told, source, copy)

    def _sync(
        self,
        machine: engine.Engine,
        source: protocol.MirrorSource,
        told: account.Account,
        permission: Permission,
        *,
        url: str | None = None,
        expected: str | None = None,
        token: int = 0,
    ) -> outcome.SyncOutcome:
        return machine.sync(
            self._doors.open_volume(),
            self._engine_source(source, url=url),
            progress=told.listen,
            stop=permission,
            publish_alone=False,
            expected_generation=expected,
            policy=outcome.SyncPolicy(token=token, lapse_seconds=LAPSE_SECONDS),
        )

    def _engine_source(self, source: protocol.MirrorSource, *, url: str | None = None) -> mirror_source.Source:
        keys = self._board.read().keys.get(source.source_id)
        return upstreams.engine_source(source, keys.armored if keys else "", url=url)

    def _guarded(
        self, told: account.Account, source: protocol.MirrorSource, run: Callable[[], outcome.SyncOutcome]
    ) -> None:
        try:
            ended = run()
        except errors.StationmasterError as exc:
            told.end(None, exc)
        except Exception:  # noqa: BLE001 - the edge of a thread: a sync that ended must not look as if it ran on
            _log.exception("A sync failed.", extra={"action": "sync", "source": source.name})
            told.end(None, errors.StationmasterError("The sync failed by a mistake of ours; the log has its trace."))
        else:
            told.end(ended, None)

    def _may_sync(self, step: steps.StartSync) -> bool:
        return orders.may_sync(self._board.read(), step.source.source_id, step.token, self._doors.clock.monotonic())

    def _may_copy(self, step: steps.StartCopy) -> bool:
        return orders.may_copy(self._board.read(), step.source.source_id, step.generation)

    def _view(self, source_id: str) -> snapshots.SyncView:
        return self._board.read().syncs.get(source_id, snapshots.SyncView())

    def _change(self, source_id: str, **changes: Any) -> None:
        def changed(present: snapshots.Snapshot) -> snapshots.Snapshot:
            former = present.syncs.get(source_id, snapshots.SyncView())
            view = dataclasses.replace(former, **changes)
            return dataclasses.replace(present, syncs=boards.with_entry(present.syncs, source_id, view))

        self._board.change(changed)

    def ended(self, source_id: str, report: protocol.SyncReport, *, has_failed: bool, is_copy: bool) -> None:
        """Store how a run ended, and when to try again."""
        former, now_at = self._view(source_id), self._doors.clock.monotonic()
        common: dict[str, Any] = {"is_queued": False, "is_running": False, "report": report, "interruptions": 0}
        if is_copy:
            failed = former.copy_failures + 1 if has_failed else 0
            pause = min(_FIRST_COPY_PAUSE_SECONDS * 2 ** min(failed, 10), _LONGEST_COPY_PAUSE_SECONDS)
            self._change(source_id, **common, copy_failures=failed, copy_retry_at=now_at + pause)
        else:
            failed = former.failures + 1 if has_failed else 0
            pause = min(_FIRST_PAUSE_SECONDS * 2 ** max(min(failed, 10) - 1, 0), _LONGEST_PAUSE_SECONDS)
            self._change(source_id, **common, failures=failed, retry_at=now_at + pause)
        self._memory.keep_syncs(self._board.read().syncs)

    def stopped(self, source_id: str) -> None:
        """A run that may not go on: as if it had not begun. Nothing is changed when the daemon ends."""
        if not self._stop.is_set():
            former = self._before.get(source_id, snapshots.SyncView())
            self._change(source_id, is_queued=False, is_running=False, number=former.number, report=former.report)

    def waits(self, source_id: str) -> None:
        """As if it had not begun: that another one is at it is no failure, and makes no pause longer."""
        self.stopped(source_id)
        self._change(source_id, pause_until=self._doors.clock.monotonic() + _WAIT_SECONDS)

    def interrupted(self, source_id: str) -> bool:
        """As if it had not begun, for a few times; the next try is after a pause, on a volume that looks well."""
        former = self._before.get(source_id, snapshots.SyncView())
        times = former.interruptions + 1
        if times > _MOST_INTERRUPTIONS:
            return False
        self.stopped(source_id)
        pause = self._doors.clock.monotonic() + 2.0 ** (times - 1)
        self._change(source_id, interruptions=times, pause_until=pause)
        return True

    def running(self, source_id: str, report: protocol.SyncReport) -> None:
        """Show how far a sync is."""
        self._change(source_id, is_queued=False, is_running=True, report=report)
