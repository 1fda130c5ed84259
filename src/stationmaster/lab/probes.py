"""Small requests through the balancer's three ports, many a second: the finest view of a failure that clients get.

Each opens a connection of its own. An answer that did not come whole is a failure; nothing is tried again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from stationmaster.lab import host, load

_TIMEOUT = 10.0
_ENOUGH = 1 << 16


@dataclasses.dataclass(frozen=True)
class Target:
    """What to ask for: the balancer's address and its name (for TLS and Host), a port and a path.

    ``source`` is the address to come from, where the host has several; balancers choose a station by it.
    """

    address: str
    name: str
    port: int
    path: str
    source: str = ""


def get_over_http(seen_from: host.LabHost, target: Target) -> str:
    """One GET; empty when it was answered 200 and whole."""
    return seen_from.call(lambda: _attempt(target, None))


def get_over_https(seen_from: host.LabHost, target: Target, ca: Path) -> str:
    """One GET over TLS, the balancer's name checked against the hub's CA."""
    context = ssl.create_default_context(cafile=str(ca))
    return seen_from.call(lambda: _attempt(target, context))


def get_through_proxy(seen_from: host.LabHost, proxy: Target, hub: Target, ca: Path) -> str:
    """One tunnel to the hub through the proxy, and one GET in it: what an agent does."""
    context = ssl.create_default_context(cafile=str(ca))
    return seen_from.call(lambda: _attempt_tunnel(proxy, hub, context))


def task(kind: str, seen_from: host.LabHost, target: Target, ca: Path | None = None) -> load.Task:
    """A GET as a task for a load, over TLS when a CA is given."""
    if ca is None:
        return load.Task(kind, lambda: get_over_http(seen_from, target))
    return load.Task(kind, lambda: get_over_https(seen_from, target, ca))


def _attempt(target: Target, context: ssl.SSLContext | None) -> str:
    try:
        with _connected(target) as link:
            if context is None:
                return _get(link, target)
            with context.wrap_socket(link, server_hostname=target.name) as secured:
                return _get(secured, target)
    except OSError as exc:
        return f"{target.name}:{target.port}: {exc}"


def _attempt_tunnel(proxy: Target, hub: Target, context: ssl.SSLContext) -> str:
    try:
        with _connected(proxy) as link:
            link.sendall(f"CONNECT {hub.name}:{hub.port} HTTP/1.1\r\nHost: {hub.name}:{hub.port}\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                piece = link.recv(4096)
                if not piece:
                    return f"the proxy ended the connection after {head!r}"
                head += piece
            if head.split(b" ")[1:2] != [b"200"]:
                return f"the proxy answered {head.splitlines()[0].decode('latin-1')}"
            with context.wrap_socket(link, server_hostname=hub.name) as secured:
                return _get(secured, hub)
    except OSError as exc:
        return f"proxy {proxy.name}:{proxy.port}: {exc}"


@contextlib.contextmanager
def _connected(target: Target) -> Iterator[socket.socket]:
    source = (target.source, 0) if target.source else None
    with socket.create_connection((target.address, target.port), _TIMEOUT, source) as link:
        yield link


def _get(link: socket.socket, target: Target) -> str:
    link.sendall(
        f"GET {target.path} HTTP/1.1\r\nHost: {target.name}:{target.port}\r\nConnection: close\r\n\r\n".encode()
    )
    answer = b""
    while piece := link.recv(_ENOUGH):
        answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").splitlines()
    if not lines or lines[0].split(" ")[1:2] != ["200"]:
        return f"{target.path} was answered {lines[0] if lines else 'by nothing'}"
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    expected = headers.get("content-length")
    return f"{target.path} was cut short" if expected and len(body) != int(expected) else ""
