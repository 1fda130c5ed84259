from __future__ import annotations

import threading

import pytest

from stationmaster.mirror import transfer


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_each_job_is_done_once(threads: int) -> None:
    done: list[int] = []
    transfer.run_parallel(iter(range(500)), done.append, threads=threads)
    assert sorted(done) == list(range(500))


def test_a_waiting_process_takes_more_threads() -> None:
    together = threading.Barrier(6)

    def work(_: int) -> None:
        together.wait(30)  # broken unless there are six

    transfer.run_parallel(range(6), work, threads=6, share=lambda: 0.1)
    assert not together.broken


@pytest.mark.parametrize("first", [1, 2])
def test_a_busy_process_stays_with_those_it_began_with(first: int) -> None:
    inside: set[str] = set()
    looks: list[float] = []
    has_looked = threading.Event()

    def share() -> float:
        looks.append(1.4)
        if len(looks) > 2:
            has_looked.set()
        return looks[-1]

    def work(_: int) -> None:
        inside.add(threading.current_thread().name)
        assert has_looked.wait(30)

    transfer.run_parallel(range(6), work, threads=6, first=first, share=share)
    assert len(inside) == first


@pytest.mark.parametrize(
    ("files", "size_bytes", "expected"), [(0, 0, 2), (3000, 750_000_000, 1), (100, 100_000_000, 2), (1, 2_000_000, 2)]
)
def test_small_files_begin_with_one_thread(files: int, size_bytes: int, expected: int) -> None:
    assert transfer.first_threads(files, size_bytes) == expected


def test_the_first_failure_stops_all_and_is_raised() -> None:
    def work(job: int) -> None:
        if job == 5:
            raise KeyError(job)

    drawn: list[int] = []

    def jobs() -> object:
        for number in range(10_000):
            drawn.append(number)
            yield number

    with pytest.raises(KeyError):
        transfer.run_parallel(jobs(), work, threads=3)  # type: ignore[arg-type]
    assert len(drawn) < 10_000
