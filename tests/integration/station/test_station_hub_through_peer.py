"""R2, ADR 17: a station that alone lost its way to the hub goes on as an equal while a peer's proxy reaches the hub.

The name of the hub leads the station's daemon to an address where nobody listens, and the peer's squid, by the
addresses that the hub told, to where the hub is.
"""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from stationmaster.host import engine_process
from stationmaster.model import protocol
from stationmaster.station.sites import program, spec
from stationmaster.testing import fake_hub, sites

if TYPE_CHECKING:
    from conftest import Station

NAME, WHERE, NOBODY = "localhost", "127.0.0.5", "127.0.0.6"


@pytest.fixture
def hub() -> Iterator[fake_hub.FakeHub]:
    made = fake_hub.FakeHub()
    made.host, made.tls_names = WHERE, (WHERE, NAME)
    with made.running() as running:
        yield running


class Peer:
    """The proxy of another station of the group."""

    def __init__(self, place: sites.Place, port: int) -> None:
        self.place, self.port = place, port
        self.site = program.SquidSite(self.wanted(), engine_process.real_doors())

    def wanted(self, *, address: str = WHERE, permitted: str = "127.0.0.1/32") -> spec.SquidSpec:
        target = spec.HubTarget((NAME,), self.port, (address,))
        return self.place.squid_spec(hub=target, permitted=(ipaddress.ip_network(permitted),))

    def keep(self, wanted: spec.SquidSpec) -> None:
        assert self.site.keep(wanted).problem is None

    def described(self) -> protocol.Peer:
        direct = protocol.Ports(
            proxy=self.place.direct.proxy, http=self.place.direct.http, https=self.place.direct.https
        )
        return protocol.Peer(station_id="peer", display_name="StationB", addresses=["127.0.0.1"], ports=direct)


@pytest.fixture
def peer(hub: fake_hub.FakeHub) -> Iterator[Peer]:
    with sites.station_place() as place:
        made = Peer(place, hub.port)
        made.keep(made.wanted())
        yield made


def cut_off(station: Station) -> None:
    """Its daemon begins anew, and finds nobody by the hub's name."""
    station.kill()
    path = station.state / "station.json"
    config = json.loads(path.read_text())
    config["hubUrl"] = f"https://{NAME}:{station.hub.port}"
    path.write_text(json.dumps(config))
    station.hub.beats.clear()
    station.start()


def test_a_station_cut_from_the_hub_is_confirmed_through_a_peer_and_by_nothing_else(
    station: Station, peer: Peer, hub: fake_hub.FakeHub
) -> None:
    address = protocol.HubAddress(url=hub.url, host=NAME, port=hub.port, addresses=[WHERE])
    station.change(hub=address, peers=[peer.described()], confirmed_seconds=4.0)
    assert station.register().returncode == 0
    station.start()
    station.until_synced()
    assert hub.last is not None
    assert "HubThroughPeer" not in [one.code for one in hub.last.problems]

    cut_off(station)
    station.until_ready()
    station.until("the hub hears it, and how", lambda: through_peer(hub))
    beats = len(hub.beats)
    station.until("and goes on to", lambda: len(hub.beats) > beats + 3)
    assert station.is_ready()
    # Its own squid reaches the hub no more, so others are preferred for that.
    asked = ("?port=proxy", "?unready=404&port=proxy", "?tier=serving&unready=404&port=proxy", "?unready=404")
    assert [station.get(f"/healthz{query}").status for query in asked] == [503, 404, 200, 200]

    sever(station, peer, peer.wanted(address=NOBODY))
    assert station.get("/healthz?tier=serving").status == 200

    peer.keep(peer.wanted())
    station.until_ready()
    # The peer's operator permits the station like any other client, or not at all (I10).
    sever(station, peer, peer.wanted(permitted="127.0.0.2/32"))


def sever(station: Station, peer: Peer, wanted: spec.SquidSpec) -> None:
    """From the peer's proxy to the hub nothing goes any more; squid leaves alone what is open, so the hub closes it."""
    station.hub.is_away = True
    peer.keep(wanted)
    station.until("nobody confirms it", lambda: station.health() == (503, ["Unconfirmed"]))
    station.hub.is_away = False
    beats = len(station.hub.beats)
    time.sleep(2.0)
    assert len(station.hub.beats) == beats
    assert station.health() == (503, ["Unconfirmed"])


def through_peer(hub: fake_hub.FakeHub) -> bool:
    return hub.last is not None and "HubThroughPeer" in [one.code for one in hub.last.problems]
