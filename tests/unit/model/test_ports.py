from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import errors, ports

NUMBERS = st.integers(1, 65535)
TRIPLES = st.lists(NUMBERS, min_size=3, max_size=3, unique=True).map(lambda three: ports.PortTriple(*three))
EDGES = st.sampled_from([1, 2, 3, 65533, 65534, 65535])
TIGHT = st.lists(EDGES, min_size=3, max_size=3, unique=True).map(lambda three: ports.PortTriple(*three))


@given(NUMBERS)
def test_ports_are_read_from_strings(number: Any) -> None:
    assert ports.parse_port(str(number), field="f") == number


@pytest.mark.parametrize(
    "text", ["", "0", "65536", "-1", "+1", "1.0", "1e3", " 80", "80 ", "http", "٨٠", "0x50", "9" * 50]
)
def test_what_is_no_port_is_refused_naming_the_field(text: Any) -> None:
    with pytest.raises(errors.CallerError, match=r"proxy\.port"):
        ports.parse_port(text, field="proxy.port")


@given(st.text())
def test_parsing_gives_a_port_or_a_callers_error(text: Any) -> None:
    with contextlib.suppress(errors.CallerError):
        assert 1 <= ports.parse_port(text, field="f") <= 65535


def owner(name: Any, triple: Any) -> Any:
    return ports.PortOwner(f"id-{name}", name, triple)


@given(TRIPLES, st.lists(TRIPLES, max_size=4))
def test_i2_holds_after_every_change_that_is_let_through(wanted: Any, others: Any) -> None:
    peers = [owner(f"p{n}", triple) for n, triple in enumerate(others)]
    clash = ports.find_port_clash(wanted, peers)
    if clash is None:
        ports.require_equal_ports(wanted, peers)
        assert all(peer.ports == wanted for peer in peers)
        return
    peer, field, theirs, mine = clash
    assert theirs != mine
    with pytest.raises(errors.ConflictError) as refusal:
        ports.require_equal_ports(wanted, peers)
    for part in (peer.display_name, peer.station_id, field, str(theirs), str(mine)):
        assert part in refusal.value.message


@given(TRIPLES, TRIPLES, st.randoms())
def test_i2_names_the_same_peer_whatever_the_order(wanted: Any, other: Any, random: Any) -> None:
    peers = [owner(name, other) for name in "abc"]
    before = ports.find_port_clash(wanted, peers)
    random.shuffle(peers)
    assert ports.find_port_clash(wanted, peers) == before


@given(st.one_of(TRIPLES, TIGHT))
def test_default_balancer_ports_are_six_different_ports_with_the_direct_ones(direct: Any) -> None:
    balancer = ports.default_balancer_ports(direct)
    numbers = [number for triple in (direct, balancer) for _, number in triple.named()]
    assert len(set(numbers)) == 6
    assert all(1 <= number <= 65535 for number in numbers)
    ports.require_distinct(direct, balancer)


def test_default_balancer_ports_are_each_port_and_one() -> None:
    direct = ports.PortTriple(16080, 17080, 17443)
    assert ports.default_balancer_ports(direct) == ports.PortTriple(16081, 17081, 17444) == direct.next_to()
    assert ports.default_balancer_ports(ports.PortTriple(80, 81, 65535)) == ports.PortTriple(82, 83, 65534)


@pytest.mark.parametrize(
    ("direct", "balancer", "named"),
    [
        ((1, 1, 3), (4, 5, 6), ("proxy.port", "mirror.port")),
        ((1, 2, 3), (4, 4, 6), ("balancer port of proxy.port", "balancer port of mirror.port")),
        ((1, 2, 3), (3, 5, 6), ("mirror.sslport", "balancer port of proxy.port")),
        ((1, 2, 3), (4, 5, 65536), ("65536",)),
    ],
)
def test_ports_that_collide_are_named(direct: Any, balancer: Any, named: Any) -> None:
    with pytest.raises(errors.CallerError) as caught:
        ports.require_distinct(ports.PortTriple(*direct), ports.PortTriple(*balancer))
    assert all(part in caught.value.message for part in named)
