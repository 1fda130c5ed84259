"""Many files at once: a few threads draw jobs from one iterator; the first failure stops all.

Threads hide the way to the upstream and back; where it is short, more of them only take the interpreter from each
other. So it begins with a few, and another joins as long as the process is mostly waiting. Two to begin with are faster
than one where digests and copies are most of the work, which run without the interpreter's lock (files of 1 MB: 1.5
times); with small files (250 kB) they are not, and cost a fifth more of processor time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from stationmaster.host import clock as clocks

_SMALL_BYTES = 300_000
_LOOK_SECONDS = 0.05
_BUSY_SHARE = 0.7
_Job = TypeVar("_Job")


def run_parallel(
    jobs: Iterable[_Job],
    work: Callable[[_Job], None],
    *,
    threads: int,
    first: int = 2,
    share: Callable[[], float] | None = None,
) -> None:
    """Do ``work`` for each job in ``first`` to ``threads`` threads; ``share`` tells how busy the process was lately.

    Jobs are drawn when a thread is free, so the iterator may be endless-long and lazy.
    Raises the first failure after every thread has ended its job: nobody writes behind the caller's back.
    """
    source = iter(jobs)
    if threads <= 1:
        for job in source:
            work(job)
        return
    crew = _Crew(source, work)
    share = share or clocks.ProcessorShare().since_last
    for _ in range(min(first, threads)):
        crew.hire()
    while crew.size < threads and not crew.is_done.wait(_LOOK_SECONDS):
        if share() < _BUSY_SHARE:
            crew.hire()
    crew.join()
    if crew.failure is not None:
        raise crew.failure


def first_threads(files: int, size_bytes: int) -> int:
    """How many threads to begin with for so many files of so many bytes together."""
    return 1 if size_bytes < files * _SMALL_BYTES else 2


class _Crew(Generic[_Job]):
    def __init__(self, source: Iterator[_Job], work: Callable[[_Job], None]) -> None:
        self._source = source
        self._work = work
        self._lock = threading.Lock()
        self._workers: list[threading.Thread] = []
        self.failure: BaseException | None = None
        self.is_done = threading.Event()  # no more jobs to draw

    @property
    def size(self) -> int:
        return len(self._workers)

    def hire(self) -> None:
        worker = threading.Thread(target=self.labour, name=f"fetch-{len(self._workers)}", daemon=True)
        self._workers.append(worker)
        worker.start()

    def join(self) -> None:
        for worker in self._workers:
            worker.join()

    def labour(self) -> None:
        try:
            self._draw()
        finally:
            self.is_done.set()

    def _draw(self) -> None:
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
