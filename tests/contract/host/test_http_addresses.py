"""One name with several addresses, by real sockets: dead, frozen, cut off, unable; each costs one share of the time."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stationmaster.host import address_book, http
from stationmaster.model import errors


class Server:
    """Answers at one loopback address with ``status``; frozen it takes connections, and says nothing."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.status, self.requests = address, 200, 0
        self.frozen = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests += 1
                while outer.frozen.is_set():
                    time.sleep(0.01)
                body = outer.address.encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer((address, port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def stop(self) -> None:
        self.frozen.clear()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def two() -> Iterator[tuple[Server, Server]]:
    """The same port at two addresses of loopback."""
    first = Server("127.0.0.2", 0)
    second = Server("127.0.0.3", first.port)
    yield first, second
    for one in (first, second):
        with contextlib.suppress(OSError):
            one.stop()


def door(*addresses: str, **options: Any) -> http.Http:
    return http.Http(book=address_book.AddressBook(lambda _: addresses, shuffle=list.sort), **options)


def ask(one: http.Http, port: int, timeout: float = 3.0) -> str:
    return one.request("GET", f"http://hub.invalid:{port}/", timeout=timeout).body.decode()


def test_a_dead_address_costs_nothing(two: Any) -> None:
    first, second = two
    one = door(first.address, second.address)
    assert ask(one, first.port) == first.address
    first.stop()
    one.close()
    assert ask(one, second.port) == second.address
    assert one.has_other_address(f"http://hub.invalid:{first.port}") is True


def test_a_frozen_replica_costs_one_try_then_the_other_is_asked(two: Any) -> None:
    first, second = two
    one = door(first.address, second.address)
    assert ask(one, first.port) == first.address
    first.frozen.set()
    began = time.monotonic()
    with pytest.raises(errors.PeerError):
        ask(one, first.port, timeout=0.5)
    assert ask(one, first.port) == second.address
    assert time.monotonic() - began < 2
    assert ask(one, first.port) == second.address
    assert first.requests == 2


def test_who_cannot_decide_is_left_also_by_an_open_connection(two: Any) -> None:
    first, second = two
    one = door(first.address, second.address)
    ask(one, first.port)
    first.status = 503
    assert one.request("GET", f"http://hub.invalid:{first.port}/").status == 503
    assert ask(one, first.port) == second.address
    second.status, first.status = 502, 200
    assert one.request("GET", f"http://hub.invalid:{first.port}/").status == 502
    assert ask(one, first.port) == first.address


def test_a_refusal_is_an_answer(two: Any) -> None:
    first, second = two
    one = door(first.address, second.address)
    first.status = 401
    for _ in range(3):
        assert one.request("GET", f"http://hub.invalid:{first.port}/").status == 401
    assert second.requests == 0


def listen(address: str, port: int) -> socket.socket:
    """As a process that was stopped: the kernel takes connections, nobody speaks."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(16)
    return listener


def test_a_handshake_that_hangs_goes_on_to_the_next_within_one_request() -> None:
    """TLS to a frozen process begins and goes no further; nothing was sent, so the next may have the request."""
    with listen("127.0.0.4", 0) as frozen, listen("127.0.0.5", frozen.getsockname()[1]) as other:

        def hang_up() -> None:
            other.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        one, port = door("127.0.0.4", "127.0.0.5"), frozen.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(errors.PeerError, match=r"(?i)eof|reset"):
            one.request("GET", f"https://hub.invalid:{port}/", timeout=2.0)
        assert 0.9 < time.monotonic() - began < 1.9, "half of the time for the first; the second hung up at once"


def test_through_a_proxy_with_two_addresses_the_tunnel_is_made_anew(two: Any) -> None:
    """The first proxy is dead, the second refuses the tunnel: its answer is the error, so it was asked for one."""
    first, second = two
    first.stop()
    one = door(first.address, second.address, proxy_url=f"http://proxy.invalid:{second.port}")
    with pytest.raises(errors.PeerError, match="501"):
        one.request("GET", "https://hub.invalid/", timeout=2.0)


def test_a_name_that_nobody_knows_is_said(two: Any) -> None:
    del two
    with pytest.raises(errors.PeerError, match=r"hub\.invalid"):
        http.Http().request("GET", "http://hub.invalid:1/", timeout=2.0)
