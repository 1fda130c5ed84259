"""Two stations of real nginx and squid on loopback addresses, and a real HAProxy in front, for tests of a balancer."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import signal
import socket  # noqa: TID251 - a stand-in for the hub
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from stationmaster.balancer import follow, run
from stationmaster.balancer import spec as balancer
from stationmaster.host import clock, engine_process, line_server, processes
from stationmaster.model import errors, port_change, protocol
from stationmaster.station.sites import program, spec
from stationmaster.testing import group_certificates, loopback, sites

HOSTNAME = group_certificates.HOSTNAME
CLIENT = "127.0.0.2"
LIST = f"/m/{sites.SOURCE}"
_CLOCK = clock.SystemClock()


@dataclasses.dataclass
class Station:
    """One of the two: what it serves, its daemon's word, and its engines."""

    name: str
    place: sites.Place
    health: loopback.UnixHealth
    nginx: program.NginxSite
    squid: program.SquidSite
    hub_port: int
    agent_port: int
    agent_says: bytes | None = b"100% #ready\n"
    agent: line_server.LineServer | None = None
    moved: port_change.PortSet | None = None
    beside: port_change.PortSet | None = None

    @property
    def ports(self) -> port_change.PortSet:
        """What it serves, and balancers use."""
        return self.moved or port_change.PortSet(self.place.direct, self.place.balancer)

    def keep(self) -> bool:
        """Bring both engines to what they should be now; whether they are."""
        kept = [self.nginx.keep(self.nginx_spec()), self.squid.keep(self.squid_spec())]
        return all(one.problem is None for one in kept)

    def open_agent(self) -> None:
        """The daemon's agent check, for HAProxy."""
        self.close_agent()
        self.agent = line_server.LineServer((self.place.address,), self.agent_port, lambda _: self.agent_says)

    def close_agent(self) -> None:
        """It dies."""
        if self.agent is not None:
            self.agent.close()
        self.agent = None

    def nginx_spec(self) -> spec.NginxSpec:
        """Believes the balancer on 127.0.0.1."""
        certificate = spec.read_certificate(self.place.state / "tls.pem", self.place.state / "tls-key.pem")
        return self.place.nginx_spec(balancer_addresses=("127.0.0.1",), certificate=certificate, **self._ports())

    def squid_spec(self) -> spec.SquidSpec:
        """Reaches the stand-in for the hub."""
        hub = spec.HubTarget(("hub.example",), self.hub_port, ("127.0.0.1",))
        return self.place.squid_spec(balancer_addresses=("127.0.0.1",), hub=hub, **self._ports())

    def _ports(self) -> dict[str, object]:
        return {"direct": self.ports.direct, "balancer": self.ports.balancer, "beside": self.beside}

    def pids(self) -> list[int]:
        """Every process of both engines."""
        masters = [one for one in (self.nginx.keeper.pid(), self.squid.keeper.pid()) if one is not None]
        return [pid for master in masters for pid in sorted(processes.Processes().family(master))]

    def signal(self, number: signal.Signals) -> None:
        """What happens to a machine happens to all of its processes."""
        for pid in self.pids():
            os.kill(pid, number)
        if number is signal.SIGSTOP:
            self.health.freeze()

    def recover(self) -> None:
        """Thawed, started, ready."""
        self.signal(signal.SIGCONT)
        self.health.thaw()
        self.health.status = 200
        self.agent_says = b"100% #ready\n"
        self.open_agent()
        end = _CLOCK.monotonic() + 20
        while _CLOCK.monotonic() < end:
            if self.keep():
                return
            _CLOCK.sleep(0.1)
        raise AssertionError(f"The engines of {self.name} do not come back.")


@dataclasses.dataclass
class Stations:
    """Both, with equal ports."""

    first: Station
    second: Station
    hub_port: int
    certificate: Path
    authority: Path

    def both(self) -> tuple[Station, Station]:
        """In the order of their names."""
        return self.first, self.second

    def recover(self) -> None:
        """As new."""
        for one in self.both():
            one.recover()


