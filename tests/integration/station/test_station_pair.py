"""Two stations of a group: one asks the upstream, the other has the same, from the volume they share or by copy."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stationmaster.host import engine_process
from stationmaster.model import errors, protocol
from stationmaster.station.sites import program, spec
from stationmaster.testing import fake_hub, loopback, sites
from stationmaster.testing import simulated_repositories as repositories

SOURCE = "ocid1.osmhsoftwaresource.oc1.test.rpms"
PACKAGES = {f"Packages/p{number}.rpm": bytes([number]) * 30_000 for number in range(40)}
STATE = protocol.MirrorState
COMMAND = [sys.executable, "-c", "import sys; from stationmaster.cli import main; sys.exit(main.run(sys.argv[1:]))"]


class Upstream:
    """Counts what it is asked, and can be slow."""

    def __init__(self) -> None:
        self.files = repositories.rpm_repository(PACKAGES, timestamp=1_700_000_000)
        self.asked: collections.Counter[str] = collections.Counter()
        self.pause = 0.0
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.removeprefix("/rpms/")
                upstream.asked[path] += 1
                if path.endswith(".rpm"):
                    time.sleep(upstream.pause)
                content = upstream.files.get(path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(content or b"")

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/rpms/"

    def packages_asked(self) -> int:
        return sum(count for path, count in self.asked.items() if path.endswith(".rpm"))


class PairHub(fake_hub.FakeHub):
    """Speaks with several stations, and says what the test decided on leases and copies."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: dict[str, protocol.StationDesired] = {}
        self.leases: dict[str, list[protocol.Lease]] = {}
        self.copies: dict[str, list[protocol.Copy]] = {}
        self.heard: dict[str, protocol.StationHeartbeat] = {}
        self.directories: list[str] = []

    def _register(self, request: protocol.RegistrationRequest) -> protocol.RegistrationAnswer:
        known = [one.public_key for one in self.registrations]
        if request.public_key not in known:
            self.registrations.append(request)
            known.append(request.public_key)
        number = known.index(request.public_key)
        return protocol.RegistrationAnswer(
            tenancy_id=fake_hub.TENANCY,
            managed_instance_id=f"{fake_hub.INSTANCE}{number}",
            station_id=station_id(number),
            mirror_directory=self.directories[number],
        )

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> msgspec.Struct:
        del headers  # signatures are another test's matter
        if path.endswith("/registrations"):
            return self._register(msgspec.json.decode(body, type=protocol.RegistrationRequest))
        own = path.split("/")[4]
        if path.endswith("/certificate"):
            self.desired = self.wanted[own]
            return self._sign(msgspec.json.decode(body, type=protocol.CertificateRequest), holder=own)
        beat = msgspec.json.decode(body, type=protocol.StationHeartbeat)
        if own not in self.wanted:
            raise errors.NotFoundError("unknown")
        self.heard[own] = beat
        self._advance_all()
        return protocol.HeartbeatAnswer(
            time_received=self._clock.now(),
            desired_digest="d",
            desired=None if beat.desired_digest == "d" else self.wanted[own],
            visible=list(self.visible.values()),
            leases=self.leases.get(own, []),
            copies=self.copies.get(own, []),
        )

    def _advance_all(self) -> None:
        """The barrier, for one source: visible is what all that were heard hold and can serve."""
        held = [
            {one.generation for source in beat.sources for one in source.held if one.is_fetchable}
            for beat in self.heard.values()
        ]
        common = set.intersection(*held) if len(held) == len(self.wanted) else set()
        shown = self.visible.get(SOURCE)
        for generation in sorted(common - {shown.generation if shown else ""}):
            number = shown.number + 1 if shown else 1
            self.visible[SOURCE] = protocol.Visible(source_id=SOURCE, number=number, generation=generation)


def station_id(number: int) -> str:
    return f"ocid1.osmhmanagementstation.oc1.test.s{number}"


