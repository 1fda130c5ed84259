"""Answers of HTTP/1.1 read from a connection by RFC 9112. What is not understood is an error, never a guess."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Self

from stationmaster.model import errors

_BUFFER = 1 << 18
_HEAD_LIMIT = 1 << 16
_MOST_INTERIM = 8
_MOST_TRAILERS = 100


class BrokenError(Exception):
    """The connection cannot be used; ``is_silent``: before a single byte of an answer came."""

    def __init__(self, reason: str, *, is_silent: bool = False) -> None:
        super().__init__(reason)
        self.is_silent = is_silent


class Connection:
    """One connection and its buffer; used by one thread at a time."""

    def __init__(self, sock: socket.socket, *, is_secure: bool = False) -> None:
        self._sock = sock
        self._is_secure = is_secure
        self._content = bytearray(_BUFFER)
        self._memory = memoryview(self._content)
        self._start = self._end = 0
        self._patience = 0.0
        self.is_reused = False

    def set_timeout(self, seconds: float) -> None:
        """How long a read may take, and the head of an answer.

        On a plain socket the kernel counts, which saves a poll(2) for each read.
        """
        if seconds == self._patience:
            return
        self._patience = seconds
        if self._is_secure:
            self._sock.settimeout(seconds)
        else:
            self._sock.setblocking(True)
            limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000) or (0 if seconds >= 1 else 1))
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def send(self, content: bytes) -> None:
        """The whole request at once."""
        try:
            self._sock.sendall(content)
        except OSError as exc:
            raise BrokenError(words(exc), is_silent=True) from exc
        self._start = self._end = 0

    def head(self) -> tuple[int, str, dict[str, str]]:
        """Status, version and headers of the next answer that is not an interim one; all of them in time."""
        end = time.monotonic() + self._patience
        for _ in range(_MOST_INTERIM):
            status, version, headers = _parse_head(self._head_lines(end))
            if status >= 200:
                return status, version, headers
            if status == 101:
                raise BrokenError("the server switched to another protocol")
        raise BrokenError("the server sends interim answers without end")

    def piece(self, limit: int) -> memoryview:
        """Up to ``limit`` bytes, as they came; valid until the next call. Empty: the other side closed."""
        if self._start == self._end:
            self._start, self._end = 0, self._receive(0)
        end = min(self._end, self._start + limit)
        found = self._memory[self._start : end]
        self._start = end
        return found

    def line(self) -> bytes:
        """One line of a chunked body, in time: it carries no bytes by which a pace could be told."""
        found = bytearray()
        end = time.monotonic() + self._patience
        while not found.endswith(b"\n"):
            byte = self.piece(1)
            if not byte or len(found) > 1024:
                raise BrokenError("a chunked body is malformed")
            if time.monotonic() > end:
                raise BrokenError("a line of a chunked body took too long")
            found += byte
        return bytes(found).strip()

    def buffered(self) -> int:
        """How many bytes came that nobody took."""
        return self._end - self._start

    def close(self) -> None:
        """No more of it."""
        with contextlib.suppress(OSError):
            self._sock.close()

    def _head_lines(self, end: float) -> list[str]:
        while True:
            begin, limit = self._start, min(self._end, self._start + _HEAD_LIMIT)
            for mark in (b"\r\n\r\n", b"\n\n"):
                at = self._content.find(mark, begin, limit)  # in place: behind a head there is most of a package
                if at >= 0:
                    self._start = at + len(mark)
                    return self._content[begin:at].decode("latin-1").split("\n")
            if limit - begin >= _HEAD_LIMIT or self._end == _BUFFER:
                raise BrokenError("the head of the answer is too long")
            if time.monotonic() > end:
                raise BrokenError("the head of the answer took too long")
            received = self._receive(self._end)
            if not received:
                raise BrokenError("the server closed the connection", is_silent=begin == limit)
            self._end += received

    def _receive(self, at: int) -> int:
        try:
            return self._sock.recv_into(self._memory[at:])
        except (BlockingIOError, TimeoutError) as exc:
            raise BrokenError("the read timed out") from exc
        except OSError as exc:
            raise BrokenError(words(exc), is_silent=at == 0 and self._end == 0) from exc


def _parse_head(lines: list[str]) -> tuple[int, str, dict[str, str]]:
    version, _, rest = lines[0].rstrip("\r").partition(" ")
    code = rest[:3]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise BrokenError("the answer is not HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name[0] in " \t":
            raise BrokenError("a header of the answer is malformed")
        name, value = name.strip().lower(), value.strip()
        if name not in headers:
            headers[name] = value
        elif name != "content-length":
            headers[name] += ", " + value
        elif headers[name] != value:
            raise BrokenError("the answer states two lengths")
    return int(code), version, headers


class WireAnswer:
    """An answer whose body is read piece by piece; header names in lower case.

    A context manager; afterwards ``release`` decides what becomes of the connection.
    """

    def __init__(self, connection: Connection, status: int, version: str, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers
        self._connection = connection
        options = headers.get("connection", "").lower()
        self._is_kept = "close" not in options and (version == "HTTP/1.1" or "keep-alive" in options)
        self._is_chunked = "transfer-encoding" in headers
        self._left = self._body_length()
        self.release: Callable[[WireAnswer, Connection], None] = _close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release(self, self._connection)

    def is_reusable(self) -> bool:
        """Whether the next request may follow on this connection: the body was read, or at least came, to its end."""
        return self._is_kept and self._left == self._connection.buffered()

    def arriving(self, size: int = _BUFFER) -> Iterator[memoryview]:
        """The body as it comes, undecoded; each piece is valid until the next. errors.PeerError when it breaks off."""
        try:
            if self._is_chunked:
                yield from self._chunks(size)
                return
            while self._left != 0:
                piece = self._connection.piece(size if self._left is None else min(size, self._left))
                if not piece:
                    return  # the caller compares with the stated length
                if self._left is not None:
                    self._left -= len(piece)
                yield piece
        except BrokenError as exc:
            raise errors.PeerError(f"The connection broke while reading: {exc}.") from exc

    def pieces(self, size: int = _BUFFER) -> Iterator[bytes]:
        """The body in pieces that may be kept."""
        for piece in self.arriving(size):
            yield bytes(piece)

    def _body_length(self) -> int | None:
        """RFC 9112 section 6.3; None: until the connection closes (or chunks say)."""
        if self.status in (204, 304):
            return 0
        if self._is_chunked:
            if self.headers["transfer-encoding"].lower() != "chunked":
                raise BrokenError(f"the transfer coding {self.headers['transfer-encoding']!r} is not known")
            self._is_kept = self._is_kept and "content-length" not in self.headers  # smuggling: section 6.1
            return None
        stated = self.headers.get("content-length")
        if stated is None:
            return None
        if not (stated.isascii() and stated.isdigit() and len(stated) < 19):
            raise BrokenError(f"the length {stated[:40]!r} is none")
        return int(stated)

    def _chunks(self, size: int) -> Iterator[memoryview]:
        connection = self._connection
        while left := _chunk_size(connection.line()):
            while left:
                piece = connection.piece(min(size, left))
                if not piece:
                    raise BrokenError("the connection ended within a chunk")
                left -= len(piece)
                yield piece
            if connection.line():
                raise BrokenError("a chunked body is malformed")
        for _ in range(_MOST_TRAILERS):
            if not connection.line():
                self._left = 0
                return
            # trailers say nothing that is needed
        raise BrokenError("a chunked body has trailers without end")


def _close(answer: WireAnswer, connection: Connection) -> None:
    """What becomes of a connection that nobody keeps."""
    del answer
    connection.close()


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise BrokenError("a chunked body is malformed")
    return int(digits, 16)


def words(exc: OSError) -> str:
    """What the operating system says."""
    return (exc.strerror or str(exc) or type(exc).__name__).strip(".")
