"""`stationmaster balancer …` as a person runs it, against a stand-in for the hub and real stations."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stationmaster.api_client import keys
from stationmaster.host import unix_socket
from stationmaster.testing import groups, loopback

COMMAND = Path(sys.executable).with_name("stationmaster")


class Hub:
    """Answers for one group; ``view`` None is an unknown one. What was put is kept."""

    def __init__(self) -> None:
        self.view: Any = None
        self.put: list[dict[str, Any]] = []
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(self.path)
                if hub.view is None:
                    self._answer(404, {"code": "NotAuthorizedOrNotFound", "message": "No such group."})
                else:
                    self._answer(200, msgspec.to_builtins(hub.view))

            def do_PUT(self) -> None:
                hub.put.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(200, {"addresses": []})

            def _answer(self, status: int, value: object) -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    key = keys.make_private_key()
    (tmp_path / "key.pem").write_bytes(keys.private_pem(key))
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "config").write_text(
        "[DEFAULT]\ntenancy=ocid1.tenancy.oc1..t\nuser=ocid1.user.oc1..u\nkey_file=key.pem\nregion=local\n"
        f"fingerprint={keys.fingerprint(key.public_key())}\n"
    )
    endpoint = f"http://127.0.0.1:{hub.server.server_port}"
    return {**os.environ, "OCI_CLI_CONFIG_FILE": str(tmp_path / "config"), "STATIONMASTER_ENDPOINT": endpoint}


def call(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "balancer", *arguments], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_render(hub: Hub, environment: dict[str, str], stations: groups.Stations) -> None:
    hub.view = groups.view_of(stations, {"proxy": 16080, "http": 17080, "https": 17443})
    for kind, word in (("haproxy", "frontend mirror-http"), ("nginx", "stream {"), ("keepalived", "vrrp_instance")):
        done = call(environment, "render", "--hostname", "Updates.Test", "--format", kind, "--bind", "10.1.2.3")
        assert (done.returncode, done.stderr) == (0, "")
        assert word in done.stdout
        assert "10.1.2.3" in done.stdout
    assert hub.asked[0] == "/stationmaster/v1/groups/balancer?hostname=Updates.Test"
    direct = call(environment, "render", "--hostname", "x", "--format", "haproxy", "--direct", "--compartment-id", "c")
    assert "send-proxy" not in direct.stdout
    assert hub.asked[-1].endswith("?hostname=x&compartmentId=c")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "haproxy", "--bind", "nonsense"), "--bind is 'nonsense'"),
        (("--format", "haproxy", "--certificate", "/dev/null"), "--stations-ca go together"),
        (("--format", "keepalived"), "give it: --bind address"),
    ],
)
def test_render_refuses_in_words(
    hub: Hub, environment: dict[str, str], stations: groups.Stations, arguments: tuple[str, ...], words: str
) -> None:
    hub.view = groups.view_of(stations, {"proxy": 16080, "http": 17080, "https": 17443})
    done = call(environment, "render", "--hostname", "nowhere.invalid", *arguments)
    assert done.returncode == 1
    assert words.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_render_of_an_unknown_group(environment: dict[str, str]) -> None:
    done = call(environment, "render", "--hostname", "x", "--format", "haproxy")
    assert done.returncode == 1
    assert "No such group." in done.stderr


@contextlib.contextmanager
def running(environment: dict[str, str], state: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [COMMAND, "balancer", "run", "--hostname", groups.HOSTNAME, "--state-dir", state, "--bind", "127.0.0.1"]
    with (state.parent / "run.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_run(hub: Hub, environment: dict[str, str], stations: groups.Stations, tmp_path: Path) -> None:
    stations.recover()
    numbers = dict(zip(("proxy", "http", "https"), loopback.free_ports(15)[12:], strict=True))
    hub.view = groups.view_of(stations, numbers)
    state = tmp_path / "b"

    def is_serving() -> bool:
        return loopback.fetch(numbers["http"], groups.LIST, source=groups.CLIENT).status == 200

    with running(environment, state) as process:
        assert groups.wait_until(is_serving), (tmp_path / "run.log").read_text()
        assert groups.wait_until(lambda: bool(hub.put))
        assert hub.put[0]["hostname"] == groups.HOSTNAME
        assert "127.0.0.1" in hub.put[0]["addresses"]
        assert hub.put[0]["node"]
        assert "Name: HAProxy" in unix_socket.ask(state / "haproxy.sock", "show info")
        haproxy = int((state / "haproxy.pid").read_text())
        second = call(environment, "run", "--hostname", groups.HOSTNAME, "--state-dir", str(state))
        assert second.returncode == 1
        assert "already running" in second.stderr
        # A service manager that restarts it does not stop the balancing; the next one takes over.
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert is_serving()
    hub.view = None
    with running(environment, state) as process:
        assert groups.wait_until(lambda: "not followed" in (tmp_path / "run.log").read_text())
        assert is_serving()
        assert int((state / "haproxy.pid").read_text()) == haproxy
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    with pytest.raises(ConnectionError):
        is_serving()
