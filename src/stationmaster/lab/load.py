"""Clients that keep working while things are done to hosts, and the record of what each of them met."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from stationmaster.host import clock
from stationmaster.lab import measure
from stationmaster.model import errors


@dataclasses.dataclass(frozen=True)
class Task:
    """One kind of operation; ``attempt`` returns an empty string, or what failed."""

    kind: str
    attempt: Callable[[], str]


@dataclasses.dataclass(frozen=True)
class Worker:
    """A client: does its tasks in turn, one after another, with a pause between them, the first after ``delay``."""

    name: str
    tasks: Sequence[Task]
    pause: float = 0.0
    delay: float = 0.0


class Load:
    """Runs workers, each in a thread, from entering the context to leaving it. A task that has begun is let finish."""

    def __init__(self, workers: Sequence[Worker], time: clock.Clock) -> None:
        self._workers = workers
        self._time = time
        self._stop = threading.Event()
        self._operations: list[measure.Operation] = []
        self._begun: dict[str, float] = {}
        self._pool = concurrent.futures.ThreadPoolExecutor(max(1, len(workers)), thread_name_prefix="load")

    def operations(self) -> list[measure.Operation]:
        """Everything that has ended so far."""
        return list(self._operations)

    def count(self, kind: str) -> int:
        """How many operations of a kind have ended."""
        return sum(operation.kind == kind for operation in self.operations())

    def is_done_with(self, before: float) -> bool:
        """Whether every operation that was begun before a time has ended."""
        return all(begun >= before for begun in list(self._begun.values()))

    def __enter__(self) -> Self:
        self._running = [self._pool.submit(self._work, worker) for worker in self._workers]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True)
        if kind is None:
            for job in self._running:
                job.result()

    def _work(self, worker: Worker) -> None:
        self._stop.wait(worker.delay)
        for task in itertools.cycle(worker.tasks):
            if self._stop.is_set():
                return
            started = self._begun[worker.name] = self._time.monotonic()
            try:
                failure = task.attempt()
            except errors.StationmasterError as exc:
                failure = str(exc)
            self._operations.append(measure.Operation(task.kind, started, self._time.monotonic(), failure))
            del self._begun[worker.name]
            self._stop.wait(worker.pause)
