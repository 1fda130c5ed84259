"""Connections of the general client that know all addresses of their host, and try the next when one fails.

Opening a connection (with TLS, and through a proxy's tunnel) takes one address after the other, each with its share of
the time: nothing was sent, so nothing is done twice. What fails later, with a request on its way, fails for the caller,
and makes the next request go elsewhere. So does an answer 502 to 504: a hub's replica that lost the database cannot
decide, another can.
"""

from __future__ import annotations

import http.client
import socket
import time
from typing import Any

import urllib3
import urllib3.connection
import urllib3.exceptions
import urllib3.util.connection

from stationmaster.host import address_book
from stationmaster.host import http as http_door

_LEAST_SECONDS = 1.0
_TROUBLES = (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError)


def pool_classes(book: address_book.AddressBook) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """By scheme, for a pool manager whose connections use ``book``."""

    class Connection(_Dialing, urllib3.connection.HTTPConnection):
        addresses = book

    class SecureConnection(_Dialing, urllib3.connection.HTTPSConnection):
        addresses = book

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


class _Dialing(urllib3.connection.HTTPConnection):
    """What both kinds of connection do otherwise than their parents."""

    addresses: address_book.AddressBook
    _address = ""

    def connect(self) -> None:
        """By the first address that works."""
        tunnel = (self._tunnel_host, self._tunnel_port, getattr(self, "_tunnel_headers", None), self._tunnel_scheme)
        patience = self.timeout
        try:
            found = self.addresses.addresses(self._dns_host)
        except OSError as exc:
            raise urllib3.exceptions.NewConnectionError(self, f"Failed to resolve the name: {exc}") from exc
        began = time.monotonic()
        try:
            for left in range(len(found), 0, -1):
                self._address = found[-left]
                if patience is not None:
                    self.timeout = _share(float(patience), time.monotonic() - began, left)
                try:
                    super().connect()
                except _TROUBLES:
                    self.addresses.failed(self._dns_host, self._address)
                    self._hang_up()
                    if left == 1:
                        raise
                    if tunnel[0] and not self._tunnel_host:
                        self.set_tunnel(tunnel[0], tunnel[1], tunnel[2], tunnel[3] or "http")
                else:
                    return
        finally:
            self.timeout = patience

    def _hang_up(self) -> None:
        """Only the socket: a request may be on its way that the next address is to have."""
        if self.sock is not None:
            self.sock.close()
        self.sock = None
        self._has_connected_to_proxy = False

    def _new_conn(self) -> socket.socket:
        """A socket to the address in turn."""
        try:
            return urllib3.util.connection.create_connection(
                (self._address, self.port or self.default_port),
                self.timeout,
                source_address=self.source_address,
                socket_options=self.socket_options,
            )
        except TimeoutError as exc:
            message = f"Connection to {self.host} timed out. (connect timeout={self.timeout})"
            raise urllib3.exceptions.ConnectTimeoutError(self, message) from exc
        except OSError as exc:
            message = f"Failed to establish a new connection: {exc}"
            raise urllib3.exceptions.NewConnectionError(self, message) from exc

    def getresponse(self) -> Any:
        """The answer; who gives none, or cannot decide, is asked later than others."""
        try:
            response = super().getresponse()
        except _TROUBLES:
            self.addresses.failed(self._dns_host, self._address)
            raise
        if response.status in http_door.UNABLE:
            self.addresses.failed(self._dns_host, self._address)
        else:
            self.addresses.answered(self._dns_host, self._address)
        return response


def _share(patience: float, passed: float, left: int) -> float:
    """Of the time that is left, what one address may take."""
    return max(_LEAST_SECONDS if left > 1 else 0.1, (patience - passed) / left)
