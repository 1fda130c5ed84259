"""Many HEAD requests over one connection, sent without waiting for each answer: thousands a second on one core."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from stationmaster.model import errors

_BATCH = 64
_PER_CONNECTION = 20_000


class HeadAnswer(NamedTuple):
    """The status of one path, and how long its body would be; -1 when that is not said."""

    target: str
    status: int
    size: int = -1


def head_all(
    address: str, port: int, targets: Iterable[str], *, headers: Mapping[str, str], timeout: float = 10.0
) -> Iterator[HeadAnswer]:
    """The status of each target (percent-encoded path), in order. PeerError when the server breaks off."""
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    remaining = iter(targets)
    while first := list(itertools.islice(remaining, 1)):
        wave = itertools.chain(first, itertools.islice(remaining, _PER_CONNECTION - 1))
        try:
            with socket.create_connection((address, port), timeout) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield from _run(connection, address, wave, extra)
        except (OSError, ValueError) as exc:
            raise errors.PeerError(f"{address}:{port} broke off while its paths were asked for: {exc}.") from exc


def _run(connection: socket.socket, address: str, targets: Iterator[str], extra: str) -> Iterator[HeadAnswer]:
    buffer = b""
    while batch := list(itertools.islice(targets, _BATCH)):
        connection.sendall(
            "".join(f"HEAD {target} HTTP/1.1\r\nHost: {address}\r\n{extra}\r\n" for target in batch).encode("latin-1")
        )
        for target in batch:
            while b"\r\n\r\n" not in buffer:
                piece = connection.recv(65536)
                if not piece:
                    raise ConnectionResetError("the connection was closed")
                buffer += piece
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            yield HeadAnswer(target, int(head[9:12]), _size(head))


def _size(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    value = rest.partition(b"\r\n")[0].strip()
    return int(value) if value.isdigit() else -1
