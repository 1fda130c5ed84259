"""An upstream repository under a test's control: files that can change, and faults that strike when asked to.

``Site`` holds files and faults and decides what a request is answered; ``MemoryHttp`` asks it without any socket (the
twin of ``host.http.Http``), ``SimulatedUpstream`` serves it over a loopback socket.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib import parse

from stationmaster.model import errors

_LONG_AGO = 1_700_000_000


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens to one request instead of, or on top of, the honest answer.

    ``status`` with ``headers`` and ``body`` replaces the answer. ``cut_after`` breaks the connection after so many
    bytes of the body; ``pause`` waits that long before each piece of ``piece`` bytes; ``endless`` never stops sending.
    """

    status: int | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    cut_after: int | None = None
    pause: float = 0.0
    piece: int = 1 << 16
    endless: bool = False
    refuse: bool = False  # no answer at all


@dataclasses.dataclass(frozen=True)
class Reply:
    """A decided answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    fault: Fault


class Site:
    """The files of an upstream, by path without leading slash; what was asked of it lies in ``log``."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self.files: dict[str, bytes] = dict(files or {})
        self.times: dict[str, float] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.always: dict[str, Fault] = {}
        self.log: list[tuple[str, int]] = []
        self.on_request: Callable[[str], None] | None = None
        self.has_validators = True
        self._lock = threading.Lock()

    def strike(self, path: str, *faults: Fault) -> None:
        """Let the next requests for ``path`` meet these faults, one each."""
        self.faults[path].extend(faults)

    def reply(self, path: str, headers: Mapping[str, str]) -> Reply:
        """Decide about one request; header names in lower case."""
        with self._lock:
            if self.on_request is not None:
                self.on_request(path)
            fault = self.faults[path].pop(0) if self.faults[path] else self.always.get(path, Fault())
            reply = self._decide(path, headers, fault)
            self.log.append((path, reply.status))
            return reply

    def _decide(self, path: str, headers: Mapping[str, str], fault: Fault) -> Reply:
        if fault.status is not None:
            return Reply(fault.status, dict(fault.headers), fault.body, fault)
        content = self.files.get(path)
        if content is None:
            return Reply(404, {}, b"absent", fault)
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        given = {}
        if self.has_validators:
            modified = self.times.get(path, _LONG_AGO)
            given = {"etag": etag, "last-modified": email.utils.formatdate(modified, usegmt=True)}
            given["date"] = email.utils.formatdate(modified + 3600, usegmt=True)
            if headers.get("if-none-match") == etag and fault == Fault():
                return Reply(304, given, b"", fault)
        wanted = headers.get("range", "")
        if wanted and headers.get("if-range", etag) == etag:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            if start >= len(content):
                return Reply(416, given, b"", fault)
            given["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return Reply(206, given, content[start:], fault)
        return Reply(200, given, content, fault)


class _MemoryAnswer:
    def __init__(self, reply: Reply, wait: Callable[[float], None]) -> None:
        self.status = reply.status
        self.headers: Mapping[str, str] = {"content-length": str(len(reply.body)), **reply.headers}
        if reply.fault.endless:
            self.headers = dict(reply.headers)
        self._reply = reply
        self._wait = wait

    def arriving(self, size: int) -> Iterator[bytes]:
        del size
        yield from _pieces(self._reply, self._wait)
        if self._reply.fault.cut_after is not None:
            raise errors.PeerError("The connection broke while reading: cut by the test.")


def _pieces(reply: Reply, wait: Callable[[float], None]) -> Iterator[bytes]:
    """The body as the fault lets it through."""
    fault, body = reply.fault, reply.body
    while fault.endless:
        yield b" " * fault.piece
    end = len(body) if fault.cut_after is None else fault.cut_after
    for start in range(0, end, fault.piece):
        if fault.pause:
            wait(fault.pause)
        yield body[start : min(end, start + fault.piece)]


class MemoryHttp:
    """Asks sites by their base address, without a socket; ``wait`` takes the pauses of faults."""

    def __init__(self, sites: Mapping[str, Site], *, wait: Callable[[float], None] = lambda _: None) -> None:
        self._sites = dict(sites)
        self._wait = wait

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        connect_timeout: float,
        read_timeout: float,
    ) -> Iterator[_MemoryAnswer]:
        """One request, as ``host.http.Http.stream``."""
        del method, connect_timeout, read_timeout
        for base, site in self._sites.items():
            if url.startswith(base):
                path = parse.unquote(url.removeprefix(base))
                reply = site.reply(path, {name.lower(): value for name, value in headers.items()})
                if reply.fault.refuse:
                    break
                yield _MemoryAnswer(reply, self._wait)
                return
        raise errors.PeerError(f"No answer from {url}: connection refused.")


class SimulatedUpstream:
    """Serves a site at ``http://127.0.0.1:<port>/`` in threads until ``close``."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._server = _Server(("127.0.0.1", 0), _handler_for(site))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """A client that went away is part of the tests."""


def _handler_for(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = parse.unquote(self.path.lstrip("/"))
            reply = site.reply(path, {name.lower(): value for name, value in self.headers.items()})
            fault = reply.fault
            if fault.refuse:
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if fault.endless:
                self.close_connection = True
            else:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            for piece in _pieces(reply, time.sleep):  # noqa: TID251 - a slow server is slow in real time
                self.wfile.write(piece)
            self.close_connection = self.close_connection or fault.cut_after is not None

        def log_message(self, *_: object) -> None:
            return

    return Handler
