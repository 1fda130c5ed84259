"""What a running HAProxy thinks of its servers, read from its statistics socket."""

from __future__ import annotations

import csv
import dataclasses
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from stationmaster.host import clock

_INTERVAL = 0.05
_LAST_RESORT = "-last"  # how `balancer render` names the tier that is used when no station is ready


@dataclasses.dataclass(frozen=True)
class ServerRow:
    """One server of one backend: where it is, whether work is sent to it, and whether it is only a stand-in."""

    backend: str
    server: str
    address: str
    is_up: bool
    is_stand_in: bool


def parse_rows(answer: str) -> list[ServerRow]:
    """The servers in the answer to ``show stat``."""
    rows = csv.DictReader(answer.lstrip("# ").splitlines())
    return [
        ServerRow(
            row["pxname"],
            row["svname"],
            row["addr"].rpartition(":")[0],
            # "UP 1/2" is up and about to go down; "no check" follows another server's check elsewhere.
            is_up=row["status"].startswith(("UP", "no check")),
            is_stand_in=row["bck"] == "1" or row["pxname"].endswith(_LAST_RESORT),
        )
        for row in rows
        if row["type"] == "2"
    ]


def is_in_work(rows: Sequence[ServerRow], address: str) -> bool | None:
    """Whether every ordinary server at an address is up (True), none is (False), or some are (None)."""
    states = {row.is_up for row in rows if row.address == address and not row.is_stand_in}
    return states.pop() if len(states) == 1 else None


def ask(path: Path, command: str) -> str:
    """One command to HAProxy's socket; empty when it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(2.0)
            link.connect(str(path))
            link.sendall(f"{command}\n".encode())
            answer = b""
            while piece := link.recv(1 << 16):
                answer += piece
            return answer.decode()
    except OSError:
        return ""


class BalancerWatch:
    """Samples a balancer twenty times a second while its context lasts; remembers when each station came and went."""

    def __init__(self, path: Path, stations: Mapping[str, str], time: clock.Clock) -> None:
        self._path = path
        self._stations = stations
        self._time = time
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="balancer-watch", daemon=True)
        self.changes: list[tuple[float, str, bool]] = []

    def first(self, station: str, *, in_work: bool, after: float) -> float | None:
        """When a station first was in (or out of) work after a time; None when that has not been seen."""
        current = [entry for entry in self.changes if entry[1] == station and entry[0] <= after]
        if current and current[-1][2] is in_work:
            return after
        found = [time for time, name, state in self.changes if name == station and state is in_work and time > after]
        return found[0] if found else None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        last: dict[str, bool] = {}
        while not self._stop.wait(_INTERVAL):
            answer = ask(self._path, "show stat")
            now = self._time.monotonic()
            rows = parse_rows(answer) if answer else []
            for name, address in self._stations.items():
                state = is_in_work(rows, address)
                if state is not None and last.get(name) is not state:
                    last[name] = state
                    self.changes.append((now, name, state))
