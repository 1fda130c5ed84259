"""Two real hubs on one PostgreSQL, one name with two addresses: whichever freezes or dies, a real station is READY."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from stationmaster.host import network
from stationmaster.testing import loopback

if TYPE_CHECKING:
    from conftest import Upstream

PROGRAM = Path(sys.executable).with_name("stationmaster")
NAME = "hub.test"
HUBS = {"a": "127.0.0.2", "b": "127.0.0.3"}
SYSTEM = ("--os-family", "oracle_linux_9", "--arch", "x86_64")
# Name look-ups of what is started so find both replicas; mounts are seen by that process and its children alone.
AS_NAMED = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"')


class World:
    """Processes in one directory; ports of their own."""

    def __init__(self, base: Path, database: str) -> None:
        self.base, self.database = base, database
        self.hub_port, self.proxy, self.http, self.https = (loopback.free_ports(12)[index] for index in (8, 9, 10, 11))
        self.hosts = base / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{one} {NAME}\n" for one in HUBS.values()))
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, *arguments: str, hub: str = NAME) -> str:
        environment = {
            **os.environ,
            "OCI_CLI_CONFIG_FILE": str(self.base / "oci.cfg"),
            "STATIONMASTER_ENDPOINT": f"https://{HUBS.get(hub, hub)}:{self.hub_port}",
            "STATIONMASTER_CA": str(self.base / "a" / "ca.pem"),
        }
        command = [*AS_NAMED, str(self.hosts), str(PROGRAM), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, name: str, *arguments: str) -> None:
        with (self.base / f"{name}.log").open("ab") as log:
            command = [*AS_NAMED, str(self.hosts), str(PROGRAM), *arguments]
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def start_hub(self, name: str) -> None:
        listen, public = f"{HUBS[name]}:{self.hub_port}", f"https://{NAME}:{self.hub_port}"
        given = ["--public-url", public] if name == "a" else []  # the other takes it over
        self.start(name, "hub", "serve", "--state-dir", str(self.base / name), "--listen", listen, *given)
        until(f"hub {name} answers", lambda: network.is_answering(HUBS[name], self.hub_port))

    def signal(self, name: str, number: int) -> None:
        self.running[name].send_signal(number)

    def make_station(self, upstream: Any) -> tuple[str, str]:
        ports = ["--proxy-port", str(self.proxy), "--http-port", str(self.http), "--https-port", str(self.https)]
        place = ["--mirror-directory", str(self.base / "mirror"), "--permitted-range", "127.0.0.0/8"]
        station = self.run("station", "create", "--name", "A", "--hostname", "localhost", *ports, *place)
        source = self.make_source(station, "rpms", upstream)
        own = json.loads(self.run("station", "get", "--station-id", station, "--json"))["profileId"]
        (self.base / "a.rsp").write_text(self.run("profile", "response-file", "--profile-id", own))
        state = str(self.base / "state")
        self.run("station", "register", "--response-file", str(self.base / "a.rsp"), "--state-dir", state)
        self.start("station", "station", "run", "--state-dir", state)
        return station, source

    def make_source(self, station: str, name: str, upstream: Any, hub: str = NAME) -> str:
        source = self.run("source", "create", "--name", name, "--url", upstream.url, "--no-gpg-check", *SYSTEM, hub=hub)
        profile = ["--name", name, "--station-id", station, "--source-id", source]
        self.run("profile", "create", *profile, *SYSTEM, hub=hub)
        return source

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()
        except OSError as exc:
            return 0, str(exc)

    def ask_hub_through_proxy(self) -> int:
        """As an agent behind the station: CONNECT to the hub's name, TLS, one request; 0 where nothing came in time."""
        context = ssl.create_default_context(cafile=str(self.base / "a" / "ca.pem"))
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.proxy), 2) as plain:
            plain.sendall(f"CONNECT {NAME}:{self.hub_port} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            if b" 200 " not in plain.recv(4096):
                return 0
            with context.wrap_socket(plain, server_hostname=NAME) as stream:
                stream.sendall(f"GET /stationmaster/v1/health HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
                return int(stream.recv(4096).split()[1])
        return 0

    def end(self) -> None:
        for name, number in (("station", signal.SIGINT), ("a", signal.SIGKILL), ("b", signal.SIGTERM)):
            process = self.running.get(name)
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(number)
                process.wait(20)


def until(what: str, condition: Callable[[], object], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


@pytest.fixture
def world(base: Path, postgres_server: Any) -> Iterator[World]:
    made = World(base, postgres_server.new_database())
    yield made
    made.end()


class HealthWatch:
    """Asks for readiness five times a second, and keeps what was not 200."""

    def __init__(self, world: World) -> None:
        self.bad: list[tuple[float, str]] = []
        self.count = 0
        self._world, self._stop = world, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.wait(0.2):
            status, body = self._world.get("/healthz")
            self.count += 1
            if status != 200:
                self.bad.append((round(time.monotonic() - began, 1), body))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.postgres
@pytest.mark.skipif(os.geteuid() != 0, reason="gives processes a hosts file of their own")
def test_one_of_two_hubs_frozen_or_killed(world: World, upstream: Upstream, base: Path) -> None:
    state, database = str(base / "a"), ["--database", world.database]
    world.run("hub", "init", "--state-dir", state, "--oci-config", str(base / "oci.cfg"), *database)
    world.run("hub", "invite", "--state-dir", state, "--output", str(base / "invitation"))
    world.run("hub", "join", "--state-dir", str(base / "b"), "--invitation", str(base / "invitation"))
    for name in HUBS:
        world.start_hub(name)
    station, source = world.make_station(upstream)
    until("the list is shown", lambda: world.get(f"/m/{source}")[0] == 200)
    until("ready", lambda: world.get("/healthz")[0] == 200)
    assert (base / "b" / "tls" / "key.pem").read_bytes() != (base / "a" / "tls" / "key.pem").read_bytes()

    with HealthWatch(world) as seen:
        for frozen, other in (("a", "b"), ("b", "a")):
            world.signal(frozen, signal.SIGSTOP)
            time.sleep(7)
            until(f"agents pass while {frozen} is frozen", lambda: world.ask_hub_through_proxy() == 200, 10)
            added = world.make_source(station, f"while {frozen} is frozen", upstream, hub=other)
            until("the other decides alone", lambda added=added: world.get(f"/m/{added}")[0] == 200)
            world.signal(frozen, signal.SIGCONT)
            time.sleep(1)
        world.signal("a", signal.SIGKILL)
        time.sleep(4)
        until("agents pass after a kill", lambda: world.ask_hub_through_proxy() == 200, 10)
    assert (seen.bad, seen.count > 50) == ([], True)
    assert json.loads(world.run("station", "get", "--station-id", station, "--json", hub="b"))["id"] == station
