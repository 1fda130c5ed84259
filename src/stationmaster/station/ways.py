"""By which way the hub is reached: directly or through the forward proxy, else through a peer's proxy (R2). Pure.

A peer passes the conversation on and reads nothing of it: what confirms a station is always the hub's own answer to
its own heartbeat (ADR 17). So the hub hears such a station, waits for it, and gives it leases as any other. Peers stand
last and are asked one hop far: their proxy goes to the hub by their own way, never on to another peer.
"""

from __future__ import annotations

import dataclasses
import math

from stationmaster.model import addresses, protocol

# The next try, by another address of the hub or another way, must fall into the six seconds of the confirmation (R2).
TIMEOUT_SECONDS = 3.0
# A peer's way that was just found may be an accident of the moment; one that proved necessary is kept for longer.
FIRST_RETURN_SECONDS = 6.0
RETURN_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Way:
    """``proxy`` is None where the hub is asked directly; ``peer`` is whose proxy it is, empty when no station's."""

    proxy: str | None = None
    peer: str = ""


def ways_of(hub_url: str, forward_proxy: str | None, desired: protocol.StationDesired | None) -> tuple[Way, ...]:
    """All ways, best first. A peer's proxy makes tunnels and nothing else, so plain HTTP does not go through it."""
    own = (Way(_url_of(forward_proxy)), Way()) if forward_proxy else (Way(),)
    if desired is None or not hub_url.startswith("https://"):
        return own
    peers = (
        Way(f"http://{addresses.url_host(peer.addresses[0])}:{peer.ports.proxy}", peer.display_name)
        for peer in desired.peers
        if peer.addresses
    )
    return (*own, *peers)


@dataclasses.dataclass(frozen=True)
class Choice:
    """The way in use. A peer's is left at ``return_at`` for a try of one's own; when that fails, ``proved`` is next."""

    way: Way = Way()
    proved: Way | None = None
    return_at: float = math.inf

    def present(self, ways: tuple[Way, ...], now_at: float) -> Way:
        """The way of the next try."""
        return self.way if self.way in ways and self._is_kept(now_at) else ways[0]

    def answered(self, way: Way, now_at: float) -> Choice:
        """The hub answered by ``way``, which is kept; a peer's for a while."""
        if not way.peer:
            return Choice(way)
        is_same = way == self.way and self._is_kept(now_at) and self.return_at < math.inf
        return Choice(way, way, self.return_at if is_same else now_at + FIRST_RETURN_SECONDS)

    def failed(self, way: Way, ways: tuple[Way, ...], now_at: float, *, is_other_left: bool = False) -> Choice:
        """No answer by ``way``: next is the peer that answered last, if that was another, else the way behind it.

        ``is_other_left``: the hub (or the proxy) has another address, which is tried by the same way first.
        """
        if is_other_left and not way.peer:
            return Choice(way, self.proved)
        if not way.peer and self.proved in ways:
            return Choice(self.proved or ways[0], return_at=now_at + RETURN_SECONDS)
        return Choice(ways[(ways.index(way) + 1) % len(ways)])

    def _is_kept(self, now_at: float) -> bool:
        return not self.way.peer or now_at < self.return_at


def _url_of(forward_proxy: str) -> str:
    return forward_proxy if "://" in forward_proxy else f"http://{forward_proxy}"
