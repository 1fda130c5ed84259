"""What `ha status` shows of a group: leader, candidate, who lacks how much, who shares, since when, and why."""

from __future__ import annotations

import datetime
import re
import socket
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stationmaster.api_client import session
from stationmaster.host import http
from stationmaster.hub.db import schema

OWN = "/stationmaster/v1"


def look(fleet: Any) -> Any:
    (found,) = fleet.person.request("GET", f"{OWN}/groups?hostname=LB.example.com").json()["items"]
    return found


def named(found: Any, name: str) -> Any:
    return next(one for one in found["stations"] if one["displayName"] == name)


def show(fleet: Any, group: Any, *generations: str) -> None:
    fleet.tick()
    group.beat()
    for station in (group.a, group.b):
        station.held[group.source.id] = list(generations)
    group.beat()
    fleet.tick()
    group.beat()


def test_who_leads_who_lacks_and_why(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    leader = group.a if group.a.leads(group.source.id) else group.b
    leader.held[group.source.id] = ["g1", "g2"]
    for _ in range(3):
        group.beat()
        fleet.tick()
    found = look(fleet)
    (source,) = found["sources"]
    assert source["leader"]["stationId"] == leader.id
    assert source["leader"]["token"] == leader.leads(group.source.id) >= 1
    assert source["candidate"]["generation"] == "g2"
    assert source["visible"]["generation"] == "g1"
    assert source["timeVisible"] is not None
    missing = {one["stationId"]: one["missingBytes"] for one in source["stations"]}
    other = group.b if leader is group.a else group.a
    assert missing == {leader.id: 0, other.id: 100}
    assert {one["id"]: one["missingBytes"] for one in found["stations"]} == missing
    assert source["needs"] == [
        {"kind": "profile", "id": group.profile.id, "displayName": "web", "stationId": group.a.id}
    ]
    assert all(one["timeHealthChanged"] for one in found["stations"])
    assert [one["code"] for one in found["findings"]]


def test_who_shares_a_volume_is_what_was_proved(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    assert named(look(fleet), "StationA")["sharedWith"] == []
    nonces = {group.a.id: "n-a", group.b.id: "n-b"}
    for station, nonce in ((group.a, "n-a"), (group.b, "n-b")):
        station.volume_id, station.nonce, station.nonces = "one", nonce, nonces
    for _ in range(2):
        group.beat()
    assert named(look(fleet), "StationA")["sharedWith"] == [group.b.id]


def test_when_a_volume_is_full_is_said_when_it_is_known(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    assert named(look(fleet), "StationA")["outlook"] == {"trend": "UNKNOWN", "days": None}
    hour = 3600
    for step in range(30):
        fleet.live.clock.shift += hour
        for station in (group.a, group.b):
            station.free_bytes = (1000 - 10 * step) << 30
        group.beat()
        fleet.tick()
    outlook = named(look(fleet), "StationA")["outlook"]
    assert outlook["trend"] == "FILLING"
    # Ten GiB an hour, and 710 are left.
    assert abs(outlook["days"] - 71 / 24) < 0.2
    scraped = http.Http().request("GET", f"{fleet.live.endpoint}/metrics").body.decode()
    (line,) = re.findall(r'volume_full_seconds\{.*station="StationA".*\} (\S+)', scraped)
    assert abs(float(line) / 86400 - outlook["days"]) < 0.1
    fleet.live.clock.shift += datetime.timedelta(days=15).total_seconds()
    fleet.tick()
    group.beat()
    assert named(look(fleet), "StationA")["outlook"]["trend"] == "UNKNOWN"


def doctor(fleet: Any) -> dict[str, Any]:
    found = fleet.person.request("GET", f"{OWN}/groups/doctor?hostname=lb.example.com").json()
    return {one["code"]: one for one in found["items"]}


def test_the_doctor_hears_of_clocks_balancers_certificates_and_addresses(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    assert not {"ClockSkew", "BalancerSilent", "AddressSilent"} & set(doctor(fleet))
    body = {"hostname": "lb.example.com", "addresses": ["10.0.0.9"], "node": "lb1"}
    fleet.person.request("PUT", f"{OWN}/groups/balancers", body=body)
    fleet.live.clock.shift += 600
    group.a.age = -120  # its clock is ahead
    group.b.beat()
    group.a.beat()
    found = doctor(fleet)
    assert found["ClockSkew"]["subject"] == "StationA"
    assert found["ClockSkew"]["severity"] == "WARNING"
    assert "lb1" in found["BalancerSilent"]["message"]
    assert found["BalancerSilent"]["impact"]
    # One that answers shows that the hub could reach the other.
    with socket.create_server(("127.77.0.1", 17080)):
        group.a.addresses, group.b.addresses = ["127.77.0.1"], ["127.77.0.2"]
        for _ in range(2):
            group.beat()
        assert doctor(fleet)["AddressSilent"]["subject"] == "StationB"
    assert "AddressSilent" not in doctor(fleet)


def request_of(key: ec.EllipticCurvePrivateKey, *names: str) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub.example.com")])
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_balancer_gets_a_certificate_for_the_group_and_nothing_else(fleet: Any, group: Any) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    body = {"hostname": "LB.example.com.", "request": request_of(key, "hub.example.com", "*.example.com")}
    view = fleet.person.request("GET", f"{OWN}/groups/balancer?hostname=lb.example.com").json()
    assert view["canEndTls"] is True
    chain = fleet.person.request("POST", f"{OWN}/groups/certificate", body=body).json()["chain"]
    leaf, ca = x509.load_pem_x509_certificates(chain.encode())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["lb.example.com"]
    assert len(list(names)) == 1
    assert leaf.public_key() == key.public_key()
    leaf.verify_directly_issued_by(ca)
    uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [x509.ExtendedKeyUsageOID.SERVER_AUTH]
    kinds = [one["kind"] for one in fleet.person.request("GET", f"{OWN}/events").json()["items"]]
    assert "BALANCER_CERTIFIED" in kinds
    # A station's word is not enough to be taken for the group, and machines sign for nobody else.
    with pytest.raises(session.HubRefusedError):
        group.a.post(
            f"{OWN}/groups/certificate", msgspec.defstruct("Body", [("hostname", str), ("request", str)])(**body)
        )


def test_where_stations_show_another_cas_certificate_the_hub_signs_none(fleet: Any, group: Any) -> None:
    with fleet.live.hub.store.write() as tx:
        table = schema.stations
        tx.execute(table.update().where(table.c.id == group.b.id).values(mirror_sslcert="/etc/tls/mirror.pem"))
    view = fleet.person.request("GET", f"{OWN}/groups/balancer?hostname=lb.example.com").json()
    assert view["canEndTls"] is False
    body = {"hostname": "lb.example.com", "request": request_of(ec.generate_private_key(ec.SECP256R1()))}
    with pytest.raises(session.HubRefusedError, match="StationB"):
        fleet.person.request("POST", f"{OWN}/groups/certificate", body=body)


def test_both_stations_are_synced_with_who_brought_it_and_counters_that_agree(fleet: Any, group: Any) -> None:
    """I7 through the published SDK: one led, the other copied; both say so, and the counters are of the same facts."""
    show(fleet, group, "g1")
    for _ in range(2):
        group.beat()
        fleet.tick()
    names = {group.a.id: "StationA", group.b.id: "StationB"}
    leader = next(one for one in (group.a, group.b) if one.leads(group.source.id))
    seen = {}
    for one in (group.a, group.b):
        (mirror,) = fleet.stations.list_mirrors(one.id).data.items
        assert mirror.state == "SYNCED"
        assert f"{names[leader.id]} brought generation g1" in mirror.log
        seen[one.id] = mirror.time_last_synced
        station = fleet.stations.get_management_station(one.id).data
        counters = station.mirror_sync_status
        assert (counters.synced, counters.unsynced, counters.failed, station.total_mirrors) == (1, 0, 0, 1)
        assert (station.overall_state, station.overall_percentage) == ("NORMAL", 100)
        assert [peer.id for peer in station.peer_management_stations] == [other for other in names if other != one.id]
    assert len(set(seen.values())) == 1
    assert None not in seen.values()
