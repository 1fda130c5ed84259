"""A real nginx through every turn of its life: check, reload, going back, a taken port, a predecessor's, a crash."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stationmaster.host import engine as engines
from stationmaster.host import engine_process, keeper
from stationmaster.host import programs as host_programs
from stationmaster.station.sites import program
from stationmaster.testing import groups, loopback, sites

CLIENT = "127.0.0.2"
LIST = f"/m/{sites.SOURCE}"


@pytest.fixture
def site(place: sites.Place, doors: engine_process.Doors) -> program.NginxSite:
    made = program.NginxSite(place.nginx_spec(), doors)
    assert made.keep(place.nginx_spec()).problem is None
    return made


def is_serving(place: sites.Place) -> bool:
    with contextlib.suppress(OSError):
        return loopback.fetch(place.direct.http, LIST, source=CLIENT).status == 200
    return False


@contextlib.contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("0.0.0.0", port))
        holder.listen()
        yield


def test_no_difference_touches_nothing(place: sites.Place, site: program.NginxSite) -> None:
    pids = family(site)
    assert site.keep(place.nginx_spec()) == keeper.Kept(is_running=True, is_changed=False)
    assert family(site) == pids


def test_refused_text_leaves_the_former_in_force(place: sites.Place, site: program.NginxSite) -> None:
    pids = family(site)
    text = (place.state / "nginx" / "nginx.conf").read_text()
    bad = engines.Wanted(text.replace("sendfile on;", "sendfile perhaps;"), (place.direct.http,))
    kept = site.keeper.keep(bad)
    assert kept.is_running
    assert kept.problem is not None
    assert kept.problem.code == "ConfigurationRefused"
    assert '"sendfile" directive' in kept.problem.message
    assert (place.state / "nginx" / "nginx.conf").read_text() == text
    assert family(site) == pids
    assert is_serving(place)


def test_text_that_passes_its_check_and_fails_its_reload_is_taken_back(
    place: sites.Place, site: program.NginxSite, doors: engine_process.Doors
) -> None:
    """A port that never opens is no matter of syntax."""
    impatient = dataclasses.replace(site.keeper.engine, seconds_to_answer=1.0)
    text = (place.state / "nginx" / "nginx.conf").read_text()
    bad = engines.Wanted(text.replace("gzip off;", "gzip off; # other"), (place.direct.http, 1))
    kept = keeper.Keeper(impatient, doors).keep(bad)
    assert kept.is_running
    assert kept.problem is not None
    assert "port 1 " in kept.problem.message
    assert (place.state / "nginx" / "nginx.conf").read_text() == text
    assert is_serving(place)
    assert not site.keep(place.nginx_spec()).problem


def test_taken_port_is_named_with_its_holder(place: sites.Place, doors: engine_process.Doors) -> None:
    site = program.NginxSite(place.nginx_spec(), doors)
    with listening(place.balancer.http):
        kept = site.keep(place.nginx_spec())
        assert not kept.is_running
        assert kept.problem is not None
        assert kept.problem.code == "PortTaken"
        assert f"port {place.balancer.http} by " in kept.problem.message
        assert f"(pid {os.getpid()})" in kept.problem.message
    assert site.keep(place.nginx_spec()).problem is None
    assert is_serving(place)


def test_moving_to_a_taken_port_keeps_the_former_one(place: sites.Place, site: program.NginxSite) -> None:
    other = loopback.free_ports(1)[0]
    wanted = place.nginx_spec(balancer=dataclasses.replace(place.balancer, http=other))
    with listening(other):
        kept = site.keep(wanted)
        assert kept.problem is not None
        assert kept.problem.code == "PortTaken"
        assert kept.is_running
        assert is_serving(place)
    assert site.keep(wanted).is_changed
    assert loopback.fetch(other, LIST, source="127.0.0.9", proxy_header=loopback.proxy_line(CLIENT)).status == 200


def test_missing_program_is_named(place: sites.Place, doors: engine_process.Doors) -> None:
    class Nothing(host_programs.Programs):
        def find(self, _name: str) -> Path | None:
            return None

    kept = program.NginxSite(place.nginx_spec(), dataclasses.replace(doors, programs=Nothing())).keep(
        place.nginx_spec()
    )
    assert kept.problem is not None
    assert kept.problem.code == "ProgramMissing"
    assert "nginx" in kept.problem.message


def test_successor_takes_over_what_runs(
    place: sites.Place, site: program.NginxSite, doors: engine_process.Doors
) -> None:
    pids = family(site)
    successor = program.NginxSite(place.nginx_spec(), doors)
    assert not successor.keep(place.nginx_spec()).is_changed
    assert family(successor) == pids
    assert successor.keep(place.nginx_spec(balancer_addresses=("127.0.0.8",))).is_changed
    assert successor.keeper.pid() == site.keeper.pid()


@pytest.mark.usefixtures("site")
def test_predecessor_that_died_between_rename_and_reload(place: sites.Place, doors: engine_process.Doors) -> None:
    wanted = place.nginx_spec(permitted=())
    text = program.wanted_nginx(wanted).text
    (place.state / "nginx" / "nginx.conf").write_text(text)
    assert is_serving(place)
    assert program.NginxSite(wanted, doors).keep(wanted).is_changed
    assert not is_serving(place)


def test_pid_file_that_names_somebody_else_is_not_believed(place: sites.Place, doors: engine_process.Doors) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (place.state / "nginx").mkdir()
        (place.state / "nginx" / "nginx.pid").write_text(f"{bystander.pid}\n")
        site = program.NginxSite(place.nginx_spec(), doors)
        assert site.keeper.pid() is None
        assert site.keep(place.nginx_spec()).problem is None
        assert is_serving(place)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_killed_master_is_replaced_and_its_orphans_ended(place: sites.Place, site: program.NginxSite) -> None:
    time.sleep(1.1)
    pids = family(site)
    master = site.keeper.pid()
    assert master is not None
    os.kill(master, signal.SIGKILL)
    assert is_serving(place)  # its worker lives on, and holds the ports
    kept = site.keep(place.nginx_spec())
    assert kept.problem is None
    assert not pids & family(site)
    assert is_serving(place)


def test_one_that_dies_at_once_is_left_alone_for_longer_and_longer(place: sites.Place, site: program.NginxSite) -> None:
    site.keeper.restart_wedged()
    kept = site.keep(place.nginx_spec())
    assert kept.problem is not None
    assert kept.problem.code == "EngineCrashing"
    time.sleep(1.1)
    assert site.keep(place.nginx_spec()).is_running


def test_two_stations_on_one_machine_have_equal_ports_on_their_own_addresses(doors: engine_process.Doors) -> None:
    with sites.station_place("127.0.3.1") as one, contextlib.ExitStack() as stack:
        found = [*vars(one.direct).values(), *vars(one.balancer).values()]
        other = stack.enter_context(sites.station_place("127.0.3.2", found))
        for place in (one, other):
            assert program.NginxSite(place.nginx_spec(), doors).keep(place.nginx_spec()).problem is None
            assert program.SquidSite(place.squid_spec(), doors).keep(place.squid_spec()).problem is None
        for place in (one, other):
            answer = loopback.fetch((place.address, place.direct.http), LIST, source=CLIENT)
            assert answer.status == 200


def test_a_directory_that_nginx_may_not_enter_is_named(place: sites.Place, doors: engine_process.Doors) -> None:
    place.mirror.chmod(0o700)
    site = program.NginxSite(place.nginx_spec(), doors)
    kept = site.keep(place.nginx_spec())
    assert kept.is_running
    assert kept.problem is not None
    assert f"www-data, who may not enter {place.mirror}," in kept.problem.message
    place.mirror.chmod(0o755)
    assert site.keep(place.nginx_spec()).problem is None


def test_both_families_of_addresses(place: sites.Place, doors: engine_process.Doors) -> None:
    both = ("0.0.0.0", "::")
    nginx, squid = place.nginx_spec(listen=both), place.squid_spec(listen=both)
    assert program.NginxSite(nginx, doors).keep(nginx).problem is None
    assert program.SquidSite(squid, doors).keep(squid).problem is None
    assert loopback.fetch(place.direct.http, LIST, source=CLIENT).status == 200
    for port in (place.direct.http, place.direct.proxy):
        with socket.create_connection(("::1", port), 5) as connection:
            connection.sendall(b"GET http://x/ HTTP/1.0\r\n\r\n")
            assert b" 403 " in connection.recv(200)


def test_reload_refuses_nobody(place: sites.Place, site: program.NginxSite) -> None:
    def get() -> None:
        assert loopback.fetch(place.direct.http, LIST, source=CLIENT).status == 200

    with groups.load(get) as tally:
        for number in range(5):
            assert site.keep(place.nginx_spec(balancer_addresses=(f"127.0.0.{number + 20}",))).is_changed
    assert tally.done > 20
    assert tally.failures == []


def test_logs_that_grew_are_put_aside(place: sites.Place, site: program.NginxSite) -> None:
    log = place.state / "log" / "nginx-access.log"
    site.keeper.reopen_logs(("nginx-access.log",), limit_bytes=1 << 20)
    assert not log.with_name("nginx-access.log.1").exists()
    assert is_serving(place)
    assert wait_for_text(log, LIST)
    site.keeper.reopen_logs(("nginx-access.log",), limit_bytes=10)
    assert LIST in log.with_name("nginx-access.log.1").read_text()
    end = time.monotonic() + 5
    while not (log.exists() and LIST in log.read_text()) and time.monotonic() < end:
        is_serving(place)
        time.sleep(0.05)
    line = log.read_text().splitlines()[0]
    assert line.startswith(f"{CLIENT} via {CLIENT} [")


def wait_for_text(path: Path, text: str) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if path.exists() and text in path.read_text():
            return True
        time.sleep(0.02)
    return False


def family(site: program.NginxSite) -> frozenset[int]:
    pid = site.keeper.pid()
    assert pid is not None
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return frozenset({pid, *map(int, children)})
