"""An upstream that may do anything: each path is files, or a function that gets the bare connection.

Unlike ``simulated_upstream`` it speaks to the socket itself, so it can break HTTP as well as promises.
"""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, Self
from urllib import parse


class Stream(Protocol):
    """What an answer is written to."""

    def write(self, content: bytes, /) -> int:
        """These bytes."""
        ...

    def flush(self) -> None:
        """Now."""
        ...


Conversation = Callable[[Stream, Mapping[str, str]], None]


class HostileUpstream:
    """Serves at ``url`` until ``close``; one answer per connection."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self.files: dict[str, bytes] = dict(files or {})
        self.behaviour: dict[str, Conversation | list[Conversation]] = {}
        self.log: list[str] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler_for(self))
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

    def answer(self, stream: Stream, target: str, headers: Mapping[str, str]) -> None:
        """One request: the behaviour set for the path (of several each once, in order), else the file."""
        path = parse.unquote(target.lstrip("/"))
        with self._lock:
            self.log.append(path)
            chosen = self.behaviour.get(path)
            if isinstance(chosen, list):
                chosen = chosen.pop(0) if chosen else None
        if chosen is not None:
            chosen(stream, headers)
            return
        content = self.files.get(path)
        reply(404, b"absent")(stream, headers) if content is None else file(content)(stream, headers)


def reply(status: int, body: bytes = b"", **fields: str) -> Conversation:
    """A plain answer; field names with underscores for hyphens, and a Content-Length unless one is given."""
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    given.setdefault("content-length", str(len(body)))

    def converse(stream: Stream, _: Mapping[str, str]) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
        stream.write(f"HTTP/1.1 {status} X\r\n{head}connection: close\r\n\r\n".encode("latin-1") + body)

    return converse


def file(content: bytes) -> Conversation:
    """The honest answer: ranges are honoured."""

    def converse(stream: Stream, headers: Mapping[str, str]) -> None:
        start = int(headers.get("range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        if not start:
            reply(200, content, etag='"honest"')(stream, headers)
        else:
            told = f"bytes {start}-{len(content) - 1}/{len(content)}"
            reply(206, content[start:], etag='"honest"', content_range=told)(stream, headers)

    return converse


def raw(pieces: Iterable[bytes] | Callable[[], Iterator[bytes]]) -> Conversation:
    """Whatever these bytes are, as long as the client listens."""

    def converse(stream: Stream, _: Mapping[str, str]) -> None:
        for piece in pieces() if callable(pieces) else pieces:
            stream.write(piece)
            stream.flush()

    return converse


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """A client that had enough is part of the tests."""


def _handler_for(upstream: HostileUpstream) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError, ValueError):
                target = self.rfile.readline().decode("latin-1").split()[1]
                headers = {}
                while line := self.rfile.readline().decode("latin-1").strip():
                    name, _, value = line.partition(":")
                    headers[name.strip().lower()] = value.strip()
                upstream.answer(self.wfile, target, headers)

    return Handler
