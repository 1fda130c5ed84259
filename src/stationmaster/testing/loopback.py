"""What tests of real engines need on one machine: free ports, requests from chosen addresses, a daemon's health."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import socket  # noqa: TID251 - sockets with chosen source addresses and forged headers are what is tested
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens now, below the range that the kernel gives to outgoing connections."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        start = 20000 + (hash(threading.get_ident()) ^ id(found) >> 4) % 11000
        for offset in range(12000):
            port = 20000 + (start - 20000 + offset) % 12000
            probe = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("0.0.0.0", port))  # noqa: S104 - to learn whether anybody has it
                found.append(port)
            if len(found) == count:
                return found
    raise AssertionError("no free ports")


def is_open(port: int) -> bool:
    """Whether somebody listens now; waits a moment when not."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        threading.Event().wait(0.02)
        return False
    return True


@dataclasses.dataclass(frozen=True)
class Answer:
    """A parsed answer; status 0 when the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        """The body as an object."""
        found: dict[str, object] = json.loads(self.body)
        return found


def fetch(
    where: int | tuple[str, int],
    path: str,
    *,
    source: str = "127.0.0.1",
    proxy_header: str = "",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    timeout: float = 5.0,
) -> Answer:
    """One request from ``source``, after a PROXY protocol line if one is given; a bare port is 127.0.0.1's."""
    target = ("127.0.0.1", where) if isinstance(where, int) else where
    with socket.create_connection(target, timeout, source_address=(source, 0)) as connection:
        lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        try:
            connection.sendall((proxy_header + "\r\n".join(lines) + "\r\n\r\n").encode())
            answer = http.client.HTTPResponse(connection, method=method)
            answer.begin()
            body = answer.read()
        except (http.client.BadStatusLine, ConnectionError):
            return Answer(0, {}, b"")
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


def proxy_line(client: str) -> str:
    """PROXY protocol version 1: a connection that is made for ``client``."""
    return f"PROXY TCP4 {client} 127.0.0.1 40000 80\r\n"


class UnixHealth:
    """The station daemon's socket: answers ``/healthz`` as told, or is frozen, or is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.status = 200
        self.tier_status: int | None = None  # what ``tier=serving`` gets, where that is another answer
        self.asked: list[str] = []
        self._thaw = threading.Event()
        self._thaw.set()
        self._server: socketserver.ThreadingUnixStreamServer | None = None

    def freeze(self) -> None:
        """Take connections and say nothing."""
        self._thaw.clear()

    def thaw(self) -> None:
        """Answer again."""
        self._thaw.set()

    @contextlib.contextmanager
    def running(self) -> Iterator[UnixHealth]:
        """Serve in threads until the context ends."""
        health = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                health._thaw.wait(5)
                health.asked.append(self.path)
                is_tier = "tier=serving" in self.path and health.tier_status is not None
                status = health.tier_status if is_tier and health.tier_status else health.status
                body = json.dumps({"readiness": "READY" if status == 200 else "NO", "reasons": []}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *_: object) -> None:
                return

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                return

        self._server = Server(str(self.path), Handler)
        self.path.chmod(0o666)
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._thaw.set()
            self._server.shutdown()
            self._server.server_close()
            self.path.unlink(missing_ok=True)
