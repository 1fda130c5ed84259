"""What `ha status` shows of a group: leader, candidate, who lacks how much, who shares, since when, and why."""

from __future__ import annotations

import datetime
import socket
from typing import Any

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
