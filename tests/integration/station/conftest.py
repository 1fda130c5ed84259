from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from stationmaster.host import engine_process
from stationmaster.lab import web
from stationmaster.model import protocol
from stationmaster.station.sites import program, spec
from stationmaster.testing import fake_hub, loopback, sites
from stationmaster.testing import simulated_repositories as repositories

SOURCE = "ocid1.osmhsoftwaresource.oc1.test.rpms"
# The two commands by themselves: the group they are mounted in is another module's matter.
LAUNCHER = """
import sys, click
from stationmaster.cli import main, station_host
from stationmaster.model import errors
try:
    click.Group(commands={"register": station_host.register, "run": station_host.run,
        "take-volume": station_host.take_volume})(standalone_mode=False)
except errors.StationmasterError as exc:
    main.show_error(exc, as_json=False)
    sys.exit(1)
"""
COMMAND = [sys.executable, "-c", LAUNCHER]


def until(what: str, condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


@dataclasses.dataclass
class Upstream:
    site: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rpms/"

    def publish(self, packages: dict[str, bytes], *, timestamp: int = 1_700_000_000) -> None:
        for path, content in repositories.rpm_repository(packages, timestamp=timestamp).items():
            target = self.site / "rpms" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


@dataclasses.dataclass
class Station:
    """A registered station on loopback: its daemon is a process of its own, as it would be in service."""

    base: Path
    hub: fake_hub.FakeHub
    ports: protocol.Ports
    balancer_ports: protocol.Ports
    process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        return self.base / "state"

    @property
    def mirror(self) -> Path:
        return self.base / "mirror"

    @property
    def log(self) -> str:
        return (self.base / "daemon.log").read_text()

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def register(self, *extra: str) -> subprocess.CompletedProcess[str]:
        (self.base / "input.rsp").write_text(self.hub.response_file())
        return self.run(
            "register", "--response-file", self.base / "input.rsp", "--state-dir", self.state, "--timeout", "3", *extra
        )

    def start(self) -> None:
        with (self.base / "daemon.log").open("ab") as log:
            command = [*COMMAND, "run", "--state-dir", str(self.state)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)
        self.process.wait(10)

    def change(self, **changes: object) -> None:
        assert self.hub.desired is not None
        self.hub.desired = msgspec.structs.replace(self.hub.desired, **changes)

    def get(self, path: str, *, source: str = "127.0.0.2", port: int = 0) -> loopback.Answer:
        """As a client asks that knows the station by the group's name."""
        port = port or self.ports.http
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5, source_address=(source, 0))
        host = self.hub.desired.client_address.host if self.hub.desired else "lb.example"
        try:
            connection.request("GET", path, headers={"Host": f"{host}:{port}"})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return loopback.Answer(answer.status, headers, answer.read())
        except (OSError, http.client.HTTPException):
            return loopback.Answer(0, {}, b"")
        finally:
            connection.close()

    def health(self) -> tuple[int, list[str]]:
        answer = self.get("/healthz")
        reasons = msgspec.json.decode(answer.body)["reasons"] if answer.body else []
        return answer.status, [one["code"] for one in reasons]

    def is_ready(self) -> bool:
        return self.get("/healthz").status == 200

    def until(self, what: str, condition: Callable[[], object], seconds: float = 15.0) -> None:
        """Wait, or fail with what the station says."""
        try:
            until(what, condition, seconds)
        except AssertionError as exc:
            raise AssertionError(f"{exc}: {self.health()} {self.hub.last}\n{self.log[-3000:]}") from exc

    def until_ready(self, seconds: float = 20.0) -> None:
        self.until("the station is ready", self.is_ready, seconds)

    def until_synced(self, seconds: float = 20.0) -> None:
        """Ready, with something visible that is shown."""

        def is_synced() -> bool:
            last = self.hub.last
            return last is not None and [one.state for one in last.sources] == [protocol.MirrorState.SYNCED]

        self.until("the source is synced and shown", is_synced, seconds)
        self.until_ready(seconds)

    def engine_pid(self, name: str) -> int:
        """0 while there is none."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.state / name / f"{name}.pid").read_text())
        return 0


def _triple(found: list[int]) -> protocol.Ports:
    return protocol.Ports(proxy=found[0], http=found[1], https=found[2])


def desired_of(hub: fake_hub.FakeHub, mirror: Path, ports: list[int], upstream: Upstream) -> protocol.StationDesired:
    direct, balancer = _triple(ports[:3]), _triple(ports[3:])
    return protocol.StationDesired(
        station_id=fake_hub.STATION,
        display_name="StationA",
        group_id="group",
        compartment_id="ocid1.compartment.oc1..c",
        client_address=protocol.ClientAddress(host="lb.example", ports=direct),
        ports=direct,
        balancer_ports=balancer,
        balancer_addresses=["127.0.0.9"],
        peers=[],
        is_proxy_enabled=True,
        permitted_ranges=["127.0.0.2/32"],
        forward_proxy=None,
        mirror_directory=str(mirror),
        certificate_path=None,
        hub=protocol.HubAddress(url=hub.url, host="127.0.0.1", port=hub.port, addresses=["127.0.0.1"]),
        is_draining=False,
        is_auto_config_enabled=False,
        sources=[
            protocol.MirrorSource(
                source_id=SOURCE, name="rpms", format=protocol.SourceFormat.RPM, url=upstream.url, sync_number=1
            )
        ],
        instance_setup_script="#!/bin/sh\n",
        heartbeat_seconds=0.3,
        confirmed_seconds=2.0,
    )


@pytest.fixture
def base() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="sm-station-"))  # not pytest's own, which nginx's user may not enter
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def hub() -> Iterator[fake_hub.FakeHub]:
    with fake_hub.FakeHub().running() as running:
        yield running


@pytest.fixture
def upstream(base: Path) -> Iterator[Upstream]:
    found = Upstream(base / "site", loopback.free_ports(8)[-1])
    found.publish({f"Packages/p{number}.rpm": bytes([number]) * 5000 for number in range(20)})
    directory = base / "upstream"
    directory.mkdir()
    configuration = directory / "nginx.conf"
    configuration.write_text(web.render_nginx(found.site, directory, port=found.port))
    process = subprocess.Popen(["nginx", "-p", directory, "-e", directory / "error.log", "-c", configuration])
    yield found
    process.terminate()
    process.wait(10)


@pytest.fixture
def station(base: Path, hub: fake_hub.FakeHub, upstream: Upstream) -> Iterator[Station]:
    ports = loopback.free_ports(6)
    made = Station(base, hub, _triple(ports[:3]), _triple(ports[3:]))
    hub.mirror_directory = str(made.mirror)
    hub.desired = desired_of(hub, made.mirror, ports, upstream)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()
    _end_engines(made)


def _end_engines(made: Station) -> None:
    place = sites.Place(made.state, made.mirror, spec.ports.PortTriple(1, 2, 3), spec.ports.PortTriple(4, 5, 6))
    doors = engine_process.real_doors()
    program.NginxSite(place.nginx_spec(), doors).keeper.restart_wedged()
    program.SquidSite(place.squid_spec(), doors).keeper.restart_wedged()
    name = spec.squid_service_name(fake_hub.STATION, made.state)
    for path in Path("/dev/shm").glob(f"{name}-*"):
        path.unlink()
