"""Answers that a mirror's downloads may meet, byte for byte, from a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from stationmaster.host import http
from stationmaster.model import errors


class Script:
    """Answers each connection with the given bytes for each request; then closes it."""

    def __init__(self, *connections: list[bytes]) -> None:
        self._connections = connections
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for answers in self._connections:
            connection, _ = self._listener.accept()
            for answer in answers:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(4096)
                self.requests.append(request)
                connection.sendall(answer)
            connection.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Script]]:
    made: list[Script] = []

    def start(*connections: list[bytes]) -> Script:
        made.append(Script(*connections))
        return made[-1]

    yield start
    for script in made:
        script.close()


def get(door: http.Http, url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    with door.stream("GET", url, headers=headers or {}, connect_timeout=1, read_timeout=1) as answer:
        return answer.status, b"".join(answer.pieces())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", (200, b"abc")),
        (b"HTTP/1.1 200\nContent-Length: 3\n\nabc", (200, b"abc")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc", (200, b"abc")),
        (b"HTTP/1.0 200 OK\r\n\r\nabc", (200, b"abc")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: t\r\n\r\n",
            (200, b"abc"),
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 P\r\nContent-Length: 1\r\n\r\na", (206, b"a")),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 30\r\n\r\n", (304, b"")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", (200, b"abc")),  # short: the caller compares
    ],
)
def test_answers_are_understood(serve: Callable[..., Script], raw: bytes, expected: tuple[int, bytes]) -> None:
    door = http.Http()
    assert get(door, serve([raw]).url + "/x?y") == expected
    door.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n folded: x\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_an_error(serve: Callable[..., Script], raw: bytes) -> None:
    with pytest.raises(errors.PeerError):
        get(http.Http(), serve([raw]).url + "/")


def test_a_kept_connection_is_used_again_and_replaced_when_it_went(serve: Callable[..., Script]) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
    script = serve([whole + b"a", whole + b"b"], [whole + b"c"])
    door = http.Http()
    assert [get(door, script.url + f"/{number}")[1] for number in range(3)] == [b"a", b"b", b"c"]
    assert [request.split()[1] for request in script.requests] == [b"/0", b"/1", b"/2"]


def test_an_answer_left_unread_does_not_become_the_next_one(serve: Callable[..., Script]) -> None:
    first = b"HTTP/1.1 404 No\r\nContent-Length: 900000\r\n\r\n" + b"HTTP/1.1 200 OK\r\n\r\nevil" * 9
    script = serve([first], [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"])
    door = http.Http()
    with door.stream("GET", script.url + "/a", headers={}) as answer:
        assert answer.status == 404
    assert get(door, script.url + "/b") == (200, b"good")


def test_more_than_was_stated_ends_the_connection(serve: Callable[..., Script]) -> None:
    script = serve(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"],
    )
    door = http.Http()
    assert get(door, script.url + "/a") == (200, b"a")
    assert get(door, script.url + "/b") == (200, b"good")


def test_silence_is_noticed() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with (
        pytest.raises(errors.PeerError, match="timed out"),
        http.Http().stream("GET", url, headers={}, read_timeout=0.1),
    ):
        pass
    listener.close()


@pytest.mark.parametrize(
    ("url", "headers"),
    [("http://h/a\r\nX: y", {}), ("http://h/a b", {}), ("http:///a", {}), ("http://h/", {"a": "b\r\nc: d"})],
)
def test_nothing_is_smuggled_into_a_request(url: str, headers: dict[str, str]) -> None:
    with pytest.raises(errors.PeerError):
        get(http.Http(), url, headers)
