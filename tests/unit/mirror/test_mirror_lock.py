from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from stationmaster.host import files as host_files
from stationmaster.mirror import failures, lock, owners
from stationmaster.testing import crashing_files, manual_clock

FILES = host_files.Files()


@pytest.fixture
def control(tmp_path: Path) -> Path:
    (tmp_path / "locks").mkdir()
    return tmp_path


def living() -> owners.Owner:
    """Another process of this host that is alive: the one that started us."""
    parent = os.getppid()
    return msgspec.structs.replace(owners.myself(), pid=parent, started=owners._start_of(parent))


def leave(control: Path, number: int, **changes: object) -> None:
    """A record as another process might have left it."""
    owner = msgspec.structs.replace(living(), **changes)
    directory = control / "locks" / "src"
    directory.mkdir(exist_ok=True)
    (directory / str(number)).write_bytes(msgspec.json.encode(owner))


@pytest.mark.parametrize(
    ("changes", "is_free"),
    [
        ({}, False),
        ({"is_released": True}, True),
        ({"started": "1"}, True),  # the number belongs to another process by now
        ({"pid": 2**22 + 1}, True),  # beyond any pid
        ({"host": "renamed"}, False),
        ({"boot": "another"}, False),  # cannot be judged from here: a restart, or another host of the same name
        ({"host": "elsewhere", "boot": "another", "pid": 1}, False),
        ({"space": "pid:[1]", "started": "1"}, False),  # a container's pids are not ours
    ],
)
def test_only_a_record_of_a_process_that_is_provably_gone_is_taken_over(
    control: Path, changes: dict[str, object], *, is_free: bool
) -> None:
    leave(control, 3, **changes)
    taker = lock.SourceLock(FILES, control, "src")
    if not is_free:
        with pytest.raises(failures.SyncRunningError, match="process"):
            taker.acquire()
        return
    taker.acquire()
    assert lock.live_locks(control) == ["src"]
    assert [entry.name for entry in (control / "locks" / "src").iterdir()] == ["4"]
    taker.release()
    assert lock.live_locks(control) == []


class _Watcher(manual_clock.ManualClock):
    """Something happens on the other host while the taker sleeps."""

    def __init__(self, renew: Callable[[int], None]) -> None:
        super().__init__()
        self._renew = renew
        self._naps = 0

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._naps += 1
        self._renew(self._naps)


def test_a_dead_hosts_record_is_taken_over_after_a_stated_time_without_renewal(control: Path) -> None:
    leave(control, 3, host="elsewhere", boot="another")
    clock = manual_clock.ManualClock()
    with lock.SourceLock(FILES, control, "src", watch=lock.Watch(clock)):
        assert clock.monotonic() >= 1000 + lock.LAPSE_SECONDS
        assert [entry.name for entry in (control / "locks" / "src").iterdir()] == ["4"]


@pytest.mark.parametrize("change", [{"renewals": 1}, {"is_released": True}])
def test_a_living_hosts_record_is_respected_however_late_it_renews(control: Path, change: dict[str, object]) -> None:
    leave(control, 3, host="elsewhere", boot="another")
    clock = _Watcher(lambda nap: leave(control, 3, host="elsewhere", boot="another", **change) if nap == 239 else None)
    with pytest.raises(failures.SyncRunningError, match="elsewhere"):
        lock.SourceLock(FILES, control, "src", watch=lock.Watch(clock)).acquire()


def test_a_process_of_this_host_is_judged_at_once(control: Path) -> None:
    leave(control, 3)
    clock = manual_clock.ManualClock()
    with pytest.raises(failures.SyncRunningError):
        lock.SourceLock(FILES, control, "src", watch=lock.Watch(clock)).acquire()
    assert clock.monotonic() == 1000


