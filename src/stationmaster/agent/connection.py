"""The way to the hub: CONNECT through the gateway, TLS by the hub's CA. Says which link of that way is broken.

A gateway that is the hub itself (a response file of a STATION profile, a hub on a loopback address) is no proxy: the
agent talks to it directly.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa

from stationmaster.agent import state
from stationmaster.api_client import session
from stationmaster.host import clock, http, network
from stationmaster.model import addresses, errors, signing

R = TypeVar("R")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


def open_session(
    hub_url: str,
    ca_file: Path | None,
    gateway: state.AddressInUse,
    wall_clock: clock.Clock,
    *,
    key_id: signing.KeyId | None = None,
    key: rsa.RSAPrivateKey | None = None,
) -> session.Session:
    """A conversation with the hub through a gateway; nothing is sent yet."""
    proxy = None
    if not is_hub(gateway, hub_url):
        proxy = f"http://{addresses.url_host(gateway.host)}:{gateway.proxy_port}"
    return session.Session(
        hub_url, http.Http(ca_file=ca_file, proxy_url=proxy, connections_per_host=1), wall_clock, key_id=key_id, key=key
    )


def is_hub(gateway: state.AddressInUse, hub_url: str) -> bool:
    """Whether the gateway is the hub's own address."""
    parts = urllib.parse.urlsplit(hub_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return addresses.canonical_host(parts.hostname or "") == addresses.canonical_host(gateway.host) and (
        port == gateway.proxy_port
    )


def explain(error: errors.PeerError, gateway: state.AddressInUse, hub_url: str) -> errors.PeerError:
    """The same failure, by the link that broke: gateway, permitted range, hub, or trust."""
    message = error.message
    where = f"{gateway.host}:{gateway.proxy_port}"
    if isinstance(error, session.HubFailedError) or is_hub(gateway, hub_url):
        return error
    if "unnel connection failed: 403" in message:
        return errors.PeerError(
            f"The proxy {where} refused this machine: this address is not in the permitted range of the station, or "
            f"the station does not know the hub as {hub_url}.",
            hint="Add the address to the station's permitted range (proxy.hosts), and compare the hub's URL.",
            code="ProxyDenied",
        )
    if "certificate" in message.lower():
        return errors.PeerError(
            f"The hub behind {where} could not be trusted: {message}",
            hint="The CA comes with the response file: make a new one, and check the hub's --tls-name.",
            code="HubNotTrusted",
        )
    is_gateway_up = "unnel connection failed" in message or network.is_answering(
        gateway.host, gateway.proxy_port, timeout=3.0
    )
    if is_gateway_up:
        return errors.PeerError(
            f"The proxy {where} answers, but not the hub {hub_url} behind it: {message}",
            hint="Check that a station behind that name is in service and reaches the hub, and that the hub runs.",
            code="HubUnreachable",
        )
    return errors.PeerError(
        f"The gateway {where} does not answer: {message}",
        hint="Check GatewayServerHost and GatewayServerPort, the name's addresses, and the firewall in between.",
        code="GatewayUnreachable",
    )


def retry(attempt: Callable[[], R], wall_clock: clock.Clock, *, seconds: float, jitter: Callable[[], float]) -> R:
    """Try until it works or ``seconds`` are over; only trouble with the connection or the hub is worth another try."""
    deadline = wall_clock.monotonic() + seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return attempt()
        except errors.PeerError as exc:
            # A refusal by the permitted range is an answer; asking again would only fill the station's log.
            if exc.code == "ProxyDenied" or wall_clock.monotonic() + pause >= deadline:
                raise
        wall_clock.sleep(pause * (0.5 + jitter()))
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
