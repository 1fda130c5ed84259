"""HTTP/1.1 downloads with little work per request: one buffer per connection, one system call per piece.

For mirrors, which ask for thousands of small files. It speaks GET alone, directly (no proxy); ``host.http`` decides
when it is used, ``http_message`` reads the answers.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import socket
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib import parse

from stationmaster.host import http_message

if TYPE_CHECKING:
    import ssl

_IDLE_LIMIT = 16
_UNSENDABLE = re.compile(r"[\x00- ]")


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where connections lead, and the ``Host`` that requests to it name."""

    is_secure: bool
    host: str
    port: int
    authority: str


class Wire:
    """Idle connections by origin. Safe to use from several threads."""

    def __init__(self, context: Callable[[], ssl.SSLContext]) -> None:
        self._context = context
        self._idle: dict[Origin, list[http_message.Connection]] = {}
        self._origins: dict[str, Origin] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._idle)

    def get(
        self, url: str, *, headers: Mapping[str, str], connect_timeout: float, read_timeout: float
    ) -> http_message.WireAnswer:
        """One request, asked at once; BrokenError when no answer came.

        The answer is a context manager: where it was read whole, the connection is kept afterwards.
        """
        origin, target = self._split(url)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if not (target + lines).isascii() or lines.count("\n") != len(headers) or _UNSENDABLE.search(target):
            raise http_message.BrokenError("address or headers cannot be sent")
        request = f"GET {target} HTTP/1.1\r\nHost: {origin.authority}\r\n{lines}\r\n".encode()
        answer = self._asked(origin, request, connect_timeout, read_timeout)
        answer.release = functools.partial(self._release, origin)
        return answer

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            _close_all(self._idle)

    def _asked(
        self, origin: Origin, request: bytes, connect_timeout: float, read_timeout: float
    ) -> http_message.WireAnswer:
        """A kept connection may have been closed meanwhile; then, and only then, the request is sent again."""
        while True:
            connection = self._take(origin) or self._connect(origin, connect_timeout)
            try:
                connection.set_timeout(read_timeout)
                connection.send(request)
                return http_message.WireAnswer(connection, *connection.head())
            except BaseException as exc:
                connection.close()
                if not (isinstance(exc, http_message.BrokenError) and exc.is_silent and connection.is_reused):
                    raise

    def _take(self, origin: Origin) -> http_message.Connection | None:
        with self._lock:
            idle = self._idle.get(origin)
            return idle.pop() if idle else None

    def _release(self, origin: Origin, answer: http_message.WireAnswer, connection: http_message.Connection) -> None:
        connection.is_reused = True
        with self._lock:
            idle = self._idle.setdefault(origin, [])
            if answer.is_reusable() and len(idle) < _IDLE_LIMIT:
                idle.append(connection)
                return
        connection.close()

    def _connect(self, origin: Origin, connect_timeout: float) -> http_message.Connection:
        # Bytes, since the interpreter loads its IDNA tables for a str, be it ASCII.
        try:
            sock = socket.create_connection((origin.host.encode(), origin.port), timeout=connect_timeout)  # type: ignore[arg-type]
        except OSError as exc:
            raise http_message.BrokenError(http_message.words(exc)) from exc
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.is_secure:
                sock = self._context().wrap_socket(sock, server_hostname=origin.host)
        except OSError as exc:
            sock.close()
            raise http_message.BrokenError(http_message.words(exc)) from exc
        except ValueError as exc:  # a name that no certificate can have
            sock.close()
            raise http_message.BrokenError(str(exc)) from exc
        return http_message.Connection(sock, is_secure=origin.is_secure)

    def _split(self, url: str) -> tuple[Origin, str]:
        start = url.find("/", url.find("://") + 3)
        base = url if start < 0 else url[:start]
        origin = self._origins.get(base)
        if origin is None:
            origin = self._origins[base] = parse_origin(base)
        return origin, ("/" if start < 0 else url[start:].partition("#")[0])


def _close_all(idle: dict[Origin, list[http_message.Connection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()
    idle.clear()


def parse_origin(base: str) -> Origin:
    """Scheme, host and port of an address; names with other letters than ASCII as IDNA has them."""
    try:
        parsed = parse.urlsplit(base)
        host, port = parsed.hostname or "", parsed.port
        if not host.isascii():
            host = host.encode("idna").decode()
    except ValueError as exc:
        raise http_message.BrokenError(f"{base!r} is no address") from exc
    is_secure = parsed.scheme == "https"
    if parsed.scheme not in ("http", "https") or not host or parsed.query or any(one <= " " for one in host):
        raise http_message.BrokenError(f"{base!r} is no address of a web server")
    shown = f"[{host}]" if ":" in host else host
    standard = 443 if is_secure else 80
    authority = shown if port in (None, standard) else f"{shown}:{port}"
    return Origin(is_secure, host, port or standard, authority)
