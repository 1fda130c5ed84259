"""Two stations behind a real HAProxy, a hub of a few lines, an upstream that changes, and a root with real clients."""

from __future__ import annotations

import contextlib
import datetime
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest

from stationmaster.agent import repositories
from stationmaster.host import clock, engine_process, files, programs
from stationmaster.lab import deb_plan, roots, rpm_plan, upstream_deb, upstream_rpm, web
from stationmaster.mirror import retention, volume
from stationmaster.model import digest, errors, protocol
from stationmaster.model.protocol import InstanceSource, PackageManager, SourceFormat
from stationmaster.station.sites import program, spec
from stationmaster.testing import fake_hub, loopback, sites

RPM = "ocid1.osmhsoftwaresource.oc1.test.rpms"
DEB = "ocid1.osmhsoftwaresource.oc1.test.debs"
COMMAND = [sys.executable, "-c", "import sys; from stationmaster.cli import main; sys.exit(main.run(sys.argv[1:]))"]


class Hub(fake_hub.FakeHub):
    """Speaks with several stations; the newest that all hold becomes visible, while ``is_advancing``."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: dict[str, protocol.StationDesired] = {}
        self.directories: list[str] = []
        self.heard: dict[str, protocol.StationHeartbeat] = {}

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> msgspec.Struct:
        del headers  # signatures are another test's matter
        if path.endswith("/registrations"):
            request = msgspec.json.decode(body, type=protocol.RegistrationRequest)
            self.registrations.append(request)
            number = len({one.public_key for one in self.registrations}) - 1
            return protocol.RegistrationAnswer(
                tenancy_id=fake_hub.TENANCY,
                managed_instance_id=f"{fake_hub.INSTANCE}{number}",
                station_id=station_id(number),
                mirror_directory=self.directories[number],
            )
        own = path.split("/")[4]
        if own not in self.wanted:
            raise errors.NotFoundError("unknown")
        if path.endswith("/certificate"):
            self.desired = self.wanted[own]
            return self._sign(msgspec.json.decode(body, type=protocol.CertificateRequest), holder=own)
        beat = msgspec.json.decode(body, type=protocol.StationHeartbeat)
        self.heard[own] = beat
        if self.is_advancing and len(self.heard) == len(self.wanted):
            for source in (RPM, DEB):
                self._advance_to(source)
        name = digest.digest_of(self.wanted[own])
        return protocol.HeartbeatAnswer(
            time_received=self._clock.now(),
            desired_digest=name,
            desired=None if beat.desired_digest == name else self.wanted[own],
            visible=list(self.visible.values()),
        )

    def _advance_to(self, source_id: str) -> None:
        held = [
            {one.generation: one.time_root for one in report.held if one.is_fetchable}
            for beat in self.heard.values()
            for report in beat.sources
            if report.source_id == source_id
        ]
        common = set.intersection(*map(set, held)) if len(held) == len(self.wanted) else set()
        newest = max(common, key=lambda one: str(held[0][one]), default=None)
        shown = self.visible.get(source_id)
        if newest is not None and (shown is None or shown.generation != newest):
            number = shown.number + 1 if shown else 1
            self.visible[source_id] = protocol.Visible(source_id=source_id, number=number, generation=newest)


def station_id(number: int) -> str:
    return f"ocid1.osmhmanagementstation.oc1.test.s{number}"


class Member:
    """One station: its state directory, its volume, its daemon and engines."""

    def __init__(self, base: Path, number: int, ports: list[int]) -> None:
        self.id, self.name = station_id(number), f"s{number}"
        self.state, self.mirror, self.log = base / f"state{number}", base / f"mirror{number}", base / f"daemon{number}"
        self.direct = protocol.Ports(proxy=ports[0], http=ports[1], https=ports[2])
        self.balancer = protocol.Ports(proxy=ports[3], http=ports[4], https=ports[5])

    def register(self, response: str) -> None:
        path = self.state.with_suffix(".rsp")
        path.write_text(response)
        arguments = ["station", "register", "--response-file", str(path), "--state-dir", str(self.state)]
        subprocess.run([*COMMAND, *arguments, "--address", "127.0.0.1"], check=True, capture_output=True, timeout=60)

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [*COMMAND, "station", "run", "--state-dir", str(self.state)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def requests(self) -> list[str]:
        """What clients asked of it: method, path, status."""
        parts = [line.split('"') for line in (self.state / "log" / "nginx-access.log").read_text().splitlines()]
        return [f"{one[1].rpartition(' ')[0]} {one[2].split()[0]}" for one in parts]

    def drop_former(self) -> None:
        """What the daemon's own cleaning does when retention is over: all but the newest two generations go."""
        cleaner = retention.Cleaner(
            files.Files(),
            volume.open_volume(files.Files(), self.mirror),
            clock.SystemClock(),
            policy=retention.RetentionPolicy(age=datetime.timedelta(0)),
        )
        list(cleaner.clean())

    def end(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        triples = [spec.ports.PortTriple(one.proxy, one.http, one.https) for one in (self.direct, self.balancer)]
        place = sites.Place(self.state, self.mirror, *triples)
        program.NginxSite(place.nginx_spec(), engine_process.real_doors()).keeper.restart_wedged()


class Balancer:
    """HAProxy in TCP mode on both mirror ports; which stations it uses is the test's word."""

    def __init__(self, base: Path, ports: protocol.Ports, members: list[Member]) -> None:
        self.ports, self._socket = ports, base / "haproxy.sock"
        text = (
            f"global\n stats socket {self._socket} level admin\n"
            "defaults\n mode tcp\n timeout connect 1s\n timeout client 60s\n timeout server 60s\n balance roundrobin\n"
        )
        for name in ("http", "https"):
            text += f"listen {name}\n bind 127.0.0.1:{getattr(ports, name)}\n"
            for one in members:
                text += f" server {one.name} 127.0.0.1:{getattr(one.balancer, name)} send-proxy-v2\n"
        (base / "haproxy.cfg").write_text(text)
        self.process = subprocess.Popen(["haproxy", "-db", "-f", base / "haproxy.cfg"])

    def use(self, *names: str) -> None:
        """Send new connections to these stations alone."""
        for port in ("http", "https"):
            for name in ("s0", "s1"):
                self._tell(f"set server {port}/{name} state {'ready' if name in names else 'maint'}")

    def _tell(self, command: str) -> None:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.connect(str(self._socket))
            opened.sendall(f"{command}\n".encode())
            assert opened.recv(4096).strip() == b"", command


class Group:
    """The stations, their balancer, and the upstream; ``publish`` and ``switch`` change what clients see."""

    def __init__(self, base: Path, hub: Hub, upstream_port: int) -> None:
        ports = loopback.free_ports(16)
        self.base, self.hub, self.site = base, hub, base / "site"
        self.rpms = upstream_rpm.prepare(self.site, base / "cache", rpm_plan.plan_packages(12, big_bytes=1 << 16))
        self.debs = upstream_deb.prepare(self.site, base / "cache", deb_plan.plan_packages(8, big_bytes=1 << 16))
        self.upstream_port, self._syncs, self._published = upstream_port, 1, 1
        self.members = [Member(base, number, ports[number * 6 : number * 6 + 6]) for number in (0, 1)]
        hub.directories = [str(one.mirror) for one in self.members]
        self.ports = protocol.Ports(proxy=ports[12], http=ports[13], https=ports[14])
        for one in self.members:
            one.register(hub.response_file())
            hub.wanted[one.id] = self._desired(one)

    def address(self, *, is_tls: bool = False) -> protocol.ClientAddress:
        """What clients are told (I12)."""
        return protocol.ClientAddress(host="127.0.0.1", ports=self.ports, is_mirror_tls=is_tls)

    def _sources(self) -> list[protocol.MirrorSource]:
        url = f"http://127.0.0.1:{self.upstream_port}"
        return [
            protocol.MirrorSource(
                source_id=RPM, name="rpms", format=SourceFormat.RPM, url=f"{url}/rpm/",
                gpg_keys=[self.rpms.key.public.read_text()], sync_number=self._syncs,
            ),
            protocol.MirrorSource(
                source_id=DEB, name="debs", format=SourceFormat.DEB, url=f"{url}/deb/", suites=["lab"],
                components=["main"], architectures=[self.debs.architecture],
                gpg_keys=[self.debs.key.public.read_text()], sync_number=self._syncs,
            ),
        ]  # fmt: skip

    def _desired(self, member: Member) -> protocol.StationDesired:
        return protocol.StationDesired(
            station_id=member.id,
            display_name=member.name,
            group_id="group",
            compartment_id="c",
            client_address=self.address(),
            ports=member.direct,
            balancer_ports=member.balancer,
            balancer_addresses=["127.0.0.1"],
            peers=[],
            is_proxy_enabled=False,
            permitted_ranges=["127.0.0.0/8"],
            forward_proxy=None,
            mirror_directory=str(member.mirror),
            certificate_path=None,
            hub=protocol.HubAddress(url=self.hub.url, host="127.0.0.1", port=self.hub.port, addresses=["127.0.0.1"]),
            is_draining=False,
            is_auto_config_enabled=False,
            sources=self._sources(),
            heartbeat_seconds=0.3,
            confirmed_seconds=5.0,
        )

    def publish(self, *, without: str = "") -> str:
        """A new version of `lab-app-002` and `labd-app-002` upstream; ``without`` is one that goes from there."""
        self._published += 1
        version = f"{self._published}.0"
        for upstream, name in ((self.rpms, "lab-app-002"), (self.debs, "labd-app-002")):
            upstream.packages = [one for one in upstream.packages if (one.name, one.version) != (name, without)]
            upstream.publish_update({name: version})
        return version

    def switch(self) -> dict[str, str]:
        """Have the stations sync what is upstream now, and wait until both show it; the generations by source."""
        former = dict(self.hub.visible)
        self._syncs += 1
        for one in self.members:
            self.hub.wanted[one.id] = msgspec.structs.replace(self.hub.wanted[one.id], sources=self._sources())
        self.until_shown(lambda: all(self.hub.visible.get(one) not in (former.get(one), None) for one in (RPM, DEB)))
        return {source: shown.generation for source, shown in self.hub.visible.items()}

    def needed_by(self, name: str) -> tuple[str, ...]:
        """What the package depends on."""
        rpms = {one.name: one.requires for one in self.rpms.packages}
        return rpms[name] if name in rpms else {one.name: one.depends for one in self.debs.packages}[name]

    def until_shown(self, condition: Callable[[], bool]) -> None:
        def is_shown() -> bool:
            told = [report for beat in self.hub.heard.values() for report in beat.sources]
            is_all = len(told) == 2 * len(self.members)
            return is_all and condition() and all(one.shown == self.hub.visible.get(one.source_id) for one in told)

        end = time.monotonic() + 30
        while not is_shown():
            logs = [one.log.read_text()[-1500:] if one.log.exists() else "" for one in self.members]
            assert time.monotonic() < end, (self.hub.visible, self.hub.heard, logs)
            time.sleep(0.05)


@pytest.fixture(scope="session")
def base() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="sm-pinned-"))  # not pytest's own, which nginx's user may not enter
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def group(base: Path) -> Iterator[Group]:
    with Hub().running() as hub:
        port = loopback.free_ports(20)[-1]
        made = Group(base, hub, port)  # type: ignore[arg-type]
        (base / "upstream").mkdir()
        text = web.render_nginx(made.site, base / "upstream", port=port)
        (base / "upstream/nginx.conf").write_text(text)
        upstream = subprocess.Popen(
            ["nginx", "-p", base / "upstream", "-e", base / "upstream/e.log", "-c", base / "upstream/nginx.conf"]
        )
        for one in made.members:
            one.start()
        balancer = Balancer(base, made.ports, made.members)
        try:
            made.until_shown(lambda: len(hub.visible) == 2)  # type: ignore[attr-defined]
            made.balancer = balancer  # type: ignore[attr-defined]
            yield made
        finally:
            for process in (balancer.process, upstream):
                process.terminate()
                process.wait(10)
            for one in made.members:
                one.end()


