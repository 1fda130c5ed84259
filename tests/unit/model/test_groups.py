from __future__ import annotations

import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import addresses, groups, ports

COMPARTMENTS = st.sampled_from(["c1", "c2"])
HOSTS = st.sampled_from(["lb.example.com", "LB.Example.com.", "other", "10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1"])
STATIONS = st.lists(st.tuples(HOSTS, COMPARTMENTS), min_size=1, max_size=6).map(
    lambda pairs: [groups.Membership(f"s{n}", host, compartment) for n, (host, compartment) in enumerate(pairs)]
)
SOURCES = st.sampled_from(["a", "b", "c", "d"])


@st.composite
def fleets(draw: Any) -> Any:
    stations = draw(STATIONS)
    ids = [station.station_id for station in stations] + ["elsewhere"]
    pairs = draw(st.lists(st.tuples(st.sampled_from(ids), SOURCES), max_size=10))
    return stations, [groups.Need(station, source, "profile") for station, source in pairs]


@given(STATIONS)
def test_i1_peers_are_exactly_those_with_equal_host_and_compartment(stations: Any) -> None:
    for one in stations:
        for other in stations:
            equal = addresses.canonical_host(one.hostname) == addresses.canonical_host(other.hostname)
            expected = one is not other and equal and one.compartment_id == other.compartment_id
            assert (other.station_id in groups.peers_of(one, stations)) is expected


@given(STATIONS)
def test_i1_is_symmetric_and_groups_are_disjoint(stations: Any) -> None:
    group = {one.station_id: groups.peers_of(one, stations) | {one.station_id} for one in stations}
    for members in group.values():
        assert all(group[member] == members for member in members)


@given(STATIONS)
def test_group_ids_are_equal_for_peers_only(stations: Any) -> None:
    for one in stations:
        for other in stations:
            is_peer = other.station_id in groups.peers_of(one, stations) or one is other
            same = groups.group_id(one.hostname, one.compartment_id) == groups.group_id(
                other.hostname, other.compartment_id
            )
            assert same is is_peer


@given(fleets())
def test_i3_peers_have_one_list_the_union_of_all_their_needs(fleet: Any) -> None:
    stations, needs = fleet
    for one in stations:
        members = groups.peers_of(one, stations) | {one.station_id}
        wanted = {need.source_id for need in needs if need.station_id in members}
        mirrored = groups.mirror_list(one, stations, needs)
        assert mirrored == tuple(sorted(wanted))
        for other in stations:
            if other.station_id in members:
                assert groups.mirror_list(other, stations, needs) == mirrored


@given(fleets(), st.randoms())
def test_i3_does_not_depend_on_order_or_repetition(fleet: Any, random: Any) -> None:
    stations, needs = fleet
    before = groups.mirror_list(stations[0], stations, needs)
    shuffled, others = [*needs, *needs], list(stations)
    random.shuffle(shuffled)
    random.shuffle(others)
    assert groups.mirror_list(stations[0], others, shuffled) == before


@given(fleets(), SOURCES)
def test_i3_a_need_of_one_peer_reaches_all_of_them_and_nobody_else(fleet: Any, source: Any) -> None:
    stations, needs = fleet
    needs = [need for need in needs if need.source_id != source]
    first = stations[0]
    more = [*needs, groups.Need(first.station_id, source, "instance")]
    for one in stations:
        is_member = one is first or one.station_id in groups.peers_of(first, stations)
        assert (source in groups.mirror_list(one, stations, more)) is is_member


def address(host: Any = "LB.example.com.", *, tls: Any = False) -> Any:
    return groups.client_address(host, ports.PortTriple(16080, 17080, 17443), is_mirror_tls=tls)


def test_i12_all_addresses_come_from_one() -> None:
    plain, secure = address(), address(tls=True)
    assert groups.mirror_base_url(plain) == "http://lb.example.com:17080"
    assert groups.mirror_base_url(secure) == "https://lb.example.com:17443"
    assert groups.list_url(plain, "s") == "http://lb.example.com:17080/m/s"
    assert groups.pinned_url(secure, "s", "g") == "https://lb.example.com:17443/g/s/g/"
    assert groups.pinned_url(secure, "s", "g", is_tls=False) == "http://lb.example.com:17080/g/s/g/"
    assert groups.proxy_url(plain) == "http://lb.example.com:16080"


def test_i12_brackets_ipv6() -> None:
    assert groups.proxy_url(address("2001:DB8::1")) == "http://[2001:db8::1]:16080"


@given(st.text(string.ascii_letters + ".-", min_size=1, max_size=20))
def test_group_ids_are_fit_for_a_path(host: Any) -> None:
    assert groups.group_id(host, "c").isalnum()
    assert len(groups.group_id(host, "c")) == 24
