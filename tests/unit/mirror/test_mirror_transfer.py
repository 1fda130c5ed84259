from __future__ import annotations

import threading

import pytest

from stationmaster.mirror import transfer


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_each_job_is_done_once(threads: int) -> None:
    done: list[int] = []
    transfer.run_parallel(iter(range(500)), done.append, threads=threads)
    assert sorted(done) == list(range(500))


def test_a_waiting_process_takes_more_threads_and_a_busy_one_does_not() -> None:
    for share, expected in ((0.1, 6), (1.4, 2)):
        together = threading.Semaphore(0)
        inside: set[str] = set()

        def work(_: int, inside: set[str] = inside, together: threading.Semaphore = together) -> None:
            inside.add(threading.current_thread().name)
            together.acquire(timeout=0.15)

        transfer.run_parallel(range(6), work, threads=6, share=lambda share=share: share)
        assert len(inside) == expected


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
