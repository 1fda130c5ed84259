"""R2: a station that alone lost the hub speaks with it through a peer, in time, and comes back to its own way."""

from pathlib import Path

import msgspec
import pytest

from stationmaster.model import protocol
from stationmaster.station import specs, ways
from stationmaster.testing import stations as make


def peer(name: str, *addresses: str) -> protocol.Peer:
    return protocol.Peer(station_id=f"id-{name}", display_name=name, addresses=list(addresses), ports=make.PORTS)


HUB = "https://hub"
OWN, B, C = ways.Way(), ways.Way("http://10.0.0.3:16080", "b"), ways.Way("http://[2001:db8::4]:16080", "c")
DESIRED = make.desired(peers=[peer("b", "10.0.0.3", "10.9.9.9"), peer("new"), peer("c", "2001:db8::4")])
ALL = (OWN, B, C)


@pytest.mark.parametrize(
    ("url", "forward_proxy", "desired", "expected"),
    [
        (HUB, None, DESIRED, ALL),
        (HUB, "proxy:3128", DESIRED, (ways.Way("http://proxy:3128"), *ALL)),
        (HUB, "http://proxy", None, (ways.Way("http://proxy"), OWN)),
        ("http://127.0.0.1:1", None, DESIRED, (OWN,)),
        (HUB, None, msgspec.structs.replace(DESIRED, peers=[]), (OWN,)),
    ],
    ids=["peers last", "the forward proxy first", "nothing known yet", "no tunnel for plain HTTP", "alone"],
)
def test_ways(
    url: str, forward_proxy: str | None, desired: protocol.StationDesired | None, expected: tuple[ways.Way, ...]
) -> None:
    assert ways.ways_of(url, forward_proxy, desired) == expected


AT_FIRST = ways.Choice()


def tried(working: set[ways.Way], seconds: float, choice: ways.Choice = AT_FIRST) -> tuple[list[ways.Way], float]:
    """The ways taken, each try as long as it may be where there is no answer; and the longest time unconfirmed."""
    at, sent_at, longest, taken = 0.0, 0.0, 0.0, []
    while at < seconds:
        way = choice.present(ALL, at)
        taken.append(way)
        if way in working:
            longest, sent_at = max(longest, at - sent_at), at
            choice = choice.answered(way, at)
            at += DESIRED.heartbeat_seconds
        else:
            at += ways.TIMEOUT_SECONDS
            choice = choice.failed(way, ALL, at)
            at += 0.25
    return taken, longest


def test_while_the_own_way_works_no_peer_is_asked() -> None:
    assert set(tried({OWN, B, C}, 100)[0]) == {OWN}


def test_a_peer_that_has_the_hub_keeps_the_station_confirmed_throughout() -> None:
    before = ways.Choice().answered(OWN, 0.0)
    taken, longest = tried({B}, 300, before)
    assert longest < DESIRED.confirmed_seconds
    assert set(taken) == {OWN, B}, "what answered last comes next, and no other"
    assert 8 <= taken.count(OWN) <= 12, "its own way is tried again now and then"


def test_every_peer_has_its_turn_until_one_answers() -> None:
    taken, _ = tried({C}, 60)
    assert taken[:4] == [OWN, B, C, C]
    assert tried(set(), 30)[0][:7] == [OWN, B, C, OWN, B, C, OWN]


def test_the_own_way_is_taken_again_soon_after_it_works() -> None:
    cut = ways.Choice().answered(OWN, 0.0).failed(OWN, ALL, 3.0).answered(B, 3.0)
    at = 3.0
    while (way := cut.present(ALL, at)) == B:
        cut, at = cut.answered(B, at), at + 2
    assert way == OWN
    assert at <= 3.0 + ways.FIRST_RETURN_SECONDS + 2
    assert cut.answered(OWN, at).present(ALL, 1e9) == OWN


def test_a_peer_that_left_is_not_asked_any_more() -> None:
    assert ways.Choice().answered(B, 0.0).present((OWN, C), 1.0) == OWN
    assert ways.Choice().answered(B, 0.0).failed(OWN, (OWN, C), 1.0).present((OWN, C), 1.0) == C


def test_another_address_of_the_hub_comes_before_any_peer() -> None:
    once = ways.Choice().answered(OWN, 0.0).failed(OWN, ALL, 3.0, is_other_left=True)
    assert once.present(ALL, 3.25) == OWN
    assert once.failed(OWN, ALL, 6.25).present(ALL, 6.5) == B
    proved = ways.Choice(OWN, proved=C).failed(OWN, ALL, 3.0, is_other_left=True)
    assert proved.failed(OWN, ALL, 6.25).present(ALL, 6.5) == C
    assert ways.Choice(B).failed(B, ALL, 3.0, is_other_left=True).present(ALL, 3.25) == C


@pytest.mark.parametrize(
    ("answering", "told"),
    [("", ("10.1.0.1", "10.1.0.2")), ("10.1.0.2", ("10.1.0.2",)), ("10.9.9.9", ("10.1.0.1", "10.1.0.2"))],
    ids=["none yet", "of two the one that answers", "one that the name no longer has"],
)
def test_squid_is_told_the_hubs_address_that_answers(answering: str, told: tuple[str, ...]) -> None:
    """Of a name in its hosts file squid 5 knows the last address alone, and it notices no frozen replica."""
    host = specs.SiteHost(Path("/state"), ("0.0.0.0",), None, None)
    named = msgspec.structs.replace(DESIRED, hub=msgspec.structs.replace(DESIRED.hub, addresses=[]))
    found = specs.squid_spec(named, host, {"hub": ("10.1.0.1", "10.1.0.2")}, answering)
    assert found.hub.addresses == told
