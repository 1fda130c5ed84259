"""Holds stations to their word (I8): one that says it is ready must serve what its lists name, at that very moment.

Asked from the balancer's host, since its view is what counts. A wrong answer between two times of being ready is a
violation; silence is not, for storage may stall for as long as its own time-outs, and a host may be frozen in between.
"""

from __future__ import annotations

import http.client
import threading
from types import TracebackType
from typing import Self

from stationmaster.lab import host, machines
from stationmaster.lab.chaos import churn
from stationmaster.lab.world import World

_EVERY = 0.4
_TIMEOUT = 1.5


class Witness:
    """Asks every station in turn while its context lasts; ``faults`` grows."""

    def __init__(self, world: World, seen_from: host.LabHost) -> None:
        self._world = world
        self._seen_from = seen_from
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="witness", daemon=True)
        self.faults: list[str] = []
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY):
            for station in self._world.stations.values():
                if not self._stop.is_set() and self._is_ready(station):
                    self._look(station)

    def _look(self, station: machines.Station) -> None:
        for source_id, path in churn.root_paths(self._world).items():
            wrong = self._ask(station, f"/m/{source_id}")
            if isinstance(wrong, bytes):
                base = "/" + wrong.decode().strip().split("/", 3)[3]
                wrong = self._ask(station, base + path)
            self.looks += 1
            if isinstance(wrong, str) and self._is_ready(station):
                self.faults.append(f"{station.on.name} says it is ready, but {wrong}")

    def _is_ready(self, station: machines.Station) -> bool:
        return isinstance(self._ask(station, "/healthz"), bytes)

    def _ask(self, station: machines.Station, path: str) -> bytes | str | None:
        """The body of a 200; words for another answer; None for silence."""
        try:
            return self._seen_from.call(lambda: _get(station, path))
        except (OSError, http.client.HTTPException):
            return None


def _get(station: machines.Station, path: str) -> bytes | str:
    link = http.client.HTTPConnection(station.on.address, station.http_port, timeout=_TIMEOUT)
    try:
        link.request("GET", path)
        answer = link.getresponse()
        body = answer.read()
        return body if answer.status == 200 else f"{path} was answered {answer.status}"
    finally:
        link.close()
