"""A small HTTP server on a Unix socket: one request a connection, answered by a function. For probes, not for bytes."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

from stationmaster.host import files as host_files

_REQUEST_LIMIT = 16384
_READ_SECONDS = 2.0
_SEND_SECONDS = 30.0
_WORDS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 500: "Error", 503: "Service Unavailable"}


class LocalAnswer(NamedTuple):
    """What goes back: status, extra headers, body.

    A body in pieces comes with its Content-Length; where it ends early, by an error, the connection is broken.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | Iterator[bytes]


Answerer = Callable[[str, str], LocalAnswer]


class LocalServer:
    """Serves on ``path`` in threads of its own until ``close``. A socket left by a predecessor is replaced.

    The socket is open to every user of the host, since the web server in front runs as another one.
    """

    def __init__(self, path: Path, answer: Answerer, files: host_files.Files) -> None:
        self._path = path
        self._files = files
        files.remove(path)
        self._server = _Server(str(path), _connection_of(answer))
        files.set_mode(path, 0o666)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="local-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._files.remove(self._path)


class _Server(socketserver.ThreadingUnixStreamServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that went away is no news."""


def _connection_of(answer: Answerer) -> type[socketserver.BaseRequestHandler]:
    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection: socket.socket = self.request
            connection.settimeout(_READ_SECONDS)
            with contextlib.suppress(OSError):
                method, target = _read_request_line(connection)
                found = answer(method, target) if method in {"GET", "HEAD"} else LocalAnswer(405, {}, b"")
                _send(connection, found, with_body=method != "HEAD")

    return Connection


def _read_request_line(connection: socket.socket) -> tuple[str, str]:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(4096)
        if not piece or len(received) > _REQUEST_LIMIT:
            raise ConnectionAbortedError
        received += piece
    method, _, rest = received.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
    return method, rest.rsplit(" ", 1)[0]


def _send(connection: socket.socket, answer: LocalAnswer, *, with_body: bool) -> None:
    body = answer.body
    size = {"Content-Length": str(len(body))} if isinstance(body, bytes) else {}
    lines = [
        f"HTTP/1.1 {answer.status} {_WORDS.get(answer.status, 'Status')}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in {**answer.headers, **size}.items()),
    ]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    if isinstance(body, bytes):
        connection.sendall(head + (body if with_body else b""))
        return
    connection.settimeout(_SEND_SECONDS)
    with contextlib.closing(cast("Generator[bytes, None, None]", body)) as pieces:  # whatever has a ``close``
        connection.sendall(head)
        for piece in pieces if with_body else ():
            connection.sendall(piece)
