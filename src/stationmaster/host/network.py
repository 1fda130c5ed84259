"""Sockets: names, addresses of this host, and whether a port answers."""

from __future__ import annotations

import contextlib
import socket


def resolve(name: str) -> tuple[str, ...]:
    """The addresses of a host name, sorted, each once; empty when it does not resolve."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter for what cannot be a name at all
        return ()
    return tuple(sorted({str(entry[4][0]) for entry in found}))


def address_towards(host: str, port: int) -> str | None:
    """The address this machine uses on its way to ``host``; None without a route. Sends nothing."""
    try:
        family, kind, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError):
        return None


def is_answering(address: str, port: int, *, timeout: float = 1.0) -> bool:
    """Whether a TCP connection to ``address`` opens in time."""
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout):
        return True
    return False


def is_free(port: int, *, address: str = "") -> bool:
    """Whether this process could listen on ``port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def has_ipv6() -> bool:
    """Whether this host can listen on IPv6 addresses."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def host_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname()


def exchange(address: str, port: int, request: bytes, *, timeout: float) -> bytes:
    """Send bytes and return what comes first; empty when nothing came in time. For asking whether a server is alive."""
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout) as connection:
        connection.settimeout(timeout)
        connection.sendall(request)
        return connection.recv(4096)
    return b""


def notify_service_manager(state: str, address: str) -> None:
    """sd_notify(3): tell systemd ``state`` at the socket it named in NOTIFY_SOCKET; nothing listens is fine."""
    target = "\0" + address[1:] if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.sendto(state.encode(), target)
