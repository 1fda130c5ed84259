"""The agent-check port for HAProxy (ADR 15): kept open on the port that the hub names, answered from the board.

A port that cannot be had is a problem to be told, and nothing else: health checks decide whether a station serves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from stationmaster.host import clock as clocks
from stationmaster.host import line_server
from stationmaster.model import addresses, protocol
from stationmaster.station import board as boards
from stationmaster.station import names as station_names
from stationmaster.station import readiness, share, specs

_RETRY_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class _Place:
    addresses: tuple[str, ...]
    port: int


class AgentPort:
    """Call ``keep`` every cycle."""

    def __init__(
        self,
        board: boards.Board,
        clock: clocks.Clock,
        known_names: station_names.Names,
        listen: tuple[str, ...],
        verdict: Callable[[], readiness.Verdict],
    ) -> None:
        self._board = board
        self._clock = clock
        self._names = known_names
        self._listen = listen
        self._verdict = verdict
        self._history = share.History()
        self._server: line_server.LineServer | None = None
        self._place: _Place | None = None
        self._retry_at = float("-inf")
        self.problem: protocol.Problem | None = None

    def keep(self) -> None:
        """Follow the desired state, and remember since when the station has been ready."""
        self._history = self._history.after(self._verdict(), self._clock.monotonic())
        desired = self._board.read().desired
        if desired is None:
            return
        wanted = _Place(self._listen, desired.agent_port)
        if wanted == self._place or self._clock.monotonic() < self._retry_at:
            return
        self.close()
        self.problem = self._open(wanted) if wanted.port else None
        if self.problem is None:
            self._place = wanted

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        self._server, self._place = None, None

    def say(self, caller: str) -> bytes | None:
        """The line, for the group's balancers and this host; nothing for others (I10)."""
        desired = self._board.read().desired
        if desired is None or not self._is_admitted(caller, desired):
            return None
        verdict, now = self._verdict(), self._clock.monotonic()
        return share.line(self._history.after(verdict, now), verdict, now)

    def _is_admitted(self, caller: str, desired: protocol.StationDesired) -> bool:
        if addresses.is_loopback(caller):
            return True
        admitted = specs.balancer_addresses(desired, self._names.read())
        return addresses.canonical_host(caller) in {addresses.canonical_host(one) for one in admitted}

    def _open(self, wanted: _Place) -> protocol.Problem | None:
        try:
            self._server = line_server.LineServer(wanted.addresses, wanted.port, self.say)
        except OSError as exc:
            self._retry_at = self._clock.monotonic() + _RETRY_SECONDS
            message = (
                f"The agent-check port {wanted.port} cannot be opened: {exc.strerror}. Balancers give this station its"
                " whole weight at once after a return; everything else works. Free the port."
            )
            return protocol.Problem(code="AgentPortTaken", message=message)
        return None
