"""Two `hub serve` on one PostgreSQL: found by one name with two addresses, and through a TCP balancer as documented."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stationmaster.host import address_book, clock, files, http, network
from stationmaster.hub.services import replicas, setup
from stationmaster.model import errors
from stationmaster.station import ways

pytestmark = pytest.mark.postgres
PROGRAM = pathlib.Path(sys.executable).with_name("stationmaster")
NAME, HEALTH = "hub.test", "/stationmaster/v1/health"
ADDRESSES = ("127.0.0.2", "127.0.0.3")
OPERATIONS = pathlib.Path(__file__).parents[3] / "docs" / "operations.md"


@dataclasses.dataclass
class Hubs:
    """Processes at the same port of two addresses; the first told the public address, the second took it over."""

    directory: pathlib.Path
    port: int
    processes: list[subprocess.Popen[bytes]] = dataclasses.field(default_factory=list)

    @property
    def ca(self) -> pathlib.Path:
        return self.directory / "0" / "ca.pem"

    def start(self, number: int) -> None:
        public = ["--public-url", f"https://{NAME}:{self.port}"] if number == 0 else []
        state, listen = self.directory / str(number), f"{ADDRESSES[number]}:{self.port}"
        with (self.directory / f"{number}.log").open("ab") as log:
            command = [PROGRAM, "hub", "serve", "--state-dir", state, "--listen", listen, *public]
            self.processes[number:] = [subprocess.Popen(command, stderr=log), *self.processes[number + 1 :]]
        until(lambda: network.is_answering(ADDRESSES[number], self.port), f"hub {number}")

    def signal(self, number: int, what: int) -> None:
        self.processes[number].send_signal(what)

    def door(self, *addresses: str) -> http.Http:
        return http.Http(ca_file=self.ca, book=address_book.AddressBook(lambda _: addresses, shuffle=list.sort))


def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture(scope="module")
def hubs(tmp_path_factory: pytest.TempPathFactory, postgres_server: Any) -> Iterator[Hubs]:
    directory, disk, now = tmp_path_factory.mktemp("hubs"), files.Files(), clock.SystemClock()
    port = next(one for one in range(24000 + os.getpid() % 2000, 30000) if network.is_free(one))
    made = Hubs(directory, port)
    wanted = setup.Wanted(directory / "0", directory / "oci" / "config", postgres_server.new_database())
    setup.initialise(wanted, disk, now)
    replicas.invite(directory / "0", directory / "invitation", disk)
    replicas.join(replicas.Wanted(directory / "1", directory / "invitation"), disk, now)
    try:
        for number in range(2):
            made.start(number)
        yield made
    finally:
        for process in made.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


class Beats:
    """Asks again and again as a station does, and measures what R2 counts: from the sending of an answered request to
    the next answer."""

    def __init__(self, door: http.Http, url: str) -> None:
        self._door, self._url = door, url
        self.sent_at = time.monotonic()
        self.longest, self.answered, self.failed = 0.0, 0, 0

    def go_on(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sent_at = time.monotonic()
            with contextlib.suppress(errors.PeerError):
                if self._door.request("GET", self._url, timeout=ways.TIMEOUT_SECONDS).status == 200:
                    self.longest = max(self.longest, time.monotonic() - self.sent_at)
                    self.sent_at, self.answered = sent_at, self.answered + 1
                    time.sleep(0.5)
                    continue
            self.failed += 1
            time.sleep(0.25)


def test_each_replica_answers_by_the_public_name_with_a_certificate_of_its_own(hubs: Hubs) -> None:
    for address in ADDRESSES:
        assert hubs.door(address).request("GET", f"https://{NAME}:{hubs.port}{HEALTH}").status == 200
    first, second = ((hubs.directory / str(number) / "tls" / "key.pem").read_bytes() for number in range(2))
    assert first != second


def test_one_name_with_two_addresses(hubs: Hubs) -> None:
    """R2, without the two seconds between heartbeats: from 6 s on a station would be unconfirmed."""
    beats = Beats(hubs.door(*ADDRESSES), f"https://{NAME}:{hubs.port}{HEALTH}")
    beats.go_on(1)
    hubs.signal(0, signal.SIGSTOP)
    beats.go_on(4.5)
    hubs.signal(0, signal.SIGCONT)
    assert beats.failed <= 1, "one request hung, the next went to the other"
    assert beats.longest < 6 - 2
    hubs.signal(1, signal.SIGKILL)
    hubs.processes[1].wait()
    failed = beats.failed
    beats.go_on(2)
    assert beats.failed <= failed + 1
    hubs.start(1)


def balancer_text(port: int, hubs: Hubs) -> str:
    """The example of the operations page, with this test's addresses."""
    example = re.search(r"^    backend hub\n((?:    .*\n)+)", OPERATIONS.read_text(), re.MULTILINE)
    assert example is not None
    lines = [line.strip() for line in example[0].splitlines()]
    backend = "\n".join([lines[0], *(f"    {line}" for line in lines[1:])])
    backend = backend.replace("/etc/haproxy/hub-ca.pem", str(hubs.ca)).replace("hub.example.com", NAME)
    for number, address in enumerate(ADDRESSES, 1):
        backend = backend.replace(f"10.0.0.1{number}:8443", f"{address}:{hubs.port}")
    times = "defaults\n    timeout connect 1s\n    timeout client 60s\n    timeout server 60s\n"
    front = f"frontend front\n    mode tcp\n    bind 127.0.0.1:{port}\n    default_backend hub\n"
    return f"{times}{front}{backend}\n"


def test_a_tcp_balancer_as_the_operations_page_has_it(hubs: Hubs, tmp_path: pathlib.Path) -> None:
    port = next(one for one in range(30000 + os.getpid() % 2000, 33000) if network.is_free(one))
    (tmp_path / "haproxy.cfg").write_text(balancer_text(port, hubs))
    process = subprocess.Popen(["haproxy", "-db", "-q", "-f", tmp_path / "haproxy.cfg"])
    try:
        beats = Beats(hubs.door("127.0.0.1"), f"https://{NAME}:{port}{HEALTH}")
        until(lambda: network.is_answering("127.0.0.1", port), "the balancer")
        beats.go_on(2)
        assert beats.answered
        beats.longest = 0.0
        for number in range(2):
            hubs.signal(number, signal.SIGSTOP)
            beats.go_on(5)
            hubs.signal(number, signal.SIGCONT)
            beats.go_on(3)
        assert beats.longest < 6 - 2
    finally:
        process.terminate()
        process.wait(10)
