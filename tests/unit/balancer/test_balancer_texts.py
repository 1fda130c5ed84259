"""The hub's view of a group, and the configuration texts made from it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from stationmaster.balancer import follow, haproxy, keepalived, local_addresses, nginx, program, spec
from stationmaster.model import errors, protocol

GOLDEN = Path(__file__).parent / "golden"
PORTS = {"proxy": 16081, "http": 17081, "https": 17444}
DIRECT = {"proxy": 16080, "http": 17080, "https": 17443}


def server(letter: str, address: str | None, state: str = "IN_ROTATION", **changes: Any) -> dict[str, Any]:
    made = {
        "stationId": f"ocid1.osmhmanagementstation.oc1..{letter}",
        "displayName": f"Station {letter.upper()}",
        "address": address,
        "ports": PORTS,
        "directPorts": DIRECT,
        "state": state,
        "agentPort": 17082,
        "fromALaterRelease": True,
    }
    return {**made, **changes}


def view(*servers: dict[str, Any]) -> protocol.BalancerView:
    group_ports = {"proxy": 16080, "http": "17080", "https": 17443}
    return spec.parse_view(
        {"hostname": "Updates.Example.com.", "groupId": "g", "ports": group_ports, "servers": list(servers)}
    )


USUAL = (server("a", "10.0.0.1"), server("b", "2001:db8::2", "DRAINING"), server("c", None, "NO_ADDRESS"))
TLS = spec.OwnTls(Path("/etc/sm/group.pem"), Path("/etc/sm/ca.pem"), "abc")
RUNTIME = spec.Runtime(Path("/var/lib/b/haproxy.sock"), Path("/var/lib/b/servers.state"))


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("haproxy.cfg", lambda: haproxy.render_haproxy(spec.balancer_spec(view(*USUAL)))["haproxy.cfg"]),
        (
            "haproxy-own-tls.cfg",
            lambda: haproxy.render_haproxy(
                spec.balancer_spec(view(*USUAL), bind="10.0.0.100", tls=TLS, runtime=RUNTIME)
            )["haproxy.cfg"],
        ),
        (
            "haproxy-direct.cfg",
            lambda: haproxy.render_haproxy(spec.balancer_spec(view(*USUAL), speaks_proxy=False))["haproxy.cfg"],
        ),
        (
            "keepalived.conf",
            lambda: keepalived.render_keepalived(
                spec.balancer_spec(view(*USUAL)),
                keepalived.NodeSpec("10.0.0.100", "eth1", 150, "10.0.0.5", ("10.0.0.6",)),
            )["keepalived.conf"],
        ),
        ("nginx.conf", lambda: nginx.render_nginx(spec.balancer_spec(view(*USUAL)))["nginx.conf"]),
    ],
)
def test_text(name: str, made: Any) -> None:
    assert made() == (GOLDEN / name).read_text()


def test_order_of_stations_changes_nothing() -> None:
    servers = [server(letter, f"10.0.0.{number}") for number, letter in enumerate("abcdef", 1)]
    expected = haproxy.render_haproxy(spec.balancer_spec(view(*servers)))
    random.Random(7).shuffle(servers)
    assert haproxy.render_haproxy(spec.balancer_spec(view(*servers))) == expected


def test_a_station_keeps_its_number_whoever_else_is_there() -> None:
    """Hashing follows numbers: clients of the others stay where they are."""
    all_of_them = spec.balancer_spec(view(*(server(letter, "10.0.0.1") for letter in "abc"))).servers
    some = spec.balancer_spec(view(*(server(letter, "10.0.0.1") for letter in "ca"))).servers
    assert {one.name: one.number for one in some}.items() <= {one.name: one.number for one in all_of_them}.items()
    assert len({one.number for one in all_of_them}) == 3


def test_equal_and_strange_display_names() -> None:
    found = spec.balancer_spec(
        view(
            server("a", "10.0.0.1", displayName="st ation/1 ä"),
            server("b", "10.0.0.2", displayName="st ation/1 ä"),
            server("c", "10.0.0.3", displayName="\n  server evil 1.2.3.4:5"),
        )
    ).servers
    assert [one.name for one in found] == ["server-evil-1.2.3.4-5", "st-ation-1", "st-ation-1-tionoc1b"]


def test_draining_changes_weights_alone() -> None:
    serving = spec.balancer_spec(view(server("a", "10.0.0.1"), server("b", "10.0.0.2")))
    draining = spec.balancer_spec(view(server("a", "10.0.0.1"), server("b", "10.0.0.2", "DRAINING")))
    assert serving != draining
    assert spec.without_drain(serving) == spec.without_drain(draining)
    assert [one.weight for one in draining.servers] == [100, 0]


def test_stations_with_different_balancer_ports_share_no_port_in_the_check() -> None:
    other = server("b", "10.0.0.2", ports={"proxy": 1, "http": 2, "https": 3})
    text = haproxy.render_haproxy(spec.balancer_spec(view(server("a", "10.0.0.1"), other)))["haproxy.cfg"]
    assert "http-check connect" not in text
    assert "10.0.0.2:1 port 2 id" in text
    assert "10.0.0.1:16081 port 17081 id" in text


def test_a_station_of_a_former_release_has_no_agent_check() -> None:
    text = haproxy.render_haproxy(spec.balancer_spec(view(server("a", "10.0.0.1", agentPort=0))))["haproxy.cfg"]
    assert "agent" not in text


def test_drains_in_a_running_haproxy() -> None:
    """Columns and bits as HAProxy 2.6 has them: 1 is maintenance by order, 4 by the file, 8 drain by order."""
    rows = {"plain": 0, "drained": 8, "kept": 1, "both": 9, "by-file": 4}
    text = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight\n"
    text += "".join(f"3 proxy 7 {name} 10.0.0.1 2 {admin} 100 100\n" for name, admin in rows.items())
    assert program.parse_drains(text) == {"proxy/plain": False, "proxy/drained": True, "proxy/by-file": False}


def test_a_group_without_stations() -> None:
    text = haproxy.render_haproxy(spec.balancer_spec(view()))["haproxy.cfg"]
    assert "    server " not in text
    with pytest.raises(errors.CallerError, match="No station"):
        nginx.render_nginx(spec.balancer_spec(view()))


def test_nginx_keeps_drained_stations_when_there_is_no_other() -> None:
    text = nginx.render_nginx(spec.balancer_spec(view(server("a", "10.0.0.1", "DRAINING"))))["nginx.conf"]
    assert " down" not in text


@pytest.mark.parametrize("answer", [None, [], {"hostname": "x"}, {"hostname": "x", "ports": {}, "servers": 3}])
def test_an_answer_that_is_no_view(answer: Any) -> None:
    with pytest.raises(errors.PeerError, match="not what a balancer expects"):
        spec.parse_view(answer)


def test_an_address_that_is_none() -> None:
    with pytest.raises(errors.PeerError, match="no IP address"):
        spec.balancer_spec(view(server("a", "10.0.0.1 inter 1")))


@pytest.mark.parametrize("bind", ["", "host.example", "10.0.0.1:80", "*:80"])
def test_bind_is_an_address(bind: str) -> None:
    with pytest.raises(errors.CallerError, match="--bind"):
        spec.balancer_spec(view(), bind=bind)


@pytest.mark.parametrize(
    ("node", "named"),
    [
        (keepalived.NodeSpec("lb.example"), "--bind"),
        (keepalived.NodeSpec("10.0.0.1", source="x"), "--source"),
        (keepalived.NodeSpec("10.0.0.1", peers=("10.0.0.2", "y")), "--peer"),
        (keepalived.NodeSpec("10.0.0.1", interface="eth0 }"), "--interface"),
        (keepalived.NodeSpec("10.0.0.1", priority=255), "--priority"),
    ],
)
def test_keepalived_values_are_refused_by_name(node: keepalived.NodeSpec, named: str) -> None:
    with pytest.raises(errors.CallerError, match=named):
        keepalived.render_keepalived(spec.balancer_spec(view()), node)


@pytest.mark.parametrize(("address", "own"), [("10.0.0.100", "127.0.0.1"), ("2001:db8::100", "[::1]")])
def test_keepalived_asks_its_own_haproxy_never_that_behind_the_shared_address(address: str, own: str) -> None:
    bound = spec.balancer_spec(view(), bind=address)
    text = keepalived.render_keepalived(bound, keepalived.NodeSpec(address))["keepalived.conf"]
    assert f" http://{own}:17080/.balancer" in text
    assert "unicast" not in text


def test_an_empty_group_takes_nothing_away() -> None:
    serving, empty = view(server("a", "10.0.0.1")), view(server("a", None, "NO_ADDRESS"))
    assert follow.is_acceptable(serving, None)
    assert follow.is_acceptable(empty, None)
    assert follow.is_acceptable(serving, empty)
    assert follow.is_acceptable(empty, empty)
    assert not follow.is_acceptable(empty, serving)


def test_own_addresses_from_the_kernels_tables() -> None:
    trie = (
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n"
        "        |-- 10.0.0.5\n           /32 host LOCAL\n        |-- 10.0.0.255\n           /32 link BROADCAST\n"
        "     +-- 127.0.0.0/8 2 0 2\n        |-- 127.0.0.1\n           /32 host LOCAL\n"
        "Local:\n        |-- 10.0.0.5\n           /32 host LOCAL\n"
    )
    assert local_addresses.parse_fib_trie(trie) == ("10.0.0.5",)
    inet6 = (
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "fe800000000000000000000000000001 02 40 20 80     eth0\n"
        "20010db8000000000000000000000005 02 40 00 80     eth0\n"
    )
    assert local_addresses.parse_if_inet6(inet6) == ("2001:db8::5",)
    servers = spec.balancer_spec(view(server("a", "10.0.0.1"), server("b", "10.0.0.2"))).servers
    towards = {"10.0.0.1": "10.0.0.5", "10.0.0.2": None}
    assert local_addresses.addresses_towards(servers, lambda address, _: towards[address]) == ("10.0.0.5",)
