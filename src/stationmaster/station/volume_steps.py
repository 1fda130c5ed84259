"""Steps that touch the volume; each runs on a thread that a hanging mount may hold for as long as it likes.

Before this station says that it holds something, or records it as visible, it closes all tokens under which somebody
may still be about to remove (``mirror.writers``), and only then looks whether it is there (ha-protocol R1).
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, failures, pressure, retention, volume, writers
from stationmaster.model import errors, protocol
from stationmaster.station import board as boards
from stationmaster.station import fetch_proof, memory, observe, orders, steps, visible_store, volume_look
from stationmaster.station import snapshot as snapshots

_log = logging.getLogger(__name__)
FIRST_CLEAN_SECONDS = 600.0
CLEAN_SECONDS = 6 * 3600.0
_LOST_SECONDS = 60.0
_RELIEF_SECONDS = 10.0
_MOST_NOTICES = 50
_RETRY_SECONDS = 10.0
_PAUSE_SECONDS = 0.5
_CLEAN_PAUSE_SECONDS = 0.01


@dataclasses.dataclass(frozen=True)
class Doors:
    """What these steps act through. ``probe_token`` lets this station read its own mirror at ``probe_address``."""

    files: host_files.Files
    clock: clocks.Clock
    memory: memory.Memory
    open_volume: Callable[[], volume.Volume]
    probe_token: str
    probe_address: str
    records: visible_store.Store


class VolumeSteps:
    """Takes them; what goes wrong is shown with what it concerns, and tried again after a pause."""

    def __init__(self, board: boards.Board, doors: Doors) -> None:
        self._board = board
        self._doors = doors
        self._writer: writers.Writer | None = None

    def take(self, step: steps.VolumeStep) -> None:
        """One step, to its end."""
        match step:
            case steps.ProbeFetchable():
                self._prove(step)
            case steps.RecordVisible():
                self._record(step.visible)
            case steps.ShareRecord():
                self._share(step.record)
            case steps.Clean():
                self._removing(lambda found: self._clean(step, found))
            case steps.MakeRoom():
                self._board.update(relieve_at=self._doors.clock.monotonic() + _RELIEF_SECONDS)
                self._removing(lambda found: self._make_room(step, found))

    def _prove(self, step: steps.ProbeFetchable) -> None:
        desired = self._board.read().desired
        if desired is None:
            return
        try:
            found = self._doors.open_volume()
            writers.close_all(self._doors.files, found)
            manifest = found.manifest(step.source_id, step.generation)
            fetch_proof.require_metadata(manifest)
            fetch_proof.prove(
                self._doors.probe_address, desired.ports.http, self._doors.probe_token, step.source_id, manifest
            )
            view = snapshots.FetchView(is_fetchable=True)
        except (errors.StationmasterError, OSError) as exc:
            retry_at = self._doors.clock.monotonic() + _RETRY_SECONDS
            view = snapshots.FetchView(is_fetchable=False, problem=observe.problem_of(exc), retry_at=retry_at)
        key = (step.source_id, step.generation)
        present = self._board.change(
            lambda present: dataclasses.replace(present, fetch=boards.with_entry(present.fetch, key, view))
        )
        if view.is_fetchable:
            self._doors.memory.keep_proofs(present.volume_id, mount_of(present), present.fetch)

    def _record(self, visible: protocol.Visible) -> None:
        """R1: link(2); when somebody was there first, what they recorded is read by the next look at the volume."""
        try:
            found = self._doors.open_volume()
            writers.close_all(self._doors.files, found)
            if catalog.find_header(found, visible.source_id, visible.generation) is None:
                return  # it went in the last moment; the next look says so
            directory = volume_look.records_directory(found, visible.source_id)
            found.make_directory(directory)
            record = volume_look.Record(generation=visible.generation, number=visible.number)
            self._doors.files.create_exclusive(directory / str(visible.number), msgspec.json.encode(record))
            highest = volume_look.highest_record(directory)
        except (errors.StationmasterError, OSError) as exc:
            _log.warning(observe.problem_of(exc).message, extra={"action": "record", "source": visible.source_id})
            self._doors.clock.sleep(_PAUSE_SECONDS)
            return
        if highest is not None:
            self._board.change(lambda present: _with_record(present, visible.source_id, highest))

    def _share(self, record: snapshots.RecordView) -> None:
        """The next look reads it back; until then it is taken to be there."""
        try:
            self._doors.records.write(self._doors.files, self._doors.open_volume(), record)
        except (errors.StationmasterError, OSError) as exc:
            _log.warning(observe.problem_of(exc).message, extra={"action": "share the visible record"})
            self._doors.clock.sleep(_PAUSE_SECONDS)
            return
        self._board.change(lambda present: _with_signed(present, record))

    def _clean(self, step: steps.Clean, found: volume.Volume) -> None:
        """At a low rate, since clients are being served; a sync that begins meanwhile is left alone by the cleaner."""
        self._board.update(clean_at=self._doors.clock.monotonic() + CLEAN_SECONDS)
        policy = retention.RetentionPolicy(age=datetime.timedelta(seconds=step.retention_seconds))
        for verdict in self._cleaner(found, policy).clean():
            if verdict.is_removed:
                _log.info("Removed.", extra={"action": "clean", "what": verdict.what, "reason": verdict.reason})
                self._doors.clock.sleep(_CLEAN_PAUSE_SECONDS)

    def _make_room(self, step: steps.MakeRoom, found: volume.Volume) -> None:
        """At full speed: a sync waits. What went, and why, reaches people as an event."""
        doors = self._doors
        cleaner = self._cleaner(found, retention.RetentionPolicy())
        relief = pressure.Relief(doors.files, found, doors.clock, cleaner, self._pinned)
        for going, verdict in relief.make_room(step.room_bytes):
            message = f"Removed {verdict.what} before its time: {verdict.reason}."
            _log.warning(message, extra={"action": "make room"})
            notice = protocol.Notice(
                id=secrets.token_hex(8), time=doors.clock.now(), code="RemovedForRoom", message=message
            )
            self._board.change(functools.partial(_with_dropped, going=going, notice=notice))

    def _pinned(self, source_id: str) -> frozenset[str]:
        """The hub's word, as it is now; without one everything that it retains, and no removal without its lease."""
        present = self._board.read().orders
        by_source = present.retained if present.pinned is None else present.pinned
        return by_source.get(source_id, frozenset())

    def _cleaner(self, found: volume.Volume, policy: retention.RetentionPolicy) -> retention.Cleaner:
        return retention.Cleaner(
            self._doors.files,
            found,
            self._doors.clock,
            policy=policy,
            retained=_Retained(self._board),
            writer=self._begun_writer(found),
        )

    def _removing(self, work: Callable[[volume.Volume], None]) -> None:
        try:
            work(self._doors.open_volume())
        except failures.LeaseLostError as exc:
            _log.info(exc.message, extra={"action": "clean"})
            self._board.update(clean_at=self._doors.clock.monotonic() + _LOST_SECONDS)
        except (errors.StationmasterError, OSError) as exc:
            _log.warning(observe.problem_of(exc).message, extra={"action": "clean"})

    def _begun_writer(self, found: volume.Volume) -> writers.Writer | None:
        """The writer of the present lease; None where the hub gives none, and the cleaner takes a token of its own.

        A token that a former daemon used is closed, so that the hub hears that it is used up, and gives another.
        """
        if self._board.read().orders.leases is None:
            return None
        token = self._removal_token()
        if token is None:
            raise failures.LeaseLostError("The lease of the volume is over.")
        if self._writer is None or self._writer.token != token:
            writer = writers.Writer(self._doors.files, found, token, may_go_on=lambda: self._removal_token() == token)
            try:
                writer.begin()
            except failures.LeaseLostError:
                writers.close(self._doors.files, found, token)
                raise
            self._writer = writer
        return self._writer

    def _removal_token(self) -> int | None:
        present = self._board.read().orders
        allowed = orders.removal_token(present, self._doors.clock.monotonic())
        return allowed if present.volume_problem is None else None