class Member:
    """One station's host: its state directory, its volume, its daemon."""

    def __init__(self, base: Path, number: int, mirror: Path, hub: PairHub, ports: list[int]) -> None:
        self.id, self.state, self.mirror, self.hub = station_id(number), base / f"state{number}", mirror, hub
        self.direct = protocol.Ports(proxy=ports[0], http=ports[1], https=ports[2])
        self.balancer = protocol.Ports(proxy=ports[3], http=ports[4], https=ports[5])
        self.process: subprocess.Popen[bytes] | None = None
        self.log = base / f"daemon{number}.log"

    def register(self) -> None:
        response = self.state.with_suffix(".rsp")
        response.write_text(self.hub.response_file())
        arguments = ["station", "register", "--response-file", str(response), "--state-dir", str(self.state)]
        subprocess.run([*COMMAND, *arguments, "--address", "127.0.0.1"], check=True, capture_output=True, timeout=60)

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [*COMMAND, "station", "run", "--state-dir", str(self.state)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def told(self) -> protocol.SourceReport | None:
        beat = self.hub.heard.get(self.id)
        return beat.sources[0] if beat and beat.sources else None

    def is_synced(self) -> bool:
        told = self.told()
        return told is not None and told.state is STATE.SYNCED

    def get(self, path: str) -> loopback.Answer:
        return loopback.fetch(self.direct.http, path, source="127.0.0.2")

    def lose(self, path: str) -> Path:
        """Somebody removes a package, from the pool as well; returns where it was served."""
        served = self.mirror / "published" / SOURCE / path
        pooled = (
            self.mirror / "pool" / "sha256" / (digest := hashlib.sha256(served.read_bytes()).hexdigest())[:2] / digest
        )
        for one in (served, pooled):
            one.unlink()
        return served

    def end(self) -> None:
        self.kill()
        triples = [spec.ports.PortTriple(one.proxy, one.http, one.https) for one in (self.direct, self.balancer)]
        place = sites.Place(self.state, self.mirror, *triples)
        doors = engine_process.real_doors()
        program.NginxSite(place.nginx_spec(), doors).keeper.restart_wedged()


class Pair:
    """A hub, an upstream, and two stations."""

    def __init__(self, base: Path, hub: PairHub, mirrors: list[Path]) -> None:
        self.hub, self.upstream = hub, Upstream()
        ports = loopback.free_ports(12)
        hub.directories = [str(mirror) for mirror in mirrors]
        self.members = [Member(base, n, mirror, hub, ports[n * 6 : n * 6 + 6]) for n, mirror in enumerate(mirrors)]
        for one in self.members:
            one.register()
            hub.wanted[one.id] = self._desired(one)

    def _desired(self, member: Member) -> protocol.StationDesired:
        others = [
            protocol.Peer(station_id=one.id, display_name=one.id[-2:], addresses=["127.0.0.1"], ports=one.direct)
            for one in self.members
            if one is not member
        ]
        source = protocol.MirrorSource(
            source_id=SOURCE, name="rpms", format=protocol.SourceFormat.RPM, url=self.upstream.url, sync_number=1
        )
        return protocol.StationDesired(
            station_id=member.id,
            display_name=member.id[-2:],
            group_id="group",
            compartment_id="c",
            client_address=protocol.ClientAddress(host="lb.example", ports=member.direct),
            ports=member.direct,
            balancer_ports=member.balancer,
            balancer_addresses=["127.0.0.9"],
            peers=others,
            is_proxy_enabled=False,
            permitted_ranges=["127.0.0.2/32"],
            forward_proxy=None,
            mirror_directory=str(member.mirror),
            certificate_path=None,
            hub=protocol.HubAddress(url=self.hub.url, host="127.0.0.1", port=self.hub.port, addresses=["127.0.0.1"]),
            is_draining=False,
            is_auto_config_enabled=False,
            sources=[source],
            heartbeat_seconds=0.3,
            confirmed_seconds=5.0,
        )

    def lead(self, member: Member | None, token: int) -> None:
        self.hub.leases = {member.id: [protocol.Lease(source_id=SOURCE, token=token)]} if member else {}

    def until(self, what: str, condition: Callable[[], object], seconds: float = 40.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                told = [(one.id[-2:], one.told(), one.log.read_text()[-1500:]) for one in self.members]
                raise AssertionError(f"not within {seconds:g} s: {what}: {told}")
            time.sleep(0.05)


@pytest.fixture
def pair(base: Path, request: pytest.FixtureRequest) -> Iterator[Pair]:
    mirrors = [base / name for name in request.param]
    with PairHub().running() as hub:
        made = Pair(base, hub, mirrors)  # type: ignore[arg-type]
        yield made
        for one in made.members:
            one.end()
        made.upstream.server.shutdown()
        made.upstream.server.server_close()


@pytest.mark.parametrize("pair", [("mirror", "mirror")], indirect=True)
def test_on_a_shared_volume_the_next_leader_resumes(pair: Pair) -> None:
    """R5, I7: the leader is killed in the middle; the other takes over, and both say SYNCED after one sync."""
    first, second = pair.members
    pair.upstream.pause = 0.15
    pair.lead(first, 1)
    for one in pair.members:
        one.start()
    pair.until("a few packages came", lambda: pair.upstream.packages_asked() > 12)
    first.kill()
    pool = first.mirror / "pool" / "sha256"
    finished = {path.read_bytes() for path in pool.glob("*/*")}
    assert finished
    assert second.told() is not None
    pair.upstream.pause = 0.0
    pair.lead(second, 2)
    pair.until("the other has all", lambda: (told := second.told()) is not None and told.held)
    for path, content in PACKAGES.items():
        if content in finished:
            assert pair.upstream.asked[path] == 1, path
    assert pair.upstream.packages_asked() <= len(PACKAGES) + 8
    first.start()
    pair.until("both are synced", lambda: first.is_synced() and second.is_synced())
    generation = pair.hub.visible[SOURCE].generation
    for one in pair.members:
        assert one.get(f"/g/{SOURCE}/{generation}/Packages/p3.rpm").body == PACKAGES["Packages/p3.rpm"]
    reports = [one.told() for one in pair.members]
    assert [one.lease_token for one in reports if one] == [1, 2]
    # Each reads the other's nonce on the volume: that they share it is proved (R10).
    seen = [pair.hub.heard[one.id].volume for one in pair.members]
    assert seen[0].nonces[second.id] == seen[1].own_nonce
    assert seen[1].nonces[first.id] == seen[0].own_nonce


@pytest.mark.parametrize("pair", [("mirror0", "mirror1")], indirect=True)
def test_the_upstream_sends_each_byte_once(pair: Pair) -> None:
    """The follower copies from its peer, past a holder that does not answer, and later mends a loss from it."""
    first, second = pair.members
    pair.lead(first, 1)
    for one in pair.members:
        one.start()
    pair.until("the leader holds it", lambda: (told := first.told()) is not None and told.held)
    told = first.told()
    assert told is not None
    generation = told.held[0].generation
    time.sleep(1.0)
    assert second.told() is not None
    assert second.told().held == [], "without lease and order it does nothing"  # type: ignore[union-attr]
    gone = protocol.Peer(station_id="gone", display_name="gone", addresses=["127.0.0.77"], ports=first.direct)
    wanted = pair.hub.wanted[second.id]
    pair.hub.wanted[second.id] = msgspec.structs.replace(wanted, peers=[gone, *wanted.peers])
    second.kill()
    shutil.copyfile(second.state / "station.json", second.state / "kept.json")
    (second.state / "desired.json").unlink()
    pair.hub.copies[second.id] = [protocol.Copy(source_id=SOURCE, generation=generation, holders=["gone", first.id])]
    second.start()
    pair.until("both are synced", lambda: first.is_synced() and second.is_synced())
    asked = {path: count for path, count in pair.upstream.asked.items() if not path.startswith("repodata/repomd.xml")}
    assert set(asked.values()) == {1}
    report = second.told()
    assert report is not None
    assert report.sync is not None
    assert (report.sync.lease_token, report.sync.generation, report.sync.problem) == (0, generation, None)

    path = f"/g/{SOURCE}/{generation}/Packages/p3.rpm"
    lost = second.lose("Packages/p3.rpm")
    assert second.get(path).body == PACKAGES["Packages/p3.rpm"]
    absent = second.get(f"/g/{SOURCE}/{generation}/InRelease")
    assert (absent.status, absent.headers["x-stationmaster-miss"]) == (404, "NeverExisted")
    pair.until("what was lost is on the volume again, from the peer", lost.exists)
    pair.until("it is an equal again", lambda: second.get("/healthz").status == 200)
    assert pair.upstream.asked["Packages/p3.rpm"] == 1

    first.end()
    second.lose("Packages/p3.rpm")
    again = second.get(path)
    assert (again.status, again.headers["retry-after"]) == (503, "1")
    pair.until("it says what it lost", lambda: "FilesLost" in {one.code for one in pair.hub.heard[second.id].reasons})
    assert not lost.exists()
    assert pair.upstream.asked["Packages/p3.rpm"] == 1, "without the lease it is not asked"
    pair.lead(second, 2)
    pair.until("the upstream gave what no peer has", lost.exists)
    assert pair.upstream.asked["Packages/p3.rpm"] == 2
