"""Waiting for something to become true, with a deadline and words that say what was waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from stationmaster.host import clock, network
from stationmaster.lab import host
from stationmaster.model import errors

_Result = TypeVar("_Result")


def until(
    attempt: Callable[[], _Result],
    seconds: float,
    what: str,
    *,
    every: float = 0.1,
    time: clock.Clock | None = None,
) -> _Result:
    """Repeat ``attempt`` until it returns something true, and return that; HostError when the time is over."""
    chosen = time or clock.SystemClock()
    deadline = chosen.monotonic() + seconds
    while True:
        result = attempt()
        if result:
            return result
        if chosen.monotonic() > deadline:
            raise errors.HostError(f"Waited {seconds:g} s for {what}, in vain; last seen: {result!r}.")
        chosen.sleep(every)


def is_port_open(seen_from: host.LabHost, address: str, port: int) -> bool:
    """Whether a TCP connection from a host opens within a second."""
    return seen_from.call(lambda: network.is_answering(address, port, timeout=1.0))
