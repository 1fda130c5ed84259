"""What one connection to the hub may cost before anything is known of who made it.

The web server under the hub limits neither how long the head of a request takes nor how long it is; without these
limits whoever reaches the port could hold all of the hub's connections, or its memory, by saying little or too much.
The body is the frame's: it knows how large one may be.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http import httptools_impl

HEAD_SECONDS = 10.0
HEAD_BYTES = 64 << 10


class LimitedProtocol(httptools_impl.HttpToolsProtocol):
    """Ends connections whose next request has not fully said what it wants in time; idle ones are the server's."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its parent has it
        """The head of the first request is waited for from now on."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Bytes of a head, a body, or the next head."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
            return
        self._wait_for_head()
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
