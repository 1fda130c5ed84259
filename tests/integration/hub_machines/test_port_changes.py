"""`ha change-ports` in the hub: what stations, balancers and instances are told, step by step (ADR 24)."""

from __future__ import annotations

from typing import Any

import oci
import pytest

from stationmaster.model import errors, protocol

OWN = "/stationmaster/v1"
OLD = protocol.Ports(proxy=16080, http=17080, https=17443)
NEW = protocol.Ports(proxy=26080, http=27080, https=27443)


def order(fleet: Any, ports: protocol.Ports = NEW, **others: Any) -> Any:
    body = {"hostname": "lb.example.com", "proxy": ports.proxy, "http": ports.http, "https": ports.https, **others}
    return fleet.person.request("POST", f"{OWN}/groups/changePorts", body=body).json()


def state(fleet: Any) -> Any:
    return fleet.person.request("GET", f"{OWN}/groups/ports", query={"hostname": "lb.example.com"}).json()


def view(fleet: Any) -> Any:
    return fleet.person.request("GET", f"{OWN}/groups/balancer", query={"hostname": "lb.example.com"}).json()


def settle(fleet: Any, group: Any, seconds: float = 0.0) -> None:
    """Two heartbeats of both, so that what they were told is reported, and a round of the hub."""
    fleet.live.clock.shift += seconds
    group.beat()
    group.beat()
    fleet.tick()
    group.beat()


def address(ports: protocol.Ports) -> protocol.ClientAddress:
    return protocol.ClientAddress(host="lb.example.com", ports=ports)


def test_clients_are_told_when_all_serve_the_new_ports_and_the_old_go_when_nobody_uses_them(
    fleet: Any, group: Any
) -> None:
    agent = fleet.register_agent(group.profile.id)
    assert agent.check_in(address_in_use=address(OLD)).desired.address.ports == OLD
    group.beat()
    group.b.is_stuck = True
    assert order(fleet)["phase"] == "OPENING"
    assert view(fleet)["alsoPorts"] == {"proxy": 26080, "http": 27080, "https": 27443}
    settle(fleet, group)
    for one in (group.a, group.b):  # they serve the new ones beside the old, which clients are still told
        assert (one.desired.ports, one.desired.client_address.ports, one.desired.also_ports) == (OLD, OLD, NEW)
        assert one.desired.also_balancer_ports == protocol.Ports(proxy=26081, http=27081, https=27444)
    (waiting,) = state(fleet)["waiting"]
    assert waiting.startswith("StationB does not serve 26080, 26081, 27080")
    assert fleet.stations.get_management_station(group.a.id).data.proxy.port == "16080"

    group.b.is_stuck = False
    settle(fleet, group)
    found = state(fleet)
    assert (found["phase"], found["told"]["http"], found["beside"]["http"]) == ("MOVING", 27080, 17080)
    for one in (group.a, group.b):
        assert (one.desired.ports, one.desired.client_address.ports, one.desired.also_ports) == (NEW, NEW, OLD)
        assert fleet.stations.get_management_station(one.id).data.mirror.sslport == "27443"
    assert {one["ports"]["http"] for one in view(fleet)["servers"]} == {27081}
    assert agent.check_in(address_in_use=address(OLD)).desired.address.ports == NEW
    settle(fleet, group, 60)
    assert state(fleet)["waiting"] == ["1 instance(s) still use the former ports: web01."]

    agent.check_in(address_in_use=address(NEW))
    settle(fleet, group)
    assert state(fleet)["phase"] == "DONE"
    assert (group.a.desired.ports, group.a.desired.also_ports, view(fleet)["alsoPorts"]) == (NEW, None, None)
    kinds = ("PORTS_CHANGING", "PORTS_TOLD", "PORTS_CHANGED")
    assert [len(fleet.events(kind)) for kind in kinds] == [1, 1, 1]


