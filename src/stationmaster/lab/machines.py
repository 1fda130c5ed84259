"""Stations, balancers, instances and the hub of a scenario: a lab host each, with the commands a person runs there."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path

from stationmaster.host import programs
from stationmaster.lab import host, operators, waiting
from stationmaster.model import errors

HUB_PORT = 8443
HUB_NAME = "hub.lab"
PYTHON = Path(sys.executable).resolve().name


class Hub:
    """The control plane on its host, HTTPS from its own CA, on SQLite unless a PostgreSQL database is given."""

    def __init__(self, on: host.LabHost, database: str = "") -> None:
        self.on = on
        self._database = ["--database", database] if database else []
        self.state = on.directory / "state"
        self.config_file = on.directory / "oci-config"

    @property
    def ca(self) -> Path:
        """The CA that everybody trusts."""
        return self.state / "ca.pem"

    def make(self) -> None:
        """Run ``hub init``."""
        command: list[str | Path] = ["hub", "init", "--state-dir", self.state, "--oci-config", self.config_file]
        self.on.run([operators.STATIONMASTER, *command, *self._database]).require_success("hub init")

    def join(self, other: Hub) -> None:
        """Become one more replica of a hub on PostgreSQL: ``hub invite`` there, ``hub join`` here."""
        invitation = other.on.directory / f"invitation-of-{self.on.name}"
        words: list[str | Path] = ["hub", "invite", "--state-dir", other.state, "--output", invitation]
        other.on.run([operators.STATIONMASTER, *words]).require_success("hub invite")
        words = ["hub", "join", "--state-dir", self.state, "--invitation", invitation]
        self.on.run([operators.STATIONMASTER, *words]).require_success("hub join")
        invitation.unlink()

    def serve(self) -> None:
        """Run ``hub serve`` and wait until it listens."""
        names = ["--tls-name", HUB_NAME, "--tls-name", self.on.address]
        listen = ["--listen", f"{self.on.address}:{HUB_PORT}", "--public-url", f"https://{HUB_NAME}:{HUB_PORT}"]
        command: list[str | Path] = [
            operators.STATIONMASTER,
            "hub",
            "serve",
            "--state-dir",
            self.state,
            *listen,
            *names,
        ]
        self.on.start(command, log="hub.log")
        waiting.until(lambda: waiting.is_port_open(self.on, self.on.address, HUB_PORT), 20, "the hub's port")


@dataclasses.dataclass
class Station:
    """A management station: its host, its volume and what the API says it is."""

    on: host.LabHost
    volume: Path
    station_id: str = ""
    http_port: int = 17080

    @property
    def state(self) -> Path:
        """Its state directory."""
        return self.on.directory / "state"

    def register(self, response_file: str) -> None:
        """Run ``station register`` with the content of a response file."""
        path = write_secret(self.on.directory / "input.rsp", response_file)
        command: list[str | Path] = ["station", "register", "--response-file", path, "--state-dir", self.state]
        self.on.run([operators.STATIONMASTER, *command, "--address", self.on.address]).require_success(
            f"Registering station {self.on.name}"
        )

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Run ``station run`` and leave it running."""
        command: list[str | Path] = [operators.STATIONMASTER, "station", "run", "--state-dir", self.state]
        self.on.start(command, log="station.log", environment=environment)

    def daemon(self) -> list[int]:
        """The processes of ``station run``, without the engines it started."""
        return self.on.find(PYTHON, "run", str(self.state))

    def health(self) -> str:
        """The status of ``/healthz`` and the answer's body, as the station's own host sees it; empty: no answer."""
        url = f"http://{self.on.address}:{self.http_port}/healthz"
        asked = self.on.run(["curl", "-s", "-m", "2", "-w", " %{http_code}", url])
        body, _, status = asked.stdout.rpartition(" ")
        return f"{status} {body.strip()}" if asked.is_success else ""

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until the station says that it is ready; HostError with its last words when it does not."""
        last = ""

        def is_ready() -> bool:
            nonlocal last
            last = self.health()
            return last.startswith("200")

        try:
            waiting.until(is_ready, seconds, f"{self.on.name} to be ready")
        except errors.HostError as exc:
            raise errors.HostError(
                f"{self.on.name} did not get ready in {seconds:g} s; it says: {last or 'nothing'}"
            ) from exc


class Balancer:
    """A real HAProxy on its host: with what ``balancer render`` prints, or kept by ``balancer run``."""

    def __init__(self, on: host.LabHost) -> None:
        self.on = on
        self.socket = on.directory / "watch.sock"

    def follow(self, hostname: str, environment: Mapping[str, str]) -> None:
        """Run ``balancer run``, which keeps HAProxy in step with the hub, and leave it running."""
        state = self.on.directory / "state"
        command: list[str | Path] = [
            operators.STATIONMASTER,
            "balancer",
            "run",
            "--hostname",
            hostname,
            "--state-dir",
            state,
        ]
        self.socket = state / "haproxy.sock"
        self.socket.unlink(missing_ok=True)  # a killed one's
        self.on.start(command, log="balancer.log", environment=environment)
        waiting.until(self.socket.exists, 20, "HAProxy's socket")

    def ends_tls(self) -> bool:
        """Whether it has the group's certificate, so that requests of HTTPS are repeated, too."""
        return (self.on.directory / "state" / "group.pem").exists()

    def start(self, configuration: str) -> programs.RunningProgram:
        """Start HAProxy. A second file adds a socket for looking on; HAProxy merges files."""
        rendered = write_secret(self.on.directory / "haproxy.cfg", configuration)
        looking = self.on.directory / "watch.cfg"
        looking.write_text(f"global\n    stats socket {self.socket} mode 600 level operator\n")
        running = self.on.start(["haproxy", "-db", "-f", rendered, "-f", looking], log="haproxy.log")
        waiting.until(lambda: self.socket.exists() or running.poll() is not None, 10, "HAProxy's socket")
        if running.poll() is not None:
            raise errors.ProgramFailedError(f"HAProxy ended: {(self.on.directory / 'haproxy.log').read_text()[-800:]}")
        return running


@dataclasses.dataclass
class Instance:
    """A managed instance: its host, its root and its package manager."""

    on: host.LabHost
    root: Path
    package_manager: str
    instance_id: str = ""

    @property
    def state(self) -> Path:
        """The agent's state directory."""
        return self.on.directory / "state"

    def register(self, response_file: str) -> None:
        """Run ``agent register`` with the content of a response file."""
        path = write_secret(self.on.directory / "input.rsp", response_file)
        command: list[str | Path] = [
            "agent",
            "register",
            "--response-file",
            path,
            "--state-dir",
            self.state,
            "--root",
            self.root,
        ]
        self.on.run(
            [operators.STATIONMASTER, *command, "--package-manager", self.package_manager], timeout=150.0
        ).require_success(f"Registering instance {self.on.name}")

    def check_in(self) -> programs.Completed:
        """Run ``agent run --once``: one check-in with everything due."""
        return self.on.run(
            [operators.STATIONMASTER, "agent", "run", "--state-dir", self.state, "--once"], timeout=180.0
        )

    def manage(self, *arguments: str, timeout: float = 180.0) -> programs.Completed:
        """Run a command of the instance's own system, in its root."""
        quiet = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
        return self.on.run(arguments, root=self.root, environment=quiet, timeout=timeout)


def write_secret(path: Path, text: str) -> Path:
    """Write a file that only root may read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path
