"""Volumes in trouble: full, refused, damaged in parts; what a station leaves there never takes a name twice (R10)."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

import pytest

from stationmaster.host import files as host_files
from stationmaster.mirror import failures, volume
from stationmaster.model import errors, protocol
from stationmaster.station import account, memory, nonces, orders, plan, report, sources, steps, sync, volume_look
from stationmaster.station import board as boards
from stationmaster.station import config as configs
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import manual_clock
from stationmaster.testing import stations as make

A, B = make.A, make.B
ROOM = 1 << 30


class FailingFiles(host_files.Files):
    """Refuses what is done below some directories, with the error of each; notes every name that was made."""

    def __init__(self) -> None:
        self.refused: dict[Path, int] = {}
        self.made: list[Path] = []

    def open_append(self, path: Path) -> BinaryIO:
        self._judge(path)
        self.made.append(path)
        return super().open_append(path)

    def set_mtime(self, path: Path, seconds: int) -> None:
        self._judge(path)
        super().set_mtime(path, seconds)

    def _judge(self, path: Path) -> None:
        for place, number in self.refused.items():
            if path.is_relative_to(place):
                raise OSError(number, os.strerror(number), str(path))


@pytest.fixture
def clock() -> manual_clock.ManualClock:
    return manual_clock.ManualClock()


@pytest.fixture
def found(tmp_path: Path, clock: manual_clock.ManualClock) -> volume.Volume:
    return volume.init_volume(FailingFiles(), tmp_path / "mirror", clock)


def files_of(found: volume.Volume) -> FailingFiles:
    assert isinstance(found.files, FailingFiles)
    return found.files


def test_between_two_nonces_the_volume_gets_no_new_name(found: volume.Volume, clock: manual_clock.ManualClock) -> None:
    nonce = nonces.Nonce(clock)
    for _ in range(60):
        assert nonce.leave(found, "s", ROOM) is None
        assert nonces.read_nonces(found) == {"s": nonce.written}
        clock.advance(1)
    made = files_of(found).made
    assert len(made) == len(set(made)) == 2
    assert [path.name for path in (nonces.directory(found) / "s").iterdir()] == [made[-1].name]


def test_a_new_daemon_leaves_a_higher_number(found: volume.Volume, clock: manual_clock.ManualClock) -> None:
    """What an unfinished removal leaves, or a merge of two bricks brings back, is older: it does not count."""
    first, second = nonces.Nonce(clock), nonces.Nonce(clock)
    first.leave(found, "s", ROOM)
    former = files_of(found).made[0]
    second.leave(found, "s", ROOM)
    former.touch()
    assert nonces.read_nonces(found) == {"s": second.written}


def test_strangers_below_the_stations_prove_nothing(found: volume.Volume) -> None:
    (nonces.directory(found) / "first-release").write_text("a nonce of its own")
    (nonces.directory(found) / "s").mkdir()
    for name in ("x-abc", "12", "-abc", ".5-abc"):
        (nonces.directory(found) / "s" / name).touch()
    assert nonces.read_nonces(found) == {}


@pytest.mark.parametrize("damage", [errno.ENOTCONN, errno.EIO, errno.ESTALE])
def test_another_directory_is_used_when_the_own_is_damaged(
    found: volume.Volume, clock: manual_clock.ManualClock, damage: int
) -> None:
    nonce = nonces.Nonce(clock)
    nonce.leave(found, "s", ROOM)
    former = nonce.written
    files_of(found).refused[nonces.directory(found) / "s"] = damage
    clock.advance(1)
    assert nonce.leave(found, "s", ROOM) is None
    assert nonce.written != former
    assert nonces.read_nonces(found) == {"s": nonce.written}
    for number in range(3):
        files_of(found).refused[nonces.directory(found) / (f"s~{number}" if number else "s")] = damage
    clock.advance(1)
    problem = nonce.leave(found, "s", ROOM)
    assert problem is not None
    assert problem.code == "VolumeNotWritable"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [(errno.EROFS, "VolumeReadOnly"), (errno.EDQUOT, "VolumeFull"), (errno.EACCES, "VolumeNotWritable")],
)
def test_what_the_volume_refuses_is_not_tried_under_other_names(
    found: volume.Volume, clock: manual_clock.ManualClock, refusal: int, code: str
) -> None:
    nonce = nonces.Nonce(clock)
    nonce.leave(found, "s", ROOM)
    files_of(found).refused[found.root] = refusal
    clock.advance(1)
    problem = nonce.leave(found, "s", ROOM)
    assert problem is not None
    assert problem.code == code
    assert [path.name for path in nonces.directory(found).iterdir()] == ["s"]


def test_a_full_volume_is_left_alone_until_it_has_had_room_for_a_while(
    found: volume.Volume, clock: manual_clock.ManualClock
) -> None:
    """GlusterFS: one brick takes a name, the other does not yet, and later the other way round: split brain."""
    nonce = nonces.Nonce(clock)
    nonce.leave(found, "s", ROOM)
    clock.advance(40)  # another nonce is due
    for _ in range(3):
        problem = nonce.leave(found, "s", nonces.FLOOR_BYTES - 1)
        assert problem is not None
        assert problem.code == "VolumeFull"
        clock.advance(1)
    for _ in range(9):
        assert nonce.leave(found, "s", ROOM) is not None
        clock.advance(1)
    assert len(files_of(found).made) == 1
    assert nonce.leave(found, "s", ROOM) is None
    assert len(files_of(found).made) == 2


def test_what_was_refused_for_room_is_not_tried_each_second(
    found: volume.Volume, clock: manual_clock.ManualClock
) -> None:
    """No inodes left, or a quota: the free bytes do not show it."""
    files_of(found).refused[found.root] = errno.ENOSPC
    nonce = nonces.Nonce(clock)
    assert nonce.leave(found, "s", ROOM) is not None
    files_of(found).refused.clear()
    assert nonce.leave(found, "s", ROOM) is not None
    clock.advance(nonces.SETTLE_SECONDS)
    assert nonce.leave(found, "s", ROOM) is None


def make_unreadable(place: Path) -> None:
    """A directory whose listing is an error, as that of one in split brain is: a link that goes round in a circle."""
    if place.is_dir():
        shutil.rmtree(place)
    place.symlink_to(place)


def look(found: volume.Volume, clock: manual_clock.ManualClock) -> snapshots.VolumeView:
    config = configs.StationConfig(
        station_id="s",
        managed_instance_id="instance",
        tenancy_id="",
        hub_url="https://hub",
        address="10.0.0.2",
        mirror_directory=str(found.root),
        volume_id=found.id,
    )
    return volume_look.look_at_volume(config, str(found.root), [A, B], found.files, nonces.Nonce(clock), clock)


@pytest.mark.parametrize("part", ["generations", "seq"])
def test_one_part_that_cannot_be_read_hides_no_other(
    found: volume.Volume, clock: manual_clock.ManualClock, part: str
) -> None:
    for source in (A, B):
        records = volume_look.records_directory(found, source)
        records.mkdir(parents=True)
        (records / "3").write_text('{"generation": "g3", "number": 3}')
        found.generations(source).mkdir(parents=True)
    make_unreadable(found.generations(A) if part == "generations" else volume_look.records_directory(found, A))
    view = look(found, clock)
    assert view.problem is None
    assert view.is_writable
    assert B in view.records
    assert view.damage is not None
    assert f"{part}/{A} (Too many levels of symbolic links)" in view.damage.message
    assert (A in view.records, A in view.unreadable) == ((True, True) if part == "generations" else (False, False))
    told = report.problems_of(make.snapshot(volume=view), plan.Plan(), make.NOW)
    assert "VolumeDamaged" in [one.code for one in told]


def test_nonces_that_cannot_be_read_make_no_volume_unusable(
    found: volume.Volume, clock: manual_clock.ManualClock
) -> None:
    nonces.Nonce(clock).leave(found, "other", ROOM)
    make_unreadable(nonces.directory(found) / "other")
    view = look(found, clock)
    assert (view.problem, view.damage) == (None, None)
    assert view.nonces == {"s": view.own_nonce}


def test_a_dead_client_of_a_mount_is_told_with_what_to_do(
    found: volume.Volume, clock: manual_clock.ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> bytes:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    view = look(found, clock)
    assert view.problem is not None
    assert view.problem.code == "VolumeUnusable"
    assert str(found.root) in view.problem.message
    assert "mount the file system again (`umount -l`, then `mount`)" in view.problem.message


@pytest.mark.parametrize(("problem", "numbers"), [(None, [2]), (protocol.Problem(code="VolumeFull", message=""), [])])
def test_nothing_is_recorded_on_a_volume_that_refuses_writes(
    problem: protocol.Problem | None, numbers: list[int]
) -> None:
    world = make.snapshot(volume=make.volume({A: ("g1",)}, write_problem=problem), told=(make.visible(A, 2, "g1"),))
    planned = plan.plan(world, make.HOST, {}, make.MOMENT).steps
    assert [step.visible.number for step in planned if isinstance(step, steps.RecordVisible)] == numbers


def test_a_source_whose_generations_cannot_be_read_is_not_synced_anew() -> None:
    """What cannot be read may be all there."""
    world = make.snapshot(volume=make.volume({}), told=(), shown=(), orders=snapshots.Orders())
    due = list(sources.plan_source(world, make.source(A, 1), make.MOMENT))
    assert [type(step) for step in due] == [steps.StartSync]
    world = make.snapshot(volume=make.volume({}, unreadable=frozenset({A})), told=(), shown=())
    assert list(sources.plan_source(world, make.source(A, 1), make.MOMENT)) == []


@pytest.mark.parametrize("problem", [None, protocol.Problem(code="VolumeFull", message="")])
def test_syncs_and_copies_end_when_their_volume_refuses_writes(problem: protocol.Problem | None) -> None:
    copies = (protocol.Copy(source_id=A, generation="g2", holders=["b"]),)
    world = make.snapshot(
        volume=make.volume({A: ("g1",)}, write_problem=problem), orders=snapshots.Orders(copies=copies)
    )
    assert orders.may_sync(world, A, 0, make.NOW_AT) is (problem is None)
    assert orders.may_copy(world, A, "g2") is (problem is None)
    assert not orders.may_copy(world, A, "g3")


@pytest.fixture
def syncs(tmp_path: Path, clock: manual_clock.ManualClock) -> sync.Syncs:
    world = make.snapshot(desired=make.desired(sources=[make.source(A, 5)]), volume=make.volume({A: ("g1",)}))
    doors = cast("Any", SimpleNamespace(clock=clock))
    kept = memory.Memory(configs.StateDirectory(tmp_path), host_files.Files())
    return sync.Syncs(boards.Board(world), kept, doors, 1, threading.Event())


def test_a_copy_waits_for_another_that_is_at_it_without_longer_and_longer_pauses(
    syncs: sync.Syncs, clock: manual_clock.ManualClock
) -> None:
    """The mate on a shared volume hangs, or is about to hear that it is no longer the one."""
    board = syncs._board
    for _ in range(8):
        syncs._begin(A, board.read().syncs.get(A, snapshots.SyncView()), lambda: None)
        run = account.Account(syncs, make.source(A, 5), clock, number=5, token=None)
        run.begin("b")
        run.end(None, failures.SyncRunningError("It is being written by process 7 on b."))
        view = board.read().syncs[A]
        assert (view.is_busy, view.copy_failures, view.report) == (False, 0, None)
        assert view.pause_until == clock.monotonic() + 2
        clock.advance(2)


def test_a_sync_whose_volume_failed_goes_on_under_its_lease_a_few_times(
    syncs: sync.Syncs, clock: manual_clock.ManualClock
) -> None:
    """A mount that was away for a moment: the next leader would begin ten seconds later (R5)."""
    board = syncs._board
    told = errors.VolumeError("The volume cannot be used: Transport endpoint is not connected.")

    def run_and_fail(error: errors.StationmasterError) -> snapshots.SyncView:
        syncs._begin(A, board.read().syncs.get(A, snapshots.SyncView()), lambda: None)
        run = account.Account(syncs, make.source(A, 5), clock, number=5, token=3)
        run.begin("http://upstream/")
        run.end(None, error)
        return board.read().syncs[A]

    def is_due() -> bool:
        moment = snapshots.Moment(clock.monotonic(), make.NOW)
        return bool(list(sources.plan_source(board.read(), make.source(A, 5), moment)))

    for pause in (1, 2, 4):
        view = run_and_fail(told)
        assert (view.is_busy, view.failures, view.report) == (False, 0, None), "the hub hears of no failure"
        clock.advance(pause - 0.5)
        assert not is_due()
        clock.advance(0.5)
        assert is_due()
    view = run_and_fail(told)
    assert (view.failures, view.interruptions) == (1, 0)
    assert view.report is not None
    assert view.report.problem is not None
    assert view.report.problem.code == "VolumeUnusable"


@pytest.mark.parametrize(
    ("error", "is_volumes"),
    [
        (errors.VolumeError("away"), True),
        (failures.NotAVolumeError("unmounted"), True),
        (failures.VolumeFullError("full"), False),
        (failures.ManifestDamagedError("damaged"), False),
        (errors.UpstreamError("away"), False),
        (failures.SyncRunningError("another"), False),
    ],
)
def test_what_a_volume_may_get_over_by_itself(error: errors.StationmasterError, is_volumes: bool) -> None:
    assert account.is_volumes_fault(error) is is_volumes
