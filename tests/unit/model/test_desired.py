import dataclasses
import itertools

import pytest

from stationmaster.model import desired, groups, ports, protocol
from stationmaster.model.digest import digest_of

HUB = desired.HubFacts(
    address=protocol.HubAddress(url="https://hub:8443", host="hub", port=8443, addresses=["10.0.0.9"]), ca_pem="PEM"
)


def station(name: str, hostname: str = "LB.example.com.", **facts: object) -> desired.StationFacts:
    base = desired.StationFacts(
        id=name,
        display_name=name.upper(),
        hostname=hostname,
        compartment_id="c",
        direct=ports.PortTriple(16080, 17080, 17443),
        balancer=ports.PortTriple(16081, 17081, 17444),
        addresses=(f"10.0.0.{ord(name[0]) - 96}",),
        mirror_directory="/mnt/mirror",
    )
    return dataclasses.replace(base, **facts)  # type: ignore[arg-type]


def source(
    name: str, kind: protocol.SourceFormat = protocol.SourceFormat.RPM, arch: str = "X86_64"
) -> desired.SourceFacts:
    return desired.SourceFacts(name, f"repo-{name}", name, kind, "http://up/", arch)


def test_a_station_is_told_its_group_and_the_name_its_clients_use() -> None:
    a, b, other = station("a"), station("b", "lb.example.com"), station("c", "elsewhere")
    group = desired.GroupFacts((b, a, other), ("10.0.0.8",), {"s1": 4})
    wanted = desired.station_desired(a, group, [source("s2"), source("s1")], HUB)
    assert wanted.client_address.host == "lb.example.com"
    assert [peer.station_id for peer in wanted.peers] == ["b"]
    assert [(one.source_id, one.sync_number) for one in wanted.sources] == [("s1", 4), ("s2", 0)]
    assert wanted.balancer_addresses == ["10.0.0.8"]


def test_order_of_facts_does_not_show() -> None:
    members, sources = [station("a"), station("b"), station("d")], [source("s1"), source("s2")]
    digests = {
        digest_of(desired.station_desired(members[0], desired.GroupFacts(order, balancers), kinds, HUB))
        for order in itertools.permutations(members)
        for kinds in itertools.permutations(sources)
        for balancers in (("10.0.0.8", "::1"), ("::1", "10.0.0.8"))
    }
    assert len(digests) == 1


def test_an_instance_gets_the_address_of_its_stations_group() -> None:
    tls = station("a", is_mirror_tls=True)
    wanted = desired.instance_desired("m", tls, [(source("s2"), False), (source("s1"), True)], HUB)
    assert wanted.address == tls.client_address
    assert wanted.is_tls_verified
    assert wanted.address is not None
    assert groups.mirror_base_url(wanted.address) == "https://lb.example.com:17443"
    assert [(one.source_id, one.is_enabled) for one in wanted.sources] == [("s1", True), ("s2", False)]
    assert desired.instance_desired("m", None, [], HUB).address is None


@pytest.mark.parametrize(
    ("kind", "arch", "expected"),
    [
        (protocol.SourceFormat.DEB, "X86_64", ("amd64",)),
        (protocol.SourceFormat.DEB, "ARM64", ("arm64",)),
        (protocol.SourceFormat.DEB, "ALL", ()),
        (protocol.SourceFormat.RPM, "X86_64", ()),
    ],
)
def test_architectures_are_named_as_the_format_does(
    kind: protocol.SourceFormat, arch: str, expected: tuple[str, ...]
) -> None:
    assert source("s", kind, arch).architectures == expected


def test_a_balancer_sends_nothing_to_a_station_without_address_or_under_drain() -> None:
    states = [
        desired.balanced_server(one).state
        for one in (station("a"), station("a", is_draining=True), station("a", addresses=(), is_draining=True))
    ]
    assert states == [
        protocol.ServerState.IN_ROTATION,
        protocol.ServerState.DRAINING,
        protocol.ServerState.NO_ADDRESS,
    ]


def test_reasons_name_all_who_need_a_source() -> None:
    needs = [
        groups.Need("a", "s1", "profile P"),
        groups.Need("b", "s1", "instance I"),
        groups.Need("a", "s1", "profile P"),
    ]
    assert desired.mirror_reasons(needs) == {"s1": ("instance I", "profile P")}


def test_only_an_operators_word_lets_an_unsigned_root_in() -> None:
    rpm = source("s", protocol.SourceFormat.RPM, "X86_64")
    deb = source("s", protocol.SourceFormat.DEB, "X86_64")
    switched_off = ("repo_gpgcheck=0",)
    assert rpm.is_root_signed
    assert not dataclasses.replace(rpm, options=switched_off).is_root_signed
    assert dataclasses.replace(deb, options=switched_off).is_root_signed
