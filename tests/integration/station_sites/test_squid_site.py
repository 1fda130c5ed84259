"""The proxy on a real squid: to the hub and nowhere else, for permitted clients alone (I10)."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from stationmaster.host import engine_process
from stationmaster.model import forward_proxy
from stationmaster.station.sites import program, spec
from stationmaster.testing import loopback, sites

CLIENT = "127.0.0.2"
BALANCER = "127.0.0.9"


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data)


@pytest.fixture
def hub() -> Iterator[int]:
    """Something that echoes, in place of the hub."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def wanted(place: sites.Place, port: int, **changes: object) -> spec.SquidSpec:
    target = spec.HubTarget(("hub.example", "127.0.0.1"), port, ("127.0.0.1",))
    return place.squid_spec(**{"hub": target, **changes})


@pytest.fixture
def site(place: sites.Place, hub: int, doors: engine_process.Doors) -> program.SquidSite:
    made = program.SquidSite(wanted(place, hub), doors)
    kept = made.keep(wanted(place, hub))
    assert kept.problem is None
    assert kept.is_running
    return made


@contextlib.contextmanager
def tunnel(
    port: int, target: str, *, source: str = CLIENT, proxy_header: str = ""
) -> Iterator[tuple[int, socket.socket]]:
    """A CONNECT, its status (0: closed without an answer), and the connection."""
    with socket.create_connection(("127.0.0.1", port), 12, source_address=(source, 0)) as connection:
        status = 0
        with contextlib.suppress(ConnectionError, IndexError):
            connection.sendall(f"{proxy_header}CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
            status = int(connection.recv(4096).split()[1])
        yield status, connection


def connect(port: int, target: str, *, source: str = CLIENT, proxy_header: str = "") -> int:
    with tunnel(port, target, source=source, proxy_header=proxy_header) as (status, _):
        return status


def echoes(connection: socket.socket) -> bool:
    connection.sendall(b"ping")
    return connection.recv(4) == b"ping"


def test_hub_and_nothing_else(place: sites.Place, site: program.SquidSite, hub: int) -> None:
    port = place.direct.proxy
    with tunnel(port, f"hub.example:{hub}") as (status, connection):
        assert status == 200
        assert echoes(connection)
        # Not cut by a reconfiguration.
        assert site.keep(wanted(place, hub, permitted=(ipaddress.ip_network("127.0.0.0/8"),))).is_changed
        assert echoes(connection)
    assert site.keep(wanted(place, hub)).is_changed
    allowed = [f"HUB.example.:{hub}", f"127.0.0.1:{hub}"]
    refused = [
        f"hub.example:{hub + 1}", "hub.example:443", f"127.0.0.2:{hub}", f"sub.hub.example:{hub}",
        f"xhub.example:{hub}", f"hub.example.evil:{hub}", f"[::1]:{hub}", "localhost:22", f"other.example:{hub}",
        f"user@hub.example:{hub}", f"hub.example%00:{hub}",
    ]  # fmt: skip
    assert {target: connect(port, target) for target in allowed} == dict.fromkeys(allowed, 200)
    assert not {target: connect(port, target) for target in refused}.items() & dict.fromkeys(refused, 200).items()
    for method, path in (
        ("GET", f"http://hub.example:{hub}/"),
        ("GET", "/squid-internal-mgr/menu"),
        ("GET", f"http://127.0.0.1:{port}/squid-internal-mgr/info"),
        ("GET", "cache_object://127.0.0.1/info"),
        ("PURGE", f"http://hub.example:{hub}/"),
        ("POST", f"http://hub.example:{hub}/"),
    ):
        assert loopback.fetch(port, path, source=CLIENT, method=method).status in (400, 403), (method, path)


def test_only_permitted_addresses_come_in(place: sites.Place, site: program.SquidSite, hub: int) -> None:
    target = f"hub.example:{hub}"
    assert connect(place.direct.proxy, target, source="127.0.0.3") == 403
    assert connect(place.direct.proxy, target, source="127.0.0.1") == 403
    assert site.keep(wanted(place, hub, permitted=())).problem is None
    assert connect(place.direct.proxy, target) == 403


def test_balancer_port_takes_balancers_only_and_checks_whom_they_speak_for(
    place: sites.Place, site: program.SquidSite, hub: int
) -> None:
    target = f"hub.example:{hub}"

    def ask(source: str, header: str) -> int:
        return connect(place.balancer.proxy, target, source=source, proxy_header=header)

    permitted, stranger = loopback.proxy_line(CLIENT), loopback.proxy_line("127.0.0.3")
    assert ask(BALANCER, permitted) == 200
    assert ask(BALANCER, stranger) == 403
    assert ask(BALANCER, "PROXY UNKNOWN\r\n") == 403
    assert ask(CLIENT, permitted) == 0
    assert ask("127.0.0.3", permitted) == 0
    assert ask(BALANCER, "") == 0
    assert connect(place.direct.proxy, target, source="127.0.0.3", proxy_header=permitted) in (0, 400)
    site.keep(wanted(place, hub, balancer_addresses=()))
    assert ask(BALANCER, permitted) == 0


def test_nothing_touched_without_a_difference_and_addresses_are_one(
    place: sites.Place, site: program.SquidSite, hub: int
) -> None:
    configuration = place.state / "squid" / "squid.conf"
    written = configuration.stat().st_mtime_ns
    assert not site.keep(wanted(place, hub)).is_changed
    assert configuration.stat().st_mtime_ns == written
    moved = spec.HubTarget(("hub.example", "127.0.0.1"), hub, ("127.0.0.2", "127.0.0.1"))
    assert site.keep(wanted(place, hub, hub=moved)).is_changed
    hosts = list((place.state / "squid").glob("hosts-*"))
    assert [path.read_text() for path in hosts] == ["127.0.0.1 hub.example\n127.0.0.2 hub.example\n"]


def test_dead_hub_and_dead_names_fail_before_the_agent_gives_up(
    place: sites.Place, site: program.SquidSite, hub: int
) -> None:
    target = spec.HubTarget(("nowhere.invalid",), hub, ())
    assert site.keep(wanted(place, hub, hub=target)).problem is None
    before = time.monotonic()
    assert connect(place.direct.proxy, f"nowhere.invalid:{hub}") in (500, 503, 504)
    assert time.monotonic() - before < 12


def test_forward_proxy_is_used_and_its_password_stays_secret(
    place: sites.Place, hub: int, doors: engine_process.Doors
) -> None:
    asked: list[bytes] = []

    class Upstream(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(self.request.recv(4096))
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while data := self.request.recv(4096):
                self.request.sendall(data)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        forward = forward_proxy.parse_forward_proxy(f"http://me:top%20secret@127.0.0.1:{server.server_address[1]}")
        want = wanted(place, hub, forward=forward)
        site = program.SquidSite(want, doors)
        assert site.keep(want).problem is None
        with tunnel(place.direct.proxy, f"hub.example:{hub}") as (status, connection):
            assert status == 200
            assert echoes(connection)
    finally:
        server.shutdown()
        server.server_close()
    requests = [one for one in asked if one]  # squid also probes the port without a word
    assert requests[0].startswith(f"CONNECT hub.example:{hub} ".encode())
    assert b"Proxy-Authorization: Basic bWU6dG9wIHNlY3JldA==" in requests[0]
    # Without it, nothing goes past it.
    assert connect(place.direct.proxy, f"hub.example:{hub}") in (500, 502, 503, 504)
    assert (place.state / "squid" / "squid.conf").stat().st_mode & 0o077 == 0
    logs = "".join(path.read_text(errors="replace") for path in (place.state / "squid" / "log").iterdir())
    assert "secret" not in logs


def test_squid_is_stopped_when_the_proxy_is_disabled(place: sites.Place, site: program.SquidSite, hub: int) -> None:
    assert not site.keep(wanted(place, hub, is_enabled=False)).is_running
    assert site.keeper.pid() is None


def test_killed_worker_is_replaced_by_squid_and_orphan_by_us(
    place: sites.Place, site: program.SquidSite, hub: int
) -> None:
    master = site.keeper.pid()
    assert master is not None
    time.sleep(1.1)
    os.kill(master, 9)  # its child lives on and holds the ports
    assert wait_until(lambda: site.keeper.pid() is None)
    kept = site.keep(wanted(place, hub))
    assert kept.problem is None
    assert site.keeper.pid() not in (None, master)
    assert connect(place.direct.proxy, f"hub.example:{hub}") == 200


def test_both_start_without_root(place: sites.Place, hub: int) -> None:
    subprocess.run(["chown", "-R", "nobody", place.state], check=True)
    # A child of this process that keeps both engines as nobody, and says what problems there were.
    pid = os.fork()
    if pid == 0:
        status = 9
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            doors = engine_process.real_doors()
            squid, nginx = wanted(place, hub, user=None), place.nginx_spec(user=None)
            kept = [program.SquidSite(squid, doors).keep(squid), program.NginxSite(nginx, doors).keep(nginx)]
            place.state.joinpath("problems").write_text(str([one.problem for one in kept]))
            status = sum(one.problem is not None for one in kept)
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert status == 0, place.state.joinpath("problems").read_text()
    assert connect(place.direct.proxy, f"hub.example:{hub}") == 200
    assert loopback.fetch(place.direct.http, f"/m/{sites.SOURCE}", source=CLIENT).status == 200


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
