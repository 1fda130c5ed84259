"""Strangers who reach the hub's port and say little, or too much: the real `hub serve` ends their connections."""

from __future__ import annotations

import contextlib
import os
import pathlib
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from stationmaster.host import clock, files, network
from stationmaster.hub.services import setup

HEAD = b"POST /stationmaster/v1/registrations HTTP/1.1\r\nhost: h\r\n"


@pytest.fixture
def hub_port(tmp_path: pathlib.Path) -> Iterator[int]:
    setup.initialise(setup.Wanted(tmp_path / "state", tmp_path / "oci" / "config"), files.Files(), clock.SystemClock())
    port = next(one for one in range(24000 + os.getpid() % 3000, 30000) if network.is_free(one, address="127.0.0.1"))
    command = pathlib.Path(sys.executable).parent / "stationmaster"
    listening = ["--state-dir", tmp_path / "state", "--listen", f"127.0.0.1:{port}", "--plain-http"]
    process = subprocess.Popen([command, "hub", "serve", *listening], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not network.is_answering("127.0.0.1", port) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        assert process.wait(20) == 0


def health(connection: Any) -> bytes:
    connection.sendall(b"GET /stationmaster/v1/health HTTP/1.1\r\nhost: h\r\n\r\n")
    return bytes(connection.recv(4096))


def whole_answer(connection: socket.socket) -> bytes:
    """An error's head and body, which may arrive apart; nothing where the hub just closes."""
    connection.settimeout(5)
    heard = b""
    with contextlib.suppress(ConnectionError):
        while not heard.endswith(b"}") and (piece := connection.recv(4096)):
            heard += piece
    return heard


def test_slow_and_endless_requests_end_and_others_do_not_notice(hub_port: int) -> None:
    slow = {
        "says nothing": b"",
        "half a head": HEAD,
        "a head that trickles": HEAD,
        "a body that trickles": HEAD + b"content-length: 60000\r\n\r\n{",
        "no body": HEAD + b"content-length: 60000\r\n\r\n",
        "chunks that trickle": HEAD + b"transfer-encoding: chunked\r\n\r\n",
    }
    trickle = {"a head that trickles": b"x: y\r\n", "a body that trickles": b"a", "chunks that trickle": b"1\r\na\r\n"}
    with contextlib.ExitStack() as closing:
        honest = closing.enter_context(socket.create_connection(("127.0.0.1", hub_port), timeout=5))
        assert b"200 OK" in health(honest)
        selector, began = closing.enter_context(selectors.DefaultSelector()), time.monotonic()
        opened = {}
        for name, said in slow.items():
            opened[name] = closing.enter_context(socket.create_connection(("127.0.0.1", hub_port)))
            opened[name].sendall(said)
            selector.register(opened[name], selectors.EVENT_READ, name)
        heard: dict[str, bytes] = {}
        while len(heard) < len(slow) and time.monotonic() - began < 30:
            for key, _ in selector.select(0.5):
                heard[key.data] = whole_answer(opened[key.data])
                selector.unregister(opened[key.data])
            for name, piece in trickle.items():
                with contextlib.suppress(OSError):
                    opened[name].sendall(piece)
        assert set(heard) == set(slow), "a connection was held"
        for name in ("a body that trickles", "no body", "chunks that trickle"):
            assert b"RequestTimeout" in heard[name], name
        assert b"200 OK" in health(honest), "a connection that is idle between requests is kept"


def test_a_head_without_end_is_not_kept_in_memory(hub_port: int) -> None:
    with socket.create_connection(("127.0.0.1", hub_port), timeout=5) as connection, contextlib.suppress(OSError):
        connection.sendall(HEAD)
        sent = 0
        while sent < 64 << 20:
            connection.sendall(b"x: " + b"y" * 8000 + b"\r\n")
            sent += 8005
        pytest.fail(f"the hub took {sent} bytes of headers")
