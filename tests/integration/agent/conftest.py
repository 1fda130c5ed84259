"""A mirror served by a real nginx, a hub made of a few lines, a proxy that can be closed, and roots to work on."""

import contextlib
import datetime
import http.server
import ipaddress
import os
import select
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from stationmaster.agent import daemon as agent_daemon
from stationmaster.agent import register, state
from stationmaster.agent.doors import Doors
from stationmaster.api_client import keys
from stationmaster.host import clock, files, programs
from stationmaster.lab import deb_plan, roots, rpm_plan, upstream_deb, upstream_rpm
from stationmaster.model import digest, protocol, response_file, signing
from stationmaster.model.protocol import InstanceSource, PackageManager, SourceFormat, Visible

TENANCY = "ocid1.tenancy.oc1..t"
INSTANCE = "ocid1.managementagent.oc1.lab.i"
RPM_SOURCE = "ocid1.osmhsoftwaresource.oc1.lab.rpm"
DEB_SOURCE = "ocid1.osmhsoftwaresource.oc1.lab.deb"
DOORS = Doors(files.Files(), programs.Programs(), clock.SystemClock(), lambda: 0.0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))  # free at every address: the tests use two
        return probe.getsockname()[1]


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}")


class Mirror:
    """What a station serves, without a station: pinned trees, lists, health."""

    def __init__(self, base: Path, certificate: tuple[Path, Path]) -> None:
        self.www = base / "www"
        self.certificate = certificate
        self.shown = 0
        for name in ("g", "m", "m-https"):
            (self.www / name).mkdir(parents=True)
        (self.www / "healthz").write_text("ready\n")
        self.log = base / "access.log"
        self.process = self._start(base)

    def _start(self, base: Path) -> subprocess.Popen[bytes]:
        for _ in range(5):
            self.http_port, self.https_port = free_port(), free_port()
            config = base / "nginx.conf"
            config.write_text(
                f"user root; worker_processes 1; pid {base}/nginx.pid; error_log {base}/error.log;\n"
                "events { worker_connections 256; }\n"
                f"http {{ access_log {self.log}; client_body_temp_path {base}/t1; proxy_temp_path {base}/t2;\n"
                f"fastcgi_temp_path {base}/t3; uwsgi_temp_path {base}/t4; scgi_temp_path {base}/t5;\n"
                f"ssl_certificate {self.certificate[0]}; ssl_certificate_key {self.certificate[1]};\n"
                f"root {self.www}; default_type text/plain;\n"
                f"server {{ listen 127.0.0.1:{self.http_port}; listen 127.0.0.2:{self.http_port}; }}\n"
                f"server {{ listen 127.0.0.1:{self.https_port} ssl; listen 127.0.0.2:{self.https_port} ssl;\n"
                f"location /m/ {{ alias {self.www}/m-https/; }} }} }}\n"
            )
            if subprocess.run(["nginx", "-t", "-q", "-c", str(config)], check=False).returncode != 0:
                continue  # somebody else on this machine took the port in between
            process = subprocess.Popen(["nginx", "-c", str(config), "-g", "daemon off;"])
            wait_for(self.http_port)
            return process
        raise AssertionError("nginx does not start")

    def show(self, source: str, tree: Path, *, host: str = "127.0.0.1") -> Visible:
        """Make a tree the visible generation of a source."""
        self.shown += 1
        generation = f"{self.shown:032x}"
        place = self.www / "g" / source / generation
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(tree.resolve())
        (self.www / "m" / source).write_text(f"http://{host}:{self.http_port}/g/{source}/{generation}/\n")
        (self.www / "m-https" / source).write_text(f"https://{host}:{self.https_port}/g/{source}/{generation}/\n")
        return Visible(source_id=source, number=1, generation=generation)

    def forget(self, visible: Visible) -> None:
        (self.www / "g" / visible.source_id / visible.generation).unlink()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


