"""A TCP port that says one line to whoever may hear it and hangs up: HAProxy's agent check. Nothing is read."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Sequence

_BACKLOG = 64
_SEND_SECONDS = 0.2

Say = Callable[[str], bytes | None]


class LineServer:
    """Listens on every one of ``addresses`` until ``close``. ``say`` gets the caller's address; None: not a word.

    One thread answers all, one after the other: a line fits into any socket's buffer, so nobody keeps it waiting.
    OSError when an address cannot be had.
    """

    def __init__(self, addresses: Sequence[str], port: int, say: Say) -> None:
        self._say = say
        self._selector = selectors.DefaultSelector()
        self._wake, wakes = socket.socketpair()
        self._selector.register(wakes, selectors.EVENT_READ)
        self._open: list[socket.socket] = [self._wake, wakes]
        try:
            for address in addresses:
                listening = _listen(address, port)
                self._open.append(listening)
                self._selector.register(listening, selectors.EVENT_READ, listening)
        except OSError:
            self._close_all()
            raise
        self._thread = threading.Thread(target=self._run, name="line-server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._wake.send(b"\0")
        self._thread.join(timeout=2.0)
        self._close_all()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                with contextlib.suppress(OSError):  # who went away again is no news
                    self._answer(key.data)

    def _answer(self, listening: socket.socket) -> None:
        connection, caller = listening.accept()
        with connection:
            connection.settimeout(_SEND_SECONDS)
            line = self._say(str(caller[0]))
            if line is not None:
                connection.sendall(line)

    def _close_all(self) -> None:
        self._selector.close()
        for one in self._open:
            one.close()


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((address, port))
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