def test_the_holder_renews_until_it_releases(control: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_RENEWAL_SECONDS", 0.005)
    directory = control / "locks" / "src"
    with lock.SourceLock(FILES, control, "src") as held:
        end = time.monotonic() + 5
        while (lock.highest_record(directory)[1] or owners.myself()).renewals < 3:
            assert time.monotonic() < end
            time.sleep(0.005)
        held.require()
    time.sleep(0.03)
    assert lock.highest_record(directory)[1] == msgspec.structs.replace(owners.myself(), is_released=True)


def test_a_release_that_the_volume_refused_holds_nobody_up(control: Path) -> None:
    """A full volume: the record still names this process, which goes on living."""

    refused = lock.SourceLock(crashing_files.CrashingFiles(effects=2), control, "src")
    refused.acquire()
    assert lock.live_locks(control) == ["src"]
    with pytest.raises(failures.SyncRunningError):
        lock.SourceLock(FILES, control, "src").acquire()
    with pytest.raises(crashing_files.CrashError):
        refused.release()
    record = control / "locks" / "src" / "1"
    assert owners.judge(msgspec.json.decode(record.read_bytes(), type=owners.Owner)) is owners.Judgement.HOLDING
    deadline = time.monotonic() + 5
    while lock.live_locks(control) and time.monotonic() < deadline:  # its thread is about to end
        time.sleep(0.005)
    with lock.SourceLock(FILES, control, "src") as again:
        assert again.epoch == 0
        assert lock.live_locks(control) == ["src"]


def test_where_a_hub_says_who_writes_a_dead_one_is_overtaken_within_seconds(control: Path) -> None:
    """I6: it may be alive and frozen, so its files are left to it, and it finds itself overtaken."""
    leave(control, 3, host="elsewhere", boot="another")
    clock = manual_clock.ManualClock()
    slow = lock.SourceLock(FILES, control, "src")
    slow._record = control / "locks" / "src" / "3"
    slow.require()
    with lock.SourceLock(FILES, control, "src", watch=lock.Watch(clock, lapse_seconds=12)) as taker:
        assert 1012 <= clock.monotonic() < 1013
        assert taker.epoch == 1
        with pytest.raises(failures.SyncRunningError):
            slow.require()


def test_one_that_renews_is_not_overtaken_where_a_hub_says_who_writes(control: Path) -> None:
    leave(control, 3, host="elsewhere", boot="another")
    clock = _Watcher(lambda nap: leave(control, 3, host="elsewhere", boot="another", renewals=nap // 6))
    with pytest.raises(failures.SyncRunningError, match="elsewhere"):
        lock.SourceLock(FILES, control, "src", watch=lock.Watch(clock, lapse_seconds=12)).acquire()


def test_a_holder_that_was_too_slow_is_stopped(control: Path) -> None:
    with lock.SourceLock(FILES, control, "src") as held:
        leave(control, 2, host="elsewhere", boot="another")
        with pytest.raises(failures.SyncRunningError, match="elsewhere"):
            held.require()


def test_an_unreadable_record_does_not_hold_for_ever(control: Path) -> None:
    leave(control, 1)
    (control / "locks" / "src" / "1").write_bytes(b"")
    with lock.SourceLock(FILES, control, "src"):
        assert lock.live_locks(control) == ["src"]


def test_of_many_takers_one_wins(control: Path) -> None:
    leave(control, 7, started="1")
    won: list[int] = []
    barrier = threading.Barrier(12)

    def take(number: int) -> None:
        barrier.wait()
        try:
            lock.SourceLock(FILES, control, "src").acquire()
        except failures.SyncRunningError:
            return
        won.append(number)

    takers = [threading.Thread(target=take, args=(number,)) for number in range(12)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert len(won) == 1


def test_a_taker_that_wakes_late_finds_a_newer_holder(control: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(control, 1, started="1")
    late = lock.SourceLock(FILES, control, "src")
    honest = lock.highest_record
    seen = honest(control / "locks" / "src")
    for _ in range(2):  # meanwhile others took it, released it, took it again
        current = lock.SourceLock(FILES, control, "src")
        current.acquire()
        current.release()
    current.acquire()
    answers = iter([seen])
    monkeypatch.setattr(lock, "highest_record", lambda directory: next(answers, None) or honest(directory))
    with pytest.raises(failures.SyncRunningError):
        late.acquire()
    assert honest(control / "locks" / "src")[0] == 4
    assert os.getpid()


def test_a_host_of_the_same_name_is_another_host(control: Path) -> None:
    """Cloned machines share a name; what this one would call a restart of its own may be a living writer."""
    leave(control, 3, boot="of the clone", pid=2**22 + 1)
    clock = _Watcher(lambda nap: leave(control, 3, boot="of the clone", renewals=nap // 40))
    with pytest.raises(failures.SyncRunningError, match="process"):
        lock.SourceLock(FILES, control, "src", watch=lock.Watch(clock)).acquire()


def test_who_waits_is_told_why_and_can_be_stopped(control: Path) -> None:
    leave(control, 3, host="elsewhere", boot="another")
    told: list[str] = []
    stop = threading.Event()
    clock = _Watcher(lambda nap: stop.set() if nap == 5 else None)
    with pytest.raises(failures.StoppedError):
        lock.SourceLock(FILES, control, "src", watch=lock.Watch(clock, stop, told.append)).acquire()
    assert len(told) == 1
    assert "elsewhere" in told[0]
    assert clock.monotonic() < 1000 + lock.LAPSE_SECONDS


def test_a_cleaner_whose_host_died_does_not_stop_syncs_for_ever(control: Path) -> None:
    directory = control / "locks" / lock.CLEANING
    directory.mkdir()
    owner = msgspec.structs.replace(owners.myself(), host="elsewhere", boot="another")
    (directory / "1").write_bytes(msgspec.json.encode(owner))
    with pytest.raises(failures.SyncRunningError, match="elsewhere"):
        lock.require_no_cleaning(control)
    clock = manual_clock.ManualClock()
    lock.require_no_cleaning(control, lock.Watch(clock))
    assert clock.monotonic() >= 1000 + lock.LAPSE_SECONDS
