"""What all syncs of one process may take together: bytes a second and connections, in all and per host; room.

One ``Limits`` is made per process and handed to every engine, whether it asks upstreams or peers::

    shared = limits.Limits(clock, limits.LimitSettings(bytes_per_second=10 << 20, connections=16))
    engine.Engine(files, http, clock, limits=shared)

A station makes it from its settings once, and calls ``change`` when they change: running syncs obey at once. Without
settings nothing is limited, and nothing is counted either. ``room`` is kept in any case: what one sync was granted of a
volume is not free for the others.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from urllib import parse

from stationmaster.host import clock as clocks
from stationmaster.mirror import failures, ledger

_LOOK_SECONDS = 0.1  # how soon a stop, or a changed setting, is noticed
_BURST_SECONDS = 0.25
_SMALLEST_PIECE = 1 << 12
_ALL = ""  # the account of all hosts
_UNLIMITED = contextlib.nullcontext()


@dataclasses.dataclass(frozen=True)
class LimitSettings:
    """None: not limited. A connection counts from its request to the end of the answer's body."""

    bytes_per_second: int | None = None
    bytes_per_second_per_host: int | None = None
    connections: int | None = None
    connections_per_host: int | None = None


class Limits:
    """Shared by all threads of all syncs."""

    def __init__(self, clock: clocks.Clock, settings: LimitSettings | None = None) -> None:
        self.room = ledger.Grants()
        self._clock = clock
        self._settings = settings or LimitSettings()
        self._free = threading.Condition()
        self._open: collections.Counter[str] = collections.Counter()
        self._paid_until: dict[str, float] = {}

    @property
    def settings(self) -> LimitSettings:
        """What holds now."""
        return self._settings

    def change(self, settings: LimitSettings) -> None:
        """From now on; connections over a lowered limit end their file first."""
        with self._free:
            self._settings = settings
            self._paid_until.clear()
            self._free.notify_all()

    def connection(self, url: str, stop: threading.Event) -> contextlib.AbstractContextManager[None]:
        """One place among the connections; waits for it, and raises StoppedError when told to stop meanwhile."""
        settings = self._settings
        if settings.connections is None and settings.connections_per_host is None:
            return _UNLIMITED
        return self._counted(url, stop)

    @contextlib.contextmanager
    def _counted(self, url: str, stop: threading.Event) -> Iterator[None]:
        host = _host_of(url)
        self._take_place(host, stop)
        try:
            yield
        finally:
            with self._free:
                self._open[_ALL] -= 1
                self._open[host] -= 1
                self._free.notify_all()

    def piece_size(self, largest: int) -> int:
        """How much to read at once, so that a low rate is kept evenly and a stop is heard."""
        rates = (self._settings.bytes_per_second, self._settings.bytes_per_second_per_host)
        lowest = min((rate for rate in rates if rate is not None), default=None)
        return largest if lowest is None else max(_SMALLEST_PIECE, min(largest, lowest // 8))

    def pay(self, size: int, url: str, stop: threading.Event) -> float:
        """Account for bytes that came, and wait as long as they were too early; returns the seconds waited."""
        settings = self._settings
        if settings.bytes_per_second is None and settings.bytes_per_second_per_host is None:
            return 0.0
        begun = now = self._clock.monotonic()
        with self._free:
            due = max(
                self._charge(_ALL, size, settings.bytes_per_second, now),
                self._charge(_host_of(url), size, settings.bytes_per_second_per_host, now),
            )
        while now < due and not stop.is_set() and self._settings is settings:
            self._clock.sleep(min(due - now, _LOOK_SECONDS))
            now = self._clock.monotonic()
        return now - begun

    def _charge(self, account: str, size: int, rate: int | None, now: float) -> float:
        """When the bytes are paid for; a little may be saved up, so that short pauses cost nothing."""
        if rate is None:
            return now
        paid = max(self._paid_until.get(account, 0.0), now - _BURST_SECONDS) + size / rate
        self._paid_until[account] = paid
        return paid

    def _take_place(self, host: str, stop: threading.Event) -> None:
        with self._free:
            while not self._has_place(host):
                self._free.wait(_LOOK_SECONDS)
                if stop.is_set():
                    raise failures.StoppedError("The sync was stopped.", hint="The next run resumes where it ended.")
            self._open[_ALL] += 1
            self._open[host] += 1

    def _has_place(self, host: str) -> bool:
        settings = self._settings
        most = ((_ALL, settings.connections), (host, settings.connections_per_host))
        return all(limit is None or self._open[account] < limit for account, limit in most)


def _host_of(url: str) -> str:
    return parse.urlsplit(url).hostname or url
