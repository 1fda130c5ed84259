"""`balancer run` with a real HAProxy: in step with the hub, and no worse without it."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from stationmaster.balancer import haproxy, keepalived, nginx, program, spec
from stationmaster.host import engine_process, processes, unix_socket
from stationmaster.testing import groups, loopback


def workers(group: groups.Group) -> frozenset[int]:
    pid = group.node.keeper.pid()
    assert pid is not None
    return processes.Processes().family(pid) - {pid}


def get(group: groups.Group) -> None:
    answer = group.fetch()
    assert answer.status == 200, answer


def test_it_reports_the_addresses_that_stations_see(group: groups.Group) -> None:
    assert groups.wait_until(lambda: bool(group.reported))
    assert "127.0.0.1" in group.reported[-1]


def test_a_drain_is_told_without_a_reload_and_outlives_a_restart(group: groups.Group) -> None:
    first_workers = workers(group)
    drained = group.served_by()
    other = "second" if drained == "first" else "first"
    with groups.load(lambda: get(group)) as tally:
        group.say(groups.view_of(group.stations, group.ports, {drained: "DRAINING", other: "IN_ROTATION"}))
        assert group.settles(lambda: {group.served_by() for _ in range(10)} == {other})
    assert tally.failures == []
    assert workers(group) == first_workers
    assert text_of(group).count("weight 0 check") == 3
    # The next HAProxy knows it, too, and the one after the drain has ended takes part again.
    group.node.keeper.restart_wedged()
    assert not any(processes.Processes().listening_sockets(port) for port in group.ports.values())
    assert group.settles(lambda: group.served_by() == other)
    group.say(groups.view_of(group.stations, group.ports))
    assert group.settles(lambda: group.served_by() == drained)


def column(group: groups.Group, station: str, name: str) -> set[str]:
    """What HAProxy shows of a station in its ready tiers."""
    lines = [line.split(",") for line in unix_socket.ask(group.state / "haproxy.sock", "show stat").splitlines()]
    index = lines[0].index(name)
    return {one[index] for one in lines if one[0] in haproxy.BACKENDS and one[1:2] == [station]}


def test_a_station_has_a_say_in_its_weight(group: groups.Group) -> None:
    first = group.stations.first
    assert groups.wait_until(lambda: column(group, "first", "agent_status") == {"CHECKED"})
    first.agent_says = b"10% #returning\n"
    assert groups.wait_until(lambda: column(group, "first", "weight") == {"10"})
    # Dead, silent, nonsense: the last share stays, and the checks on /healthz alone decide who is served.
    for word, is_open in ((b"down\0\xff GET / HTTP/1.1\n", True), (None, True), (None, False)):
        first.agent_says = word
        if not is_open:
            first.close_agent()
        time.sleep(1.3)
        assert all(one.startswith("UP") for one in column(group, "first", "status"))
        get(group)
    first.agent_says = b"100% #ready\n"
    first.open_agent()
    assert groups.wait_until(lambda: column(group, "first", "weight") == {"100"})


def is_drained(group: groups.Group) -> bool:
    """HAProxy names the agent in it wherever there is one, whoever gave the order."""
    return all(one.startswith("DRAIN") for one in column(group, "first", "status"))


def test_a_drain_outlives_what_the_station_says_and_a_reload(group: groups.Group) -> None:
    """The station may not have heard of it yet; and its share of nothing must not outlive the drain."""
    group.say(groups.view_of(group.stations, group.ports, {"first": "DRAINING", "second": "IN_ROTATION"}))
    assert group.settles(lambda: is_drained(group))
    time.sleep(1.3)
    assert is_drained(group)
    before = workers(group)
    group.node._settings = dataclasses.replace(group.node._settings, bind="127.0.0.4")
    assert group.settles(lambda: group.node.problem is None and not before & workers(group))
    assert is_drained(group)
    group.stations.first.agent_says = b"0% #draining\n"
    time.sleep(1.3)
    group.stations.first.close_agent()
    group.say(groups.view_of(group.stations, group.ports))
    assert group.settles(lambda: column(group, "first", "status") == {"UP"})
    assert groups.wait_until(lambda: column(group, "first", "weight") == {"100"})


def test_an_operators_maintenance_at_haproxy_is_left_alone(group: groups.Group) -> None:
    unix_socket.ask(group.state / "haproxy.sock", "set server proxy/first state maint")
    time.sleep(1.3)
    group.say(groups.view_of(group.stations, group.ports, {"first": "IN_ROTATION", "second": "DRAINING"}))
    group.say(groups.view_of(group.stations, group.ports))
    assert status(group, "proxy", "first") == "MAINT"


def test_it_ends_tls_with_a_certificate_that_the_hub_signs(group: groups.Group) -> None:
    https = groups.fetch_https(group)
    assert groups.wait_until(lambda: https() == 200)
    assert "ssl crt" not in text_of(group)
    assert group.signed == []
    group.say(groups.view_of(group.stations, group.ports, can_end_tls=True))
    assert group.settles(lambda: "ssl crt" in text_of(group) and https() == 200)
    assert len(group.signed) == 1
    for name in ("group.pem", "stations-ca.pem"):
        assert (group.state / name).stat().st_mode & 0o777 == 0o600
    # A frozen station now costs no request on this port either.
    lost = next(one for one in group.stations.both() if one.name == group.served_by())
    with groups.load(lambda: groups.require(https() == 200)) as tally:
        lost.signal(signal.SIGSTOP)
        time.sleep(1.5)
    assert tally.failures == []
    group.stations.recover()
    # A successor has it already, with the hub away, too; and goes back when a station shows its own.
    group.say(None)
    group.node = group.make_node()
    assert group.settles(lambda: https() == 200)
    assert "ssl crt" in text_of(group)
    assert len(group.signed) == 1
    group.say(groups.view_of(group.stations, group.ports))
    assert group.settles(lambda: "ssl crt" not in text_of(group) and https() == 200)


def test_stations_come_and_go_without_a_refused_connection(group: groups.Group) -> None:
    before = workers(group)
    with groups.load(lambda: get(group)) as tally:
        for names in (["first"], ["first", "second"], ["second"], ["first", "second"]):
            group.say(groups.view_of(group.stations, group.ports, dict.fromkeys(names, "IN_ROTATION")))
            time.sleep(0.3)
    assert tally.done > 100
    assert tally.failures == []
    assert not before & workers(group)
    assert (group.state / "view.json").exists()


def test_tunnels_outlive_a_reload(group: groups.Group) -> None:
    with groups.tunnel(group.ports["proxy"], group.stations.hub_port) as connection:
        groups.echo(connection)
        group.say(groups.view_of(group.stations, group.ports, {"first": "IN_ROTATION"}))
        groups.echo(connection)


def test_a_frozen_station_stays_out_over_a_reload(group: groups.Group) -> None:
    """A new worker would take every server for healthy, and hand clients to the frozen one, until checks fail."""
    lost = next(one for one in group.stations.both() if one.name == group.served_by())
    lost.signal(signal.SIGSTOP)
    assert groups.wait_until(lambda: "UP" not in status(group, "proxy", lost.name))
    elsewhere = dataclasses.replace(group.node._settings, bind="127.0.0.4")
    group.node._settings = elsewhere
    assert group.settles(lambda: group.node.problem is None and "bind 127.0.0.4:" in text_of(group))
    assert "DOWN" in status(group, "proxy", lost.name)
    assert not (group.state / "servers.state").exists()


def text_of(group: groups.Group) -> str:
    return (group.state / "haproxy.cfg").read_text()


def status(group: groups.Group, backend: str, server: str) -> str:
    for line in unix_socket.ask(group.state / "haproxy.sock", "show stat").splitlines():
        fields = line.split(",")
        if fields[:2] == [backend, server]:
            return fields[17]
    return "absent"


def test_with_the_hub_away_all_goes_on_also_over_our_own_restart(group: groups.Group) -> None:
    group.say(None)
    get(group)
    # A successor beside the HAProxy of its predecessor takes it over.
    pid, former_workers = group.node.keeper.pid(), workers(group)
    group.node = group.make_node()
    group.node.follower.poll()
    group.node.tick()
    assert (group.node.keeper.pid(), workers(group)) == (pid, former_workers)
    # One that starts after HAProxy died as well starts it from what the hub said last.
    group.node.keeper.restart_wedged()
    group.node = group.make_node()
    assert group.settles(lambda: group.fetch().status == 200)


def test_a_hub_that_lost_its_stations_takes_nothing_away(group: groups.Group) -> None:
    group.say(groups.view_of(group.stations, group.ports, {}))
    get(group)
    assert group.node.problem is not None
    assert "without any station" in str(group.node.problem)


def test_killed_and_frozen_haproxy_is_replaced(group: groups.Group) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=group.node.run, args=(stop,), daemon=True)
    thread.start()
    try:
        time.sleep(1.1)
        master = group.node.keeper.pid()
        assert master is not None
        os.kill(next(iter(workers(group))), signal.SIGKILL)
        before = time.monotonic()
        assert groups.wait_until(lambda: group.node.keeper.pid() not in (None, master))
        assert groups.wait_until(lambda: group.fetch().status == 200)
        assert time.monotonic() - before < 4
        time.sleep(1.1)
        frozen = group.node.keeper.pid()
        for one in workers(group):
            os.kill(one, signal.SIGSTOP)
        assert groups.wait_until(lambda: group.node.keeper.pid() not in (None, frozen), seconds=20)
        assert groups.wait_until(lambda: group.fetch().status == 200)
    finally:
        stop.set()
        thread.join(5)


def test_a_taken_port_is_named_and_the_former_configuration_stays(group: groups.Group) -> None:
    taken = loopback.free_ports(10)[9]
    busy = subprocess.Popen(["/usr/bin/python3", "-m", "http.server", str(taken), "--bind", "127.0.0.1"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        assert groups.wait_until(lambda: loopback.fetch(taken, "/").status == 200)
        group.say(groups.view_of(group.stations, {**group.ports, "proxy": taken}))
        assert group.settles(lambda: group.node.problem is not None)
        assert f"port {taken} by python3" in str(group.node.problem)
        get(group)
    finally:
        busy.kill()
        busy.wait()


def texts(group: groups.Group, tmp_path: Path) -> dict[str, Path]:
    made = spec.balancer_spec(groups.view_of(group.stations, group.ports), bind="127.0.0.1")
    node = keepalived.NodeSpec("10.9.9.9", "smk0", 150, "10.9.9.1", ("10.9.9.2",))
    files = {**haproxy.render_haproxy(made), **nginx.render_nginx(made), **keepalived.render_keepalived(made, node)}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return {name: tmp_path / name for name in files}


def test_rendered_files_are_taken_by_their_programs_alone(group: groups.Group, tmp_path: Path) -> None:
    found = texts(group, tmp_path)
    tmp_path.chmod(0o755)
    for command in (
        ["haproxy", "-c", "-f", found["haproxy.cfg"]],
        ["nginx", "-t", "-e", tmp_path / "error.log", "-g", f"pid {tmp_path}/pid;", "-c", found["nginx.conf"]],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "[WARNING]" not in done.stderr
    # keepalived wants the interface to be there: one that exists in a namespace of its own, for this call.
    script = (
        "ip link add smk0 type veth peer name smk1 && ip addr add 10.9.9.1/24 dev smk0 && ip link set smk0 up"
        f" && keepalived -t -f {found['keepalived.conf']}"
    )
    done = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def test_rendered_haproxy_serves_alone(group: groups.Group, tmp_path: Path) -> None:
    numbers = dict(zip(group.ports, loopback.free_ports(12)[9:], strict=True))
    made = spec.balancer_spec(groups.view_of(group.stations, numbers), bind="127.0.0.1")
    (tmp_path / "haproxy.cfg").write_text(haproxy.render_haproxy(made)["haproxy.cfg"])
    running = subprocess.Popen(["haproxy", "-f", str(tmp_path / "haproxy.cfg")], stderr=subprocess.DEVNULL)
    try:
        assert groups.wait_until(
            lambda: loopback.fetch(numbers["http"], groups.LIST, source=groups.CLIENT).status == 200
        )
    finally:
        running.kill()
        running.wait()


@pytest.mark.parametrize("text", ["", "{", '{"hostname":1}'])
def test_a_damaged_view_is_as_none(group: groups.Group, text: str) -> None:
    (group.state / "view.json").write_text(text)
    group.node = group.make_node()
    assert group.settles(lambda: group.fetch().status == 200)


def test_engine_files_stay_in_the_state_directory(group: groups.Group) -> None:
    assert program.haproxy_engine(group.state).pid_file.exists()
    assert (group.state / "haproxy.sock").is_socket()
    assert isinstance(engine_process.real_doors(), engine_process.Doors)