@dataclasses.dataclass
class Group:
    """A balancer in front of the two; ``view`` is what the hub says, None when it is away."""

    stations: Stations
    node: run.BalancerRun
    state: Path
    ports: dict[str, int]
    view: protocol.BalancerView | None
    reported: list[tuple[str, ...]]
    served: list[tuple[protocol.Ports, ...]]
    make_node: Callable[[], run.BalancerRun]
    signed: list[str]

    def say(self, view: protocol.BalancerView | None) -> None:
        """The hub says this from now on, and the balancer has heard it."""
        self.view = view
        self.node.follower.poll()
        self.node.tick()

    def settles(self, condition: Callable[[], bool], seconds: float = 8.0) -> bool:
        """Whether it comes true in time while the balancer looks again and again, as it does when it runs."""

        def look() -> bool:
            self.node.tick()
            return condition()

        return wait_until(look, seconds)

    def fetch(self, path: str = LIST, *, source: str = CLIENT) -> loopback.Answer:
        """Over the mirror's HTTP port."""
        return loopback.fetch(self.ports["http"], path, source=source)

    def fetch_tls(self, path: str = LIST) -> tuple[int, bytes]:
        """Over the mirror's HTTPS port, trusting the group's certificate."""
        context = ssl.create_default_context(cafile=str(self.stations.authority))
        context.check_hostname = False
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.ports["https"], timeout=8, source_address=(CLIENT, 0), context=context
        )
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def served_by(self) -> str:
        """Which station answers now."""
        return self.fetch("/instance-setup.sh").body.decode()


def view_of(
    stations: Stations,
    group_ports: dict[str, int],
    states: dict[str, str] | None = None,
    *,
    can_end_tls: bool = False,
    also: dict[str, int] | None = None,
) -> protocol.BalancerView:
    """The hub's answer; stations left out of ``states`` are not in it."""
    chosen = states if states is not None else {"first": "IN_ROTATION", "second": "IN_ROTATION"}
    servers = [
        {
            "stationId": f"ocid1.station.{one.name}",
            "displayName": one.name,
            "address": one.place.address,
            "ports": vars(one.ports.balancer),
            "directPorts": vars(one.ports.direct),
            "state": chosen[one.name],
            "agentPort": one.agent_port,
        }
        for one in stations.both()
        if one.name in chosen
    ]
    return balancer.parse_view(
        {
            "hostname": HOSTNAME,
            "groupId": "g",
            "ports": group_ports,
            "servers": servers,
            "canEndTls": can_end_tls,
            "alsoPorts": also,
        }
    )


