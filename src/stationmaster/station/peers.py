"""Reading from peers: which addresses a generation has there, and a client that shows this station's certificate.

The request carries the mark of one that came from a peer, so that what the holder lacks too is not asked of others in a
circle. The holder's own certificate is not checked: the generation is named by the hub, and every byte is checked
against that name, whoever sent it (I13).
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from stationmaster.host import http as host_http
from stationmaster.mirror import exchange, retry
from stationmaster.model import addresses, protocol
from stationmaster.station import snapshot as snapshots

HOP_HEADER = "X-Stationmaster-Hop"
# A peer is near: one that does not answer soon is passed over for the next holder.
POLICY = exchange.FetchPolicy(
    retry=retry.RetryPolicy(attempts=3, first_delay=0.2, longest_delay=1.0, longest_wait=5.0),
    connect_timeout=2.0,
    read_timeout=8.0,
)


@dataclasses.dataclass(frozen=True)
class Place:
    """One address of one holder."""

    name: str
    url: str


def places_of(holders: tuple[protocol.Peer, ...], source_id: str, generation: str) -> tuple[Place, ...]:
    """Where a generation can be read, best holder first."""
    return tuple(
        Place(
            holder.display_name,
            f"https://{addresses.url_host(address)}:{holder.ports.https}/g/{source_id}/{generation}/",
        )
        for holder in holders
        for address in holder.addresses
    )


class PeerHttp:
    """The client for peers; it takes up a renewed certificate by itself."""

    def __init__(self, certificate: Callable[[], snapshots.CertificateView | None]) -> None:
        self._certificate = certificate
        self._lock = threading.Lock()
        self._client: tuple[str, host_http.Http] | None = None

    @contextlib.contextmanager
    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], connect_timeout: float, read_timeout: float
    ) -> Iterator[exchange.Answer]:
        """One request (``mirror.exchange.HttpDoor``)."""
        marked = {**headers, HOP_HEADER: "1"}
        with self._present().stream(
            method, url, headers=marked, connect_timeout=connect_timeout, read_timeout=read_timeout
        ) as answer:
            yield answer

    def _present(self) -> host_http.Http:
        shown = self._certificate()
        digest = shown.digest if shown is not None else ""
        with self._lock:
            if self._client is None or self._client[0] != digest:
                pair = (Path(shown.chain), Path(shown.key)) if shown is not None else None
                client = host_http.Http(client_certificate=pair, connections_per_host=8, is_tls_verified=False)
                self._client = (digest, client)
            return self._client[1]