def test_a_station_that_is_away_takes_the_ports_over_when_it_returns(fleet: Any, group: Any) -> None:
    fleet.live.clock.shift += 11
    group.a.beat()
    order(fleet)
    for _ in range(4):
        group.a.beat()
        group.a.beat()
        fleet.tick()
        fleet.live.clock.shift += 6
    assert state(fleet)["phase"] == "DONE"
    assert group.b.desired.ports == OLD
    group.b.beat()
    assert (group.b.desired.ports, group.b.desired.also_ports) == (NEW, None)


def test_it_is_undone_before_clients_were_told(fleet: Any, group: Any) -> None:
    order(fleet)
    group.beat()
    assert order(fleet, OLD)["phase"] == "DONE"
    group.beat()
    assert (group.a.desired.ports, group.a.desired.also_ports) == (OLD, None)
    assert len(fleet.events("PORTS_CHANGE_UNDONE")) == 1


def test_it_is_undone_when_clients_were_told_with_both_served_all_the_time(fleet: Any, group: Any) -> None:
    order(fleet)
    settle(fleet, group)
    assert state(fleet)["phase"] == "MOVING"
    assert order(fleet, OLD)["phase"] == "OPENING"
    assert {group.a.desired.ports.http, group.a.desired.also_ports.http} == {27080, 17080}
    settle(fleet, group)
    assert (group.a.desired.ports, group.a.desired.also_ports) == (OLD, NEW)
    settle(fleet, group, 11)
    assert (group.a.desired.ports, group.a.desired.also_ports) == (OLD, None)


def test_a_running_balancer_is_waited_for_in_both_phases(fleet: Any, group: Any) -> None:
    def report(*serves: protocol.Ports) -> None:
        body = {"hostname": "lb.example.com", "addresses": ["10.0.0.9"], "node": "lb1", "serves": list(serves)}
        fleet.person.request("PUT", f"{OWN}/groups/balancers", body=body)

    report(OLD)
    order(fleet)
    settle(fleet, group)
    assert state(fleet)["waiting"] == ["The balancer lb1 does not serve both sets of ports yet."]
    report(OLD, NEW)
    settle(fleet, group)
    assert state(fleet)["phase"] == "MOVING"
    settle(fleet, group, 11)
    assert state(fleet)["waiting"] == ["The balancer lb1 still sends clients to the former ports of stations."]
    report(NEW, OLD)
    settle(fleet, group)
    assert state(fleet)["phase"] == "DONE"


def test_the_stated_time_ends_it_and_names_who_is_left_behind(fleet: Any, group: Any) -> None:
    fleet.register_agent(group.profile.id).check_in(address_in_use=address(OLD))
    order(fleet, keepAtMostSeconds=100)
    settle(fleet, group)
    settle(fleet, group, 95)
    assert state(fleet)["phase"] == "MOVING"
    settle(fleet, group, 6)
    assert state(fleet)["phase"] == "DONE"
    (event,) = fleet.events("PORTS_CHANGED")
    assert "These have not moved, and are cut off: web01." in event["message"]
    assert event["data"] == {"leftBehind": ["web01"]}


def test_the_old_ports_stay_for_the_time_that_was_asked_for(fleet: Any, group: Any) -> None:
    order(fleet, keepAtLeastSeconds=600)
    settle(fleet, group)
    settle(fleet, group, 500)
    assert state(fleet)["phase"] == "MOVING"
    settle(fleet, group, 101)
    assert state(fleet)["phase"] == "DONE"


@pytest.mark.usefixtures("group")
def test_what_cannot_be_is_refused_in_words(fleet: Any) -> None:
    def refusal(ports: protocol.Ports) -> str:
        with pytest.raises(errors.StationmasterError) as caught:
            order(fleet, ports)
        return str(caught.value)

    assert "16080/17080/17443 are the ports of lb.example.com already" in refusal(OLD)
    assert "proxy.port and mirror.port are both 1" in refusal(protocol.Ports(proxy=1, http=1, https=2))
    assert "proxy.port would be 17080, which is mirror.port" in refusal(protocol.Ports(proxy=17080, http=2, https=9))
    other = fleet.register_station(fleet.make_station("Other", "other.example.com"))
    other.addresses = ["10.0.0.1"]
    other.beat()
    taken = refusal(protocol.Ports(proxy=26080, http=27080, https=16081))
    assert "16081" in taken
    order(fleet)
    third = protocol.Ports(proxy=36080, http=37080, https=37443)
    assert "26080/27080/27443 beside 16080/17080/17443" in refusal(third)
    assert order(fleet)["phase"] == "OPENING"  # the same again is no mistake


