"""A station, the real hub and the real command line: from `hub init` to a list over HTTPS, and the hub away."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stationmaster.host import network
from stationmaster.testing import loopback

if TYPE_CHECKING:
    from conftest import Upstream

PROGRAM = Path(sys.executable).with_name("stationmaster")


class World:
    """Processes and commands in one directory; ports of its own."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.hub_port, self.proxy, self.http, self.https = (loopback.free_ports(12)[index] for index in (8, 9, 10, 11))
        self.environment = {
            **os.environ,
            "OCI_CLI_CONFIG_FILE": str(base / "oci.cfg"),
            "STATIONMASTER_ENDPOINT": f"https://127.0.0.1:{self.hub_port}",
            "STATIONMASTER_CA": str(base / "hub" / "ca.pem"),
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [PROGRAM, *arguments], env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, name: str, *arguments: str) -> None:
        with (self.base / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen([PROGRAM, *arguments], stdout=log, stderr=log)

    def end(self, name: str, number: int) -> None:
        process = self.running.pop(name)
        process.send_signal(number)
        process.wait(20)

    def start_hub(self) -> None:
        listen = f"127.0.0.1:{self.hub_port}"
        self.start(
            "hub", "hub", "serve", "--state-dir", str(self.base / "hub"), "--listen", listen, "--tls-name", "127.0.0.1"
        )

    def get(self, path: str, port: int) -> tuple[int, str]:
        scheme = "https" if port == self.https else "http"
        context = ssl.create_default_context(cafile=str(self.base / "hub" / "ca.pem"))
        try:
            with urllib.request.urlopen(f"{scheme}://localhost:{port}{path}", timeout=5, context=context) as answer:  # noqa: S310 - http or https, as written above
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()
        except OSError:
            return 0, ""

    def until(self, what: str, condition: Callable[[], object], seconds: float = 25.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                log = (self.base / "station.log").read_text()[-2000:] if (self.base / "station.log").exists() else ""
                raise AssertionError(f"not within {seconds:g} s: {what}\n{log}")
            time.sleep(0.1)


@pytest.fixture
def world(base: Path) -> Iterator[World]:
    made = World(base)
    yield made
    for name, number in (("station", signal.SIGINT), ("hub", signal.SIGTERM)):
        if name in made.running:
            made.end(name, number)


def test_with_the_real_hub(world: World, upstream: Upstream, base: Path) -> None:
    world.run("hub", "init", "--state-dir", str(base / "hub"), "--oci-config", str(base / "oci.cfg"))
    world.start_hub()
    world.until("the hub answers", lambda: network.is_answering("127.0.0.1", world.hub_port))
    ports = ["--proxy-port", str(world.proxy), "--http-port", str(world.http), "--https-port", str(world.https)]
    directory = ["--mirror-directory", str(base / "mirror")]
    station = world.run(
        "station",
        "create",
        "--name",
        "A",
        "--hostname",
        "localhost",
        "--permitted-range",
        "127.0.0.0/8",
        "--permitted-range",
        "::1/128",
        *ports,
        *directory,
    )
    system = ["--os-family", "oracle_linux_9", "--arch", "x86_64"]
    source = world.run("source", "create", "--name", "rpms", "--url", upstream.url, "--no-gpg-check", *system)
    world.run("profile", "create", "--name", "web", "--station-id", station, "--source-id", source, *system)
    own = json.loads(world.run("station", "get", "--station-id", station, "--json"))["profileId"]
    (base / "a.rsp").write_text(world.run("profile", "response-file", "--profile-id", own))
    said = world.run("station", "register", "--response-file", str(base / "a.rsp"), "--state-dir", str(base / "state"))
    assert station in said
    world.start("station", "station", "run", "--state-dir", str(base / "state"))
    world.until("the list is shown", lambda: world.get(f"/m/{source}", world.http)[0] == 200)
    tree = world.get(f"/m/{source}", world.https)[1].strip()
    assert tree.startswith(f"https://localhost:{world.https}/g/{source}/")
    path = tree.removeprefix(f"https://localhost:{world.https}")
    assert world.get(f"{path}repodata/repomd.xml", world.https)[0] == 200
    assert json.loads(world.get("/healthz", world.http)[1])["readiness"] == "READY"

    def mirror_state() -> str:
        found = json.loads(world.run("station", "mirrors", "--station-id", station, "--json"))
        return str((found["items"] if isinstance(found, dict) else found)[0]["state"])

    world.until("the hub shows it synced", lambda: mirror_state() == "SYNCED")

    # I9: the hub is killed, the daemon too; what is visible is served on.
    world.end("hub", signal.SIGKILL)
    world.end("station", signal.SIGKILL)
    world.start("station", "station", "run", "--state-dir", str(base / "state"))
    world.until("last resort", lambda: world.get("/healthz?tier=serving", world.http)[1].find("Unconfirmed") > 0)
    assert world.get("/healthz", world.http)[0] == 503
    assert world.get(f"{path}repodata/repomd.xml", world.https)[0] == 200
    world.start_hub()
    world.until("ready again", lambda: world.get("/healthz", world.http)[0] == 200)

    # Ctrl-C ends everything that the command started.
    world.end("station", signal.SIGINT)
    world.until(
        "nothing listens",
        lambda: not any(network.is_answering("127.0.0.1", port) for port in (world.http, world.https, world.proxy)),
    )
