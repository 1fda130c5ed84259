"""Many files at once: a few threads draw jobs from one iterator; the first failure stops all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

_Job = TypeVar("_Job")


def run_parallel(jobs: Iterable[_Job], work: Callable[[_Job], None], *, threads: int) -> None:
    """Do ``work`` for each job. Jobs are drawn when a thread is free, so the iterator may be endless-long and lazy.

    Raises the first failure after every thread has ended its job: nobody writes behind the caller's back.
    """
    source = iter(jobs)
    if threads <= 1:
        for job in source:
            work(job)
        return
    crew = _Crew(source, work)
    workers = [threading.Thread(target=crew.labour, name=f"fetch-{number}", daemon=True) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if crew.failure is not None:
        raise crew.failure


class _Crew(Generic[_Job]):
    def __init__(self, source: Iterator[_Job], work: Callable[[_Job], None]) -> None:
        self._source = source
        self._work = work
        self._lock = threading.Lock()
        self.failure: BaseException | None = None

    def labour(self) -> None:
        while True:
            try:
                with self._lock:
                    if self.failure is not None:
                        return
                    job = next(self._source)
                self._work(job)
            except StopIteration:
                return
            except BaseException as exc:  # noqa: BLE001 - a thread's edge: handed to the caller of run_parallel
                with self._lock:
                    self.failure = self.failure or exc
                return