class Begun:
    """A package manager that a person started at a terminal, and that asks before it goes on."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self._terminal, theirs = os.openpty()
        self._said = ""
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *command], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def read_until(self, *words: str) -> None:
        end = time.monotonic() + 60
        while not any(word in self._said for word in words):
            assert time.monotonic() < end, self._said
            assert self._process.poll() is None, self._said
            self._read()

    def answer(self, word: str) -> None:
        """To the end of the program; a key agent that it leaves behind keeps the terminal open for longer."""
        os.write(self._terminal, f"{word}\n".encode())
        end = time.monotonic() + 60
        while self._process.poll() is None:
            assert time.monotonic() < end, self._said
            self._read()
        os.close(self._terminal)
        assert self._process.returncode == 0, self._said

    def _read(self) -> None:
        if select.select([self._terminal], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):  # the end, as a terminal tells it
                self._said += os.read(self._terminal, 4096).decode(errors="replace")


class Clients:
    """This machine's system under a private layer, with dnf, zypper and apt as a person would run them there."""

    def __init__(self, root: Path, group: Group) -> None:
        self.root, self.group = root, group

    ENVIRONMENT = MappingProxyType(
        {"HOME": "/root", "PATH": os.environ["PATH"], "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["chroot", self.root, *command],
            env=self.ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def begin(self, *command: str) -> Begun:
        return Begun(["chroot", str(self.root), *command], self.ENVIRONMENT)

    def status(self, url: str) -> str:
        return self.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url).stdout

    def remove(self, *names: str) -> None:
        """By the lower tool, whatever depends on them."""
        for name in names:
            self.run("rpm", "-e", "--nodeps", name)
            self.run("dpkg", "--remove", "--force-depends", name)

    def must(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def point(self, kind: PackageManager, *, is_tls: bool = False) -> dict[str, str]:
        """The files that the agent writes; returns them."""
        rendered = repositories.render_files(
            repositories.Repositories(
                kind, self.sources(), self.group.address(is_tls=is_tls), self.group.hub.ca_pem, is_tls_verified=is_tls
            )
        )
        self.write(rendered)
        return rendered

    def write(self, texts: Mapping[str, str]) -> None:
        for path, text in texts.items():
            place = self.root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    def sources(self) -> tuple[InstanceSource, ...]:
        rpms, debs = self.group.rpms.key.public.read_text(), self.group.debs.key.public.read_text()
        return (
            InstanceSource(source_id=RPM, repo_id="rpms", display_name="RPM", format=SourceFormat.RPM, gpg_keys=[rpms]),
            InstanceSource(
                source_id=DEB, repo_id="debs", display_name="DEB", format=SourceFormat.DEB, suites=["lab"],
                components=["main"], gpg_keys=[debs],
            ),
        )  # fmt: skip

    def version(self, name: str) -> str:
        """What the package installed says of itself; empty when it is not there."""
        path = self.root / "opt/lab" / name / "version"
        return path.read_text().strip() if path.exists() else ""

    def age_caches(self) -> None:
        """Four days go by: beyond every time that a client keeps metadata for, and beyond the stations' retention."""
        then = time.time() - 4 * 86400
        for directory in ("var/cache/dnf", "var/cache/zypp"):
            for path in (self.root / directory).rglob("*"):
                os.utime(path, (then, then), follow_symlinks=False)

    def forget(self) -> None:
        """No repositories and no caches."""
        for directory in ("etc/yum.repos.d", "etc/zypp", "etc/apt/sources.list.d", "etc/stationmaster",
                          "var/cache/dnf", "var/cache/zypp", "var/lib/apt/lists"):  # fmt: skip
            shutil.rmtree(self.root / directory, ignore_errors=True)
            (self.root / directory).mkdir(parents=True)
        (self.root / repositories.APT_OPTIONS_FILE.lstrip("/")).unlink(missing_ok=True)


@pytest.fixture(scope="session")
def made_clients(base: Path, group: Group) -> Iterator[Clients]:
    with roots.private_layer(base, files.Files(), programs.Programs()) as root:
        (root / "etc/os-release").unlink()
        (root / "etc/os-release").write_text(roots.RPM_OS_RELEASE)
        yield Clients(root, group)


@pytest.fixture
def clients(made_clients: Clients, group: Group) -> Clients:
    group.balancer.use("s0", "s1")  # type: ignore[attr-defined]
    made_clients.forget()
    return made_clients
