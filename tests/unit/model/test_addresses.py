from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import addresses, errors

CLIENTS = st.ip_addresses().map(str)
NETWORKS = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=6), st.integers(0, 128))
).map(lambda pair: ipaddress.ip_network(pair, strict=False))


def nothing(_name: Any) -> Any:
    return ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lb.example.com", "LB.Example.COM."),
        ("2001:db8::1", "2001:0DB8:0:0::0001"),
        ("[::1]", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        (" lb ", "lb"),
    ],
)
def test_spellings_of_one_host_are_equal(one: Any, other: Any) -> None:
    assert addresses.canonical_host(one) == addresses.canonical_host(other)


@pytest.mark.parametrize(("one", "other"), [("lb", "lb.example.com"), ("10.0.0.1", "10.0.0.2"), ("a-b", "ab")])
def test_different_hosts_differ(one: Any, other: Any) -> None:
    assert addresses.canonical_host(one) != addresses.canonical_host(other)


@given(st.text(max_size=40))
def test_the_canonical_form_of_what_is_a_host_is_stable(text: Any) -> None:
    try:
        host = addresses.require_host(text, field="f")
    except errors.CallerError:
        return
    canonical = addresses.canonical_host(host)
    assert addresses.canonical_host(canonical) == canonical
    assert addresses.require_host(canonical, field="f") == canonical


@pytest.mark.parametrize("host", ["lb", "lb.example.com.", "a_b.example", "10.0.0.1", "2001:db8::1", "x" * 63])
def test_hosts_are_taken(host: Any) -> None:
    assert addresses.require_host(host, field="f") == host


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "http://lb",
        "lb:80",
        "a b",
        "300.1.1.1",
        "1.2.3",
        "-a",
        "a-",
        "a..b",
        "x" * 64,
        "a/b",
        "ü",
        "\u212aelvin",
        "[lb]",
    ],
)
def test_what_is_no_host_is_refused_naming_the_field(host: Any) -> None:
    with pytest.raises(errors.CallerError, match="hostname"):
        addresses.require_host(host, field="hostname")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        (" 0.0.0.0/0 ", ["0.0.0.0/0"]),
        ("10.1.2.3", ["10.1.2.3/32"]),
        ("2001:db8::/32", ["2001:db8::/32"]),
        ("name.example", ["10.0.0.1/32", "2001:db8::1/128"]),
    ],
)
def test_entries_stand_for_networks(entry: Any, expected: Any) -> None:
    found = addresses.parse_permitted_range(entry, lambda _: ("::ffff:10.0.0.1", "2001:db8::1"))
    assert [str(network) for network in found] == expected


@pytest.mark.parametrize("entry", ["", "10.0.0.1/8", "10.0.0.0/33", "nowhere", "a b", "/8", "10.0.0.0/8/8", "*"])
def test_what_is_no_range_is_refused_naming_the_entry(entry: Any) -> None:
    with pytest.raises(errors.CallerError) as caught:
        addresses.parse_permitted_ranges(["10.0.0.0/8", entry], nothing)
    assert repr(entry) in caught.value.message


@given(CLIENTS)
def test_i10_an_empty_range_means_nobody(client: Any) -> None:
    assert not addresses.is_permitted(client, addresses.parse_permitted_ranges([], nothing))


@given(CLIENTS, st.lists(NETWORKS, max_size=4))
def test_i10_exactly_the_clients_in_a_range_are_let_in(client: Any, networks: Any) -> None:
    entries = [str(network) for network in networks]
    address = ipaddress.ip_address(client)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    expected = any(network.version == address.version and address in network for network in networks)
    assert addresses.is_permitted(client, addresses.parse_permitted_ranges(entries, nothing)) is expected


def test_i10_an_ipv4_client_that_arrives_in_ipv6_form_is_itself() -> None:
    networks = addresses.parse_permitted_ranges(["10.0.0.0/8"], nothing)
    assert addresses.is_permitted("::ffff:10.1.2.3", networks)
    assert not addresses.is_permitted("::ffff:11.1.2.3", networks)


# Python takes any characters for the zone of an IPv6 address; each of these once came into a configuration or a script.
ZONES = ["fe80::1%eth0", "fe80::1%x;\n}evil '", "[fe80::1%'; touch /canary; ']", "fe80::1%\n"]


@pytest.mark.parametrize("zoned", ZONES)
def test_an_address_with_a_zone_is_none(zoned: Any) -> None:
    assert not addresses.is_address(zoned)
    with pytest.raises(errors.CallerError):
        addresses.require_host(zoned, field="hostname")
    for entry in (zoned, f"{zoned.strip('[]')}/64"):
        with pytest.raises(errors.CallerError):
            addresses.parse_permitted_range(entry, nothing)


def test_a_name_gives_no_network_with_a_zone() -> None:
    found = addresses.parse_permitted_range("lb", lambda _: ("fe80::1%eth0", "10.0.0.1"))
    assert [str(network) for network in found] == ["10.0.0.1/32"]


@pytest.mark.parametrize("url", ["https://hub", "http://127.0.0.1:8080", "http://[::1]:1", "HTTP://LocalHost.:1"])
def test_a_protected_way_to_the_hub(url: Any) -> None:
    addresses.require_protected_url(url, field="endpoint")


@pytest.mark.parametrize(
    "url", ["http://hub", "HTTP://10.0.0.1:1", "http://127.0.0.1.example.com", "http://127.0.0.1@h/"]
)
def test_plain_http_does_not_leave_the_machine(url: Any) -> None:
    with pytest.raises(errors.CallerError, match="endpoint"):
        addresses.require_protected_url(url, field="endpoint")