@contextlib.contextmanager
def echoing_hub() -> Iterator[int]:
    """A port that sends back what it gets."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while data := self.request.recv(4096):
                    self.request.sendall(data)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def two_stations() -> Iterator[Stations]:
    """Both started; their engines end with the context."""
    with contextlib.ExitStack() as stack:
        hub_port = stack.enter_context(echoing_hub())
        found = loopback.free_ports(7)
        made = [
            _station(stack, name, f"127.0.3.{number}", found, hub_port)
            for number, name in ((1, "first"), (2, "second"))
        ]
        state = made[0].place.state
        combined = state / "combined.pem"
        combined.write_bytes((state / "tls-key.pem").read_bytes() + (state / "tls.pem").read_bytes())
        yield Stations(made[0], made[1], hub_port, combined, state / "tls.pem")
        for one in made:
            one.signal(signal.SIGCONT)
            one.close_agent()


def _station(stack: contextlib.ExitStack, name: str, address: str, found: list[int], hub_port: int) -> Station:
    place = stack.enter_context(sites.station_place(address, found[:6]))
    (place.state / "www" / "instance-setup.sh").write_text(name)
    group_certificates.make_certificate(place.state / "tls.pem", place.state / "tls-key.pem")
    health = stack.enter_context(loopback.UnixHealth(place.state / "daemon.sock").running())
    doors = engine_process.real_doors()
    hub = spec.HubTarget(("hub.example",), hub_port, ("127.0.0.1",))
    squid = program.SquidSite(place.squid_spec(hub=hub), doors)
    return Station(name, place, health, program.NginxSite(place.nginx_spec(), doors), squid, hub_port, found[6])


@contextlib.contextmanager
def balanced(stations: Stations, state: Path, *, is_ending_tls: bool = False) -> Iterator[Group]:
    """A running balancer that has both stations in rotation."""
    numbers = loopback.free_ports(9)[6:]
    group_ports = dict(zip(("proxy", "http", "https"), numbers, strict=True))
    reported: list[tuple[str, ...]] = []
    served: list[tuple[protocol.Ports, ...]] = []
    signed: list[str] = []
    settings = run.Settings(
        HOSTNAME,
        state,
        bind="127.0.0.1",
        certificate=stations.certificate if is_ending_tls else None,
        ca=stations.authority if is_ending_tls else None,
        pace=follow.Pace(poll=0.2, report=0.5),
    )

    def fetch_view() -> protocol.BalancerView:
        if group.view is None:
            raise errors.PeerError("No answer from the hub.")
        return group.view

    def sign(request: str) -> str:
        signed.append(request)
        return group_certificates.sign_by(stations.certificate, request)

    def report(own: tuple[str, ...], serves: tuple[protocol.Ports, ...]) -> None:
        reported.append(own)
        served.append(serves)

    def make_node() -> run.BalancerRun:
        return run.BalancerRun(settings, engine_process.real_doors(), fetch_view, report, sign)

    view = view_of(stations, group_ports)
    group = Group(stations, make_node(), state, group_ports, view, reported, served, make_node, signed)
    try:
        group.say(view)
        wait_until(lambda: group.fetch().status == 200)
        yield group
    finally:
        group.node.keeper.restart_wedged()


def wait_until(condition: Callable[[], bool], seconds: float = 8.0) -> bool:
    """Whether it comes true in time; an operation that fails counts as not yet."""
    end = _CLOCK.monotonic() + seconds
    while _CLOCK.monotonic() < end:
        with contextlib.suppress(OSError, AssertionError):
            if condition():
                return True
        _CLOCK.sleep(0.02)
    return False


def fetch_https(group: Group) -> Callable[[], int]:
    """A request over the HTTPS port, by a client that trusts the group's authority: its status."""

    def fetch() -> int:
        try:
            return group.fetch_tls()[0]
        except (http.client.HTTPException, ssl.SSLError) as exc:
            raise AssertionError(repr(exc)) from exc

    return fetch


def require(condition: bool) -> None:  # noqa: FBT001 - an assertion as a function
    """AssertionError unless it holds."""
    if not condition:
        raise AssertionError


@dataclasses.dataclass
class Tally:
    """What a load came to: how many operations, which failed, and the longest time between two that did not."""

    done: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    longest_stall: float = 0.0


@contextlib.contextmanager
def load(operation: Callable[[], None], *, threads: int = 3) -> Iterator[Tally]:
    """Repeat ``operation`` (it raises when it fails) in threads while the context lasts."""
    tally, stop, lock = Tally(), threading.Event(), threading.Lock()

    def work() -> None:
        while not stop.is_set():
            began = _CLOCK.monotonic()
            try:
                operation()
                failure = ""
            except (OSError, AssertionError) as exc:
                failure = f"{type(exc).__name__} {exc}"
            with lock:
                tally.done += 1
                tally.longest_stall = max(tally.longest_stall, _CLOCK.monotonic() - began)
                if failure:
                    tally.failures.append(failure)
            stop.wait(0.005)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for one in workers:
        one.start()
    try:
        yield tally
    finally:
        stop.set()
        for one in workers:
            one.join(15)


@contextlib.contextmanager
def tunnel(port: int, hub_port: int, *, source: str = CLIENT, timeout: float = 8.0) -> Iterator[socket.socket]:
    """A CONNECT to the stand-in for the hub through the proxy; AssertionError unless it is granted."""
    with socket.create_connection(("127.0.0.1", port), timeout, source_address=(source, 0)) as connection:
        connection.sendall(f"CONNECT hub.example:{hub_port} HTTP/1.1\r\nHost: hub.example\r\n\r\n".encode())
        answer = connection.recv(4096)
        if b" 200 " not in answer[:16]:
            raise AssertionError(answer[:60])
        yield connection


def echo(connection: socket.socket) -> None:
    """One round trip through a tunnel; AssertionError when it does not come back."""
    connection.sendall(b"ping")
    if connection.recv(4) != b"ping":
        raise AssertionError("the tunnel is cut")
