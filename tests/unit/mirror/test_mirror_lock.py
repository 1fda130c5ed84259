from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec
import pytest

from stationmaster.host import files as host_files
from stationmaster.mirror import failures, lock

FILES = host_files.Files()


@pytest.fixture
def control(tmp_path: Path) -> Path:
    (tmp_path / "locks").mkdir()
    return tmp_path


def leave(control: Path, number: int, **changes: object) -> None:
    """A record as another process might have left it."""
    owner = msgspec.structs.replace(lock._myself(), **changes)
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
        ({"boot": "another"}, True),
        ({"host": "elsewhere", "pid": 1}, False),  # cannot be judged from here
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


def test_an_unreadable_record_does_not_hold_for_ever(control: Path) -> None:
    leave(control, 1)
    (control / "locks" / "src" / "1").write_bytes(b"")
    with lock.SourceLock(FILES, control, "src"):
        assert lock.live_locks(control) == ["src"]


def test_of_many_takers_one_wins(control: Path) -> None:
    leave(control, 7, boot="before")
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
    leave(control, 1, boot="before")
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