class _Retained(Mapping[str, frozenset[str]]):
    """What must stay, as the hub said last: a cleaning may take long, and is to hear of what was staged meanwhile."""

    def __init__(self, board: boards.Board) -> None:
        self._board = board

    def __getitem__(self, source_id: str) -> frozenset[str]:
        return self._board.read().orders.retained[source_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._board.read().orders.retained)

    def __len__(self) -> int:
        return len(self._board.read().orders.retained)


def mount_of(present: snapshots.Snapshot) -> str:
    """What tells one mount of the volume from another."""
    return present.volume.mount if present.volume is not None else ""


def _with_record(present: snapshots.Snapshot, source_id: str, record: volume_look.Record) -> snapshots.Snapshot:
    if present.volume is None:
        return present
    visible = protocol.Visible(source_id=source_id, number=record.number, generation=record.generation)
    records = boards.with_entry(present.volume.records, source_id, visible)
    return dataclasses.replace(present, volume=dataclasses.replace(present.volume, records=records))


def _with_dropped(present: snapshots.Snapshot, going: tuple[str, str], notice: protocol.Notice) -> snapshots.Snapshot:
    notices = (*present.notices, notice)[-_MOST_NOTICES:]
    return dataclasses.replace(present, notices=notices, dropped=present.dropped | {going})


def _with_signed(present: snapshots.Snapshot, record: snapshots.RecordView) -> snapshots.Snapshot:
    if present.volume is None:
        return present
    return dataclasses.replace(present, volume=dataclasses.replace(present.volume, record=record, is_record_named=True))