class FakeHub:
    """Registers one instance, checks its signatures, hands out a desired state and jobs, keeps what it is told."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.port = free_port()
        self.desired: protocol.InstanceDesired | None = None
        self.jobs: list[protocol.Job] = []
        self.checkins: list[protocol.Checkin] = []
        self.reports: dict[str, dict[int, protocol.JobReport]] = {}
        self.uses = 1
        self.public_key = ""
        self.is_inventory_wanted = False
        self.acknowledges = True
        self.left = False
        self.refused_host = ""
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                self._answer(200, b'{"status":"ok"}')

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    status, content = hub.answer(self.path, dict(self.headers.items()), body)
                except AssertionError as exc:
                    status, content = 401, {"code": "NotAuthenticated", "message": str(exc)}
                self._answer(status, msgspec.json.encode(content))

            def _answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        scheme = "http"
        if certificate:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, object]:
        if path.endswith("/registrations"):
            request = msgspec.json.decode(body, type=protocol.RegistrationRequest)
            is_repeat = request.public_key == self.public_key
            if request.registration_key != "k" * 20 or (self.uses == 0 and not is_repeat):
                return 401, {"code": "NotAuthenticated", "message": "The registration key is wrong or used up."}
            self.uses -= 0 if is_repeat else 1
            self.public_key = request.public_key
            return 200, protocol.RegistrationAnswer(
                tenancy_id=TENANCY, managed_instance_id=INSTANCE, display_name=request.facts.host_name
            )
        self.check_signature(path, headers, body)
        if path.endswith("/leave"):
            self.left = True
            return 200, None
        assert path == f"/stationmaster/v1/managedInstances/{INSTANCE}/checkin"
        checkin = msgspec.json.decode(body, type=protocol.Checkin)
        if checkin.address_in_use is not None and checkin.address_in_use.host == self.refused_host:
            return 401, {"code": "NotAuthenticated", "message": "Not over this way."}
        return 200, self.check_in(checkin)

    def check_signature(self, path: str, headers: dict[str, str], body: bytes) -> None:
        lower = {name.lower(): value for name, value in headers.items()}
        given = signing.parse_authorization(lower["authorization"])
        assert given.key_id.principal_id == INSTANCE
        signing.required_headers("POST", given.headers)
        assert lower["x-content-sha256"] == signing.body_digest(body)
        text = signing.signing_string("POST", path, lower, given.headers)
        assert keys.is_signature_valid(keys.load_public_key(self.public_key), given.signature, text)

    def check_in(self, checkin: protocol.Checkin) -> protocol.CheckinAnswer:
        self.checkins.append(checkin)
        for report in checkin.reports:
            self.reports.setdefault(report.work_request_id, {})[report.number] = report
        final = {
            name for name, found in self.reports.items()
            if any(one.state is not protocol.JobState.IN_PROGRESS for one in found.values())
        }  # fmt: skip
        name = digest.digest_of(self.desired) if self.desired else ""
        return protocol.CheckinAnswer(
            time_received=datetime.datetime.now(datetime.UTC),
            checkin_seconds=60,
            desired_digest=name,
            desired=self.desired if checkin.desired_digest != name else None,
            is_inventory_wanted=False,
            acknowledged={one: max(found) for one, found in self.reports.items()} if self.acknowledges else {},
            jobs=[job for job in self.jobs if job.work_request_id not in final],
        )

    def final(self, work_request_id: str) -> protocol.JobReport:
        found = self.reports[work_request_id]
        return found[max(found)]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class ProxyServer(socketserver.ThreadingTCPServer):
    """Listens for a ``Proxy``, whose switches its handler looks at."""

    allow_reuse_address = True
    daemon_threads = True
    proxy: "Proxy"


class ProxyHandler(socketserver.BaseRequestHandler):
    server: ProxyServer

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # an agent that was killed in the middle is a thing tests do
            self._serve()

    def _serve(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.request.recv(4096)
            if not piece:
                return
            head += piece
        method, target, *_ = head.decode().split()
        if method != "CONNECT":
            self._refuse("400 Bad Request")
        elif not self.server.proxy.is_permitted:
            self._refuse("403 Forbidden")
        else:
            self._connect(target)

    def _refuse(self, status: str) -> None:
        self.request.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    def _connect(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        try:
            upstream = socket.create_connection((host, int(port)), 2)
        except OSError:
            self._refuse("503 Service Unavailable")
            return
        self.server.proxy.connects.append(target)
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with upstream:
            pair = {self.request: upstream, upstream: self.request}
            while True:
                for ready in select.select(list(pair), [], [], 30)[0]:
                    piece = ready.recv(65536)
                    if not piece:
                        return
                    pair[ready].sendall(piece)


class Proxy:
    """CONNECT to one place; closed it answers 403 as squid does, with the hub away 503."""

    def __init__(self) -> None:
        self.port = free_port()
        self.is_permitted = True
        self.connects: list[str] = []
        self.start()

    def start(self) -> None:
        self.server = ProxyServer(("0.0.0.0", self.port), ProxyHandler)
        self.server.proxy = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]) -> Iterator[Mirror]:
    base = tmp_path_factory.mktemp("mirror")
    for path in (base, *list(base.parents)[:2]):
        path.chmod(0o755)  # apt fetches as its own user
    made = Mirror(base, certificate)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def rpms(mirror: Mirror, tmp_path_factory: pytest.TempPathFactory) -> upstream_rpm.RpmUpstream:
    small = rpm_plan.plan_packages(8, big_bytes=1 << 16)
    return upstream_rpm.prepare(mirror.www.parent / "rpm-site", tmp_path_factory.mktemp("cache"), small)


@pytest.fixture(scope="session")
def debs(mirror: Mirror, tmp_path_factory: pytest.TempPathFactory) -> upstream_deb.DebUpstream:
    small = deb_plan.plan_packages(5, big_bytes=1 << 16)
    return upstream_deb.prepare(mirror.www.parent / "deb-site", tmp_path_factory.mktemp("cache"), small)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own CA."""
    base = tmp_path_factory.mktemp("tls")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(f"127.0.0.{last}")) for last in (1, 2)]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (base / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (base / "key.pem").write_bytes(keys.private_pem(key))
    return base / "cert.pem", base / "key.pem"


@pytest.fixture
def hub(certificate: tuple[Path, Path]) -> Iterator[FakeHub]:
    made = FakeHub(certificate)
    yield made
    made.stop()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """This machine's system under a private layer, as the root of an instance."""
    base = tmp_path_factory.mktemp("overlay")
    for path in (base, *list(base.parents)[:2]):
        path.chmod(0o755)
    with roots.private_layer(base, files.Files(), programs.Programs()) as root:
        (root / "etc/apt/sources.list.d/other.list").write_text("deb http://127.0.0.1:9/nothing stable main\n")
        yield root


@pytest.fixture
def install_root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text(roots.RPM_OS_RELEASE)
    return root


class Agent:
    """An instance, and the hub's side of it."""

    def __init__(self, hub: FakeHub, proxy: Proxy, certificate: Path, base: Path) -> None:
        self.hub, self.proxy, self.state_dir = hub, proxy, base / "agent"
        self.response_file = base / "input.rsp"
        content = response_file.ResponseFile("k" * 20, "127.0.0.1", proxy.port, hub.url, certificate.read_text())
        self.response_file.write_text(response_file.render(content))

    def wish(self, root: Path, kind: PackageManager | None, timeout: float = 3) -> register.Wish:
        return register.Wish(self.response_file, self.state_dir, root, kind, timeout)

    def register(self, root: Path, kind: PackageManager | None) -> state.Identity:
        return register.register(self.wish(root, kind), DOORS)

    def run(self) -> agent_daemon.cycle.Result:
        return agent_daemon.Daemon(self.state_dir, DOORS).run_once(is_thorough=True)

    def point(
        self,
        mirror: Mirror,
        *sources: InstanceSource,
        host: str = "127.0.0.1",
        proxy_port: int | None = None,
        is_tls: bool = False,
    ) -> None:
        ports = protocol.Ports(proxy=proxy_port or self.proxy.port, http=mirror.http_port, https=mirror.https_port)
        self.hub.desired = protocol.InstanceDesired(
            managed_instance_id=INSTANCE,
            address=protocol.ClientAddress(host=host, ports=ports, is_mirror_tls=is_tls),
            ca=mirror.certificate[0].read_text(),
            sources=list(sources),
            is_tls_verified=is_tls,
        )

    def order(
        self, number: int, operation: protocol.Operation, *packages: str, visible: tuple[Visible, ...] = ()
    ) -> str:
        name = f"ocid1.osmhworkrequest.oc1.lab.{number}"
        self.hub.jobs.append(
            protocol.Job(work_request_id=name, operation=operation, packages=list(packages), visible=list(visible))
        )
        return name


@pytest.fixture
def agent(hub: FakeHub, proxy: Proxy, certificate: tuple[Path, Path], tmp_path: Path) -> Agent:
    os.environ.setdefault("HOME", "/root")
    return Agent(hub, proxy, certificate[0], tmp_path)


@pytest.fixture
def rpm_source(rpms: upstream_rpm.RpmUpstream) -> InstanceSource:
    return InstanceSource(
        source_id=RPM_SOURCE, repo_id="lab-rpm", display_name="Lab RPM", format=SourceFormat.RPM,
        gpg_keys=[rpms.key.public.read_text()],
    )  # fmt: skip


@pytest.fixture
def deb_source(debs: upstream_deb.DebUpstream) -> InstanceSource:
    return InstanceSource(
        source_id=DEB_SOURCE, repo_id="lab-deb", display_name="Lab DEB", format=SourceFormat.DEB,
        suites=["lab"], components=["main"], gpg_keys=[debs.key.public.read_text()],
    )  # fmt: skip
