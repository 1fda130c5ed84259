"""Probes against a loopback server that answers well, badly, half or not at all; a load whose tasks fail."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from stationmaster.host import clock
from stationmaster.lab import load, probes
from stationmaster.lab.host import LabHost
from stationmaster.model import errors


class HereHost:
    """Stands in for a lab host: runs the call where it is."""

    def call(self, function: Callable[[], Any]) -> Any:
        return function()


HERE = cast("LabHost", HereHost())


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], probes.Target]]:
    listeners = []

    def start(answer: bytes) -> probes.Target:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def loop() -> None:
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                with link:
                    link.recv(4096)
                    link.sendall(answer)

        threading.Thread(target=loop, daemon=True).start()
        return probes.Target("127.0.0.1", "loadbalancer.lab", listener.getsockname()[1], "/m/x")

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlist", ""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nlist", "/m/x was cut short"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "/m/x was answered HTTP/1.1 503 Service Unavailable"),
        (b"", "/m/x was answered by nothing"),
    ],
)
def test_a_probe_tells_a_whole_answer_from_others(
    serve: Callable[[bytes], probes.Target], answer: bytes, failure: str
) -> None:
    assert probes.get_over_http(HERE, serve(answer)) == failure


def test_a_port_that_nobody_listens_on_is_a_failure_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = probes.get_over_http(HERE, probes.Target("127.0.0.1", "loadbalancer.lab", port, "/"))
    assert "loadbalancer.lab" in words
    assert "refused" in words


def test_a_load_records_what_each_task_met_and_goes_on() -> None:
    calls = []

    def flaky() -> str:
        calls.append(1)
        if len(calls) == 2:
            raise errors.ProgramFailedError("did not end in time")
        return "exit 1" if len(calls) == 3 else ""

    workers = [load.Worker("one", (load.Task("a", flaky), load.Task("b", lambda: "")), pause=0.001)]
    with load.Load(workers, clock.SystemClock()) as running:
        deadline = time.monotonic() + 5
        while running.count("a") < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
    of_a = [entry.failure for entry in running.operations() if entry.kind == "a"]
    assert of_a[:4] == ["", "did not end in time", "exit 1", ""]
    assert [entry.kind for entry in running.operations()][:4] == ["a", "b", "a", "b"]
    assert all(entry.ended >= entry.started for entry in running.operations())


def test_a_mistake_in_a_task_is_not_swallowed() -> None:
    def wrong() -> str:
        raise KeyError("ours")

    with pytest.raises(KeyError), load.Load([load.Worker("w", (load.Task("a", wrong),))], clock.SystemClock()):
        time.sleep(0.05)


def test_a_load_knows_what_was_begun_before_a_time_and_goes_on() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> str:
        begun.set()
        go_on.wait(10)
        return ""

    system = clock.SystemClock()
    workers = [load.Worker("slow", (load.Task("a", wait),), pause=0.2), load.Worker("late", (), delay=30.0)]
    with load.Load(workers, system) as running:
        assert begun.wait(10)
        now = system.monotonic()
        assert not running.is_done_with(now)
        assert running.is_done_with(0.0)
        go_on.set()
        deadline = now + 10
        while not running.is_done_with(now) and system.monotonic() < deadline:
            time.sleep(0.01)
        assert running.is_done_with(now)
        assert running.count("a") >= 1