@pytest.mark.usefixtures("group")
def test_ports_of_another_groups_station_on_the_host_are_not_taken(fleet: Any) -> None:
    models = oci.os_management_hub.models
    other = fleet.make_station("Other", "other.example.com")
    mirror = models.UpdateMirrorConfigurationDetails(directory="/mnt/other", port="27080", sslport="27443")
    fleet.stations.update_management_station(other.id, models.UpdateManagementStationDetails(mirror=mirror))
    fleet.register_station(other).beat()  # at 10.0.0.1, as the others
    with pytest.raises(errors.StationmasterError, match=r"27080, which is mirror\.port of station Other on the same"):
        order(fleet)


def test_one_stations_ports_are_not_edited_meanwhile(fleet: Any) -> None:
    models = oci.os_management_hub.models
    alone = fleet.register_station(fleet.make_station("Alone"))
    alone.beat()
    order(fleet)
    mirror = models.UpdateMirrorConfigurationDetails(directory="/mnt/mirror", port="9000", sslport="17443")
    with pytest.raises(oci.exceptions.ServiceError) as caught:
        fleet.stations.update_management_station(alone.id, models.UpdateManagementStationDetails(mirror=mirror))
    assert (caught.value.status, "are changing over" in caught.value.message) == (409, True)
    kept = models.UpdateMirrorConfigurationDetails(directory="/mnt/new", port="17080", sslport="17443")
    fleet.stations.update_management_station(alone.id, models.UpdateManagementStationDetails(mirror=kept))


def test_the_change_over_of_a_group_that_has_gone_is_forgotten(fleet: Any) -> None:
    station = fleet.make_station("Gone")
    order(fleet)
    fleet.stations.delete_management_station(station.id)
    fleet.tick(61)
    fleet.make_station("Again")
    assert state(fleet)["phase"] == "DONE"


def diagnosed(fleet: Any) -> dict[str, tuple[str, str]]:
    found = fleet.person.request("GET", f"{OWN}/groups/doctor", query={"hostname": "lb.example.com"}).json()
    return {one["code"]: (one["severity"], one["message"]) for one in found["items"]}


def test_the_doctor_knows_of_ports_of_who_goes_past_and_of_a_split_group(fleet: Any, group: Any) -> None:
    agent = fleet.register_agent(group.profile.id)
    elsewhere = protocol.ClientAddress(host="sta.example.com", ports=OLD)
    agent.check_in(address_in_use=elsewhere)
    body = {"hostname": "lb.example.com", "addresses": ["10.0.0.9"]}
    fleet.person.request("PUT", f"{OWN}/groups/balancers", body=body)
    fleet.make_station("Slip", "lb.exmaple.com")
    order(fleet)
    found = diagnosed(fleet)
    assert found["PortsChanging"][0] == "INFO"
    assert found["PastTheBalancer"] == (
        "WARNING", "1 instance(s) do not come by lb.example.com: web01 (sta.example.com)."
    )  # fmt: skip
    assert found["GroupSplit"] == ("INFO", "Slip stand as lb.exmaple.com: that is another group.")
    agent.check_in(address_in_use=address(OLD))
    assert "PastTheBalancer" not in diagnosed(fleet)


def test_nobody_leads_while_no_volume_can_be_written(fleet: Any, group: Any) -> None:
    settle(fleet, group)
    for one in (group.a, group.b):
        one.is_writable = False
    for _ in range(5):
        settle(fleet, group, 5)
    severity, message = diagnosed(fleet)["NobodyLeads"]
    assert (severity, "StationA: Its volume cannot be written." in message) == ("ERROR", True)
    group.b.is_writable = True
    settle(fleet, group)
    assert "NobodyLeads" not in diagnosed(fleet)
