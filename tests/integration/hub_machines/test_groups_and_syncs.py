from typing import Any

import oci
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from stationmaster.api_client import keys, session
from stationmaster.hub.db import schema
from stationmaster.model import protocol

OWN = "/stationmaster/v1"


def hold(group: Any, *generations: str) -> None:
    for station in (group.a, group.b):
        station.held[group.source.id] = list(generations)


def show(fleet: Any, group: Any, generation: str) -> None:
    """Bring the group to where ``generation`` is visible and both stations know it."""
    fleet.tick()
    group.beat()
    hold(group, generation)
    group.beat()
    fleet.tick()
    group.beat()
    assert [one.generation for one in group.a.visible] == [generation]


def sync(fleet: Any, group: Any) -> str:
    details = oci.os_management_hub.models.SynchronizeMirrorsDetails(software_source_list=[group.source.id])
    answer = fleet.stations.synchronize_mirrors(group.a.answer.station_id, details)
    return str(answer.headers["opc-work-request-id"])


def test_both_peers_mirror_what_a_profile_of_one_needs(group: Any) -> None:
    for station in (group.a, group.b):
        assert [one.source_id for one in station.desired.sources] == [group.source.id]
        assert station.desired.client_address.host == "lb.example.com"
        assert len(station.desired.peers) == 1
    assert "lb.example.com" in group.a.desired.instance_setup_script


def test_desired_travels_only_when_it_changed(fleet: Any, group: Any) -> None:
    fleet.tick()
    group.a.beat()
    assert group.a.beat().desired is None
    other = fleet.make_source("other")
    fleet.make_profile(group.b.answer.station_id, [other.id], "second")
    answer = group.a.beat()
    assert answer.desired is not None
    assert {one.source_id for one in answer.desired.sources} == {group.source.id, other.id}


def test_a_mirror_list_that_grew_starts_the_sync_by_itself(fleet: Any, group: Any) -> None:
    assert group.a.desired.sources[0].sync_number == 0
    fleet.tick()
    group.a.beat()
    assert group.a.desired.sources[0].sync_number == 1
    fleet.tick()
    group.a.beat()
    assert group.a.desired.sources[0].sync_number == 1


def test_a_generation_becomes_visible_when_both_hold_it(fleet: Any, group: Any) -> None:
    fleet.tick()
    group.beat()
    group.a.held[group.source.id] = ["g1"]
    group.beat()
    fleet.tick()
    group.beat()
    assert group.a.visible == []
    group.b.held[group.source.id] = ["g1"]
    group.beat()
    fleet.tick()
    group.beat()
    expected = protocol.Visible(source_id=group.source.id, number=1, generation="g1")
    assert group.a.visible == group.b.visible == [expected]
    (event,) = fleet.events("GENERATION_VISIBLE")
    assert event["resourceId"] == group.source.id
    mirrors = fleet.stations.list_mirrors(group.a.answer.station_id).data.items
    assert [one.state for one in mirrors] == ["UNSYNCED"]
    group.beat()
    mirrors = fleet.stations.list_mirrors(group.a.answer.station_id).data.items
    assert [one.state for one in mirrors] == ["SYNCED"]


def test_a_silent_station_does_not_hold_the_group_back(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    group.a.held[group.source.id] = ["g1", "g2"]
    fleet.live.clock.shift += 5
    group.a.beat()
    fleet.tick()
    assert [one.number for one in group.a.beat().visible] == [1]
    fleet.live.clock.shift += 6
    group.a.beat()
    fleet.tick()
    assert [(one.number, one.generation) for one in group.a.beat().visible] == [(2, "g2")]


def test_a_lagging_station_is_told_to_leave_and_then_not_waited_for(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    group.a.held[group.source.id] = ["g1", "g2"]
    group.b.is_busy = True
    group.beat()
    fleet.tick()
    for _ in range(20):  # as long as it takes: real time passes as well
        fleet.live.clock.shift += 5
        group.beat()
        fleet.tick()
        if not group.b.beat().is_in_rotation:
            break
    assert not group.b.last.is_in_rotation
    assert group.a.beat().is_in_rotation
    assert [one.number for one in group.b.visible] == [1]
    for _ in range(3):
        fleet.live.clock.shift += 4
        group.beat()
        fleet.tick()
    assert [one.number for one in group.a.beat().visible] == [2]
    assert len(fleet.events("STATION_LEFT_ROTATION")) == 1
    group.b.is_busy = False
    hold(group, "g1", "g2")
    group.beat()
    fleet.tick()
    assert group.b.beat().is_in_rotation
    assert len(fleet.events("STATION_RETURNED_TO_ROTATION")) == 1


def test_the_last_holder_dies_and_the_newest_whole_one_returns_under_a_higher_number(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    group.a.held[group.source.id] = ["g1", "g2"]
    for _ in range(2):
        fleet.live.clock.shift += 11
        group.a.beat()
        fleet.tick()
    assert [one.number for one in group.a.beat().visible] == [2]
    group.b.is_busy = True  # it leads now, and its upstream takes its time
    for _ in range(5):
        fleet.live.clock.shift += 6
        group.b.beat()
        fleet.tick()
    assert [(one.number, one.generation) for one in group.b.beat().visible] == [(3, "g1")]
    assert len(fleet.events("GENERATION_RESTORED")) == 1


def test_one_leads_and_the_other_copies_what_it_brought(fleet: Any, group: Any) -> None:
    fleet.tick()
    group.beat()
    assert [(one.source_id, one.token) for one in group.a.last.leases] == [(group.source.id, 1)]
    assert group.b.last.leases == []
    group.a.held[group.source.id], group.b.held[group.source.id] = ["g2"], ["g1"]
    group.beat()
    fleet.tick()
    group.beat()
    copy = protocol.Copy(source_id=group.source.id, generation="g2", holders=[group.a.id], is_candidate=True)
    assert (group.a.last.copies, group.b.last.copies) == ([], [copy])
    assert group.b.visible == []
    hold(group, "g2")
    group.beat()
    fleet.tick()
    group.beat()
    assert [one.generation for one in group.b.visible] == ["g2"]
    assert group.b.last.copies == []
    assert len(fleet.events("CANDIDATE_SET")) == 1


def test_stations_of_the_first_release_are_asked_again(fleet: Any, group: Any) -> None:
    group.a.is_first_release = group.b.is_first_release = True
    fleet.tick()
    group.beat()
    group.a.held[group.source.id], group.b.held[group.source.id] = ["g2"], ["g1"]
    for _ in range(4):
        group.beat()
        fleet.tick(5)
    group.beat()
    assert group.b.desired.sources[0].sync_number == 2
    hold(group, "g2")
    group.beat()
    fleet.tick()
    assert [one.generation for one in group.b.beat().visible] == ["g2"]


def test_a_sync_succeeds_when_every_station_shows_it(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    request_id = sync(fleet, group)
    assert fleet.work_request(request_id).status == "ACCEPTED"
    for station in (group.a, group.b):
        station.is_busy = True
        station.beat()
        station.beat()
    fleet.tick()
    running = fleet.work_request(request_id)
    assert (running.status, running.percent_complete) == ("IN_PROGRESS", 40)
    for station in (group.a, group.b):
        station.is_busy = False
        station.beat()
    fleet.tick()
    done = fleet.work_request(request_id)
    assert (done.status, done.percent_complete, done.operation_type) == (
        "SUCCEEDED",
        100,
        "SYNC_MANAGEMENT_STATION_MIRROR",
    )
    # What Terraform insists on (OSMH 55).
    (resource,) = done.resources
    assert (resource.entity_type, resource.action_type) == ("INSTANCE", "UPDATED")
    assert resource.identifier == group.a.answer.managed_instance_id
    assert done.time_finished is not None
    assert done.management_station.software_source_ids == [group.source.id]
    assert any("StationB holds and shows app" in line for line in fleet.logs(request_id))


def test_a_sync_waits_for_what_it_brought_to_become_visible(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    request_id = sync(fleet, group)
    group.beat()
    group.a.held[group.source.id] = ["g1", "g2"]
    group.beat()
    fleet.tick()
    assert fleet.work_request(request_id).status == "IN_PROGRESS"
    hold(group, "g1", "g2")
    group.beat()
    fleet.tick()
    group.beat()  # here the stations learn of it, and switch
    fleet.tick()
    assert fleet.work_request(request_id).status == "IN_PROGRESS"
    group.beat()
    fleet.tick()
    assert fleet.work_request(request_id).status == "SUCCEEDED"


def test_a_sync_fails_when_every_station_failed_with_each_ones_reason(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    request_id = sync(fleet, group)
    for station in (group.a, group.b):
        station.problem = protocol.Problem(code="UpstreamUnavailable", message="127.0.0.1:9 refused the connection.")
    for _ in range(8):
        group.beat()
        fleet.tick(2)
    assert fleet.work_request(request_id).status == "FAILED"
    assert fleet.errors(request_id) == [
        ("UpstreamUnavailable", f"{name} could not sync app: 127.0.0.1:9 refused the connection.")
        for name in ("StationA", "StationB")
    ]
    assert [one.generation for one in group.a.beat().visible] == ["g1"]
    assert [one["data"]["to"] for one in fleet.events("LEASE_MOVED")][:2] in (
        [group.b.id, None],
        [None, group.b.id],
    )


def test_a_sync_goes_on_under_another_leader(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    request_id = sync(fleet, group)
    group.a.problem = protocol.Problem(code="UpstreamUnavailable", message="127.0.0.1:9 refused the connection.")
    group.b.held[group.source.id] = ["g1", "g2"]
    for _ in range(8):
        group.beat()
        fleet.tick(2)
    assert fleet.work_request(request_id).status == "IN_PROGRESS"
    hold(group, "g1", "g2")
    for _ in range(3):
        group.beat()
        fleet.tick(2)
    assert fleet.work_request(request_id).status == "SUCCEEDED"
    said = fleet.logs(request_id)
    assert "StationA could not sync app: 127.0.0.1:9 refused the connection." in said
    assert "StationB leads the sync of app and found generation g2." in said
    assert "StationA copies generation g2 of app from StationB." in said


def test_a_station_that_died_does_not_block_a_sync(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    request_id = sync(fleet, group)
    for _ in range(2):
        fleet.live.clock.shift += 7
        group.a.beat()
        fleet.tick()
    assert fleet.work_request(request_id).status == "SUCCEEDED"


def test_health_changes_are_events(fleet: Any, group: Any) -> None:
    group.beat()
    fleet.tick()
    fleet.tick(60)
    turns = [(one["resourceName"], one["data"]["healthState"]) for one in fleet.events("STATION_HEALTH_CHANGED")]
    assert sorted(turns) == [
        ("StationA", "HEALTHY"),
        ("StationA", "UNHEALTHY"),
        ("StationB", "HEALTHY"),
        ("StationB", "UNHEALTHY"),
    ]


def test_a_refresh_ends_when_the_station_has_applied(fleet: Any, group: Any) -> None:
    fleet.tick()
    answer = fleet.stations.refresh_management_station_config(group.a.answer.station_id)
    request_id = answer.headers["opc-work-request-id"]
    fleet.tick()
    assert fleet.work_request(request_id).status == "ACCEPTED"
    group.a.beat()
    group.a.beat()
    fleet.tick()
    assert fleet.work_request(request_id).status == "SUCCEEDED"


def test_an_overtaken_heartbeat_is_answered_and_not_stored(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    group.a.age, group.a.held[group.source.id] = 5.0, []
    group.a.beat()
    found = fleet.person.request("GET", f"{OWN}/groups", query={"hostname": "lb.example.com"}).json()["items"][0]
    held = {one["stationId"]: one["held"] for one in found["sources"][0]["stations"]}
    assert [one["generation"] for one in held[group.a.answer.station_id]] == ["g1"]


def certified(station: Any) -> tuple[list[str], list[str]]:
    """What the hub certifies to a station that asks for another name: host names and addresses."""
    key = keys.make_private_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bank.example.com")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = csr.public_bytes(serialization.Encoding.PEM).decode()
    path = f"{OWN}/stations/{station.answer.station_id}/certificate"
    chain = station.post(path, protocol.CertificateRequest(request=pem)).decode(protocol.CertificateAnswer).chain
    certificate = x509.load_pem_x509_certificates(chain.encode())[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName), [str(one) for one in names.get_values_for_type(x509.IPAddress)]


def test_the_certificate_names_the_group_whatever_was_asked(group: Any) -> None:
    assert certified(group.a) == (["lb.example.com"], ["10.0.0.1"])


def test_a_station_gets_no_certificate_for_the_hub_or_another_group(fleet: Any, group: Any) -> None:
    by_address = fleet.make_station("StationC", "10.9.9.9")
    other = fleet.register_station(by_address)
    other.addresses = ["10.9.9.1"]
    other.beat()
    hub = fleet.live.hub.public_url.rpartition(":")[0].removeprefix("http://")
    group.a.addresses = ["10.0.0.1", hub, "10.9.9.9", "10.9.9.1", "nowhere", "fe80::1%x\n"]
    group.a.beat()
    assert certified(group.a) == (["lb.example.com"], ["10.0.0.1"])
    assert certified(other) == ([], ["10.9.9.9"]), "an address that two groups claim is certified to neither"


def test_the_balancers_view_and_drain(fleet: Any, group: Any) -> None:
    def view() -> Any:
        return fleet.person.request("GET", f"{OWN}/groups/balancer", query={"hostname": "LB.example.com"}).json()

    before = view()
    assert before["ports"] == {"proxy": 16080, "http": 17080, "https": 17443, "mirrorHttp": 17080, "mirrorHttps": 17443}
    assert {one["state"] for one in before["servers"]} == {"IN_ROTATION"}
    assert {one["ports"]["proxy"] for one in before["servers"]} == {16081}
    fleet.person.request("POST", f"{OWN}/stations/{group.b.answer.station_id}/drain")
    after = view()
    assert after["digest"] != before["digest"]
    assert sorted(one["state"] for one in after["servers"]) == ["DRAINING", "IN_ROTATION"]
    assert group.b.beat().desired.is_draining
    fleet.person.request("POST", f"{OWN}/stations/{group.b.answer.station_id}/undrain")
    assert view() == before
    assert len(fleet.events("STATION_DRAINED")) == len(fleet.events("STATION_UNDRAINED")) == 1


def test_balancers_reach_the_stations(fleet: Any, group: Any) -> None:
    body = {"hostname": "lb.example.com", "addresses": ["10.0.0.9", "::ffff:10.0.0.8"], "node": "lb1"}
    answer = fleet.person.request("PUT", f"{OWN}/groups/balancers", body=body).json()
    assert answer == {"addresses": ["10.0.0.8", "10.0.0.9"]}
    assert group.a.beat().desired.balancer_addresses == ["10.0.0.8", "10.0.0.9"]
    with pytest.raises(session.HubRefusedError, match="no IP address"):
        fleet.person.request("PUT", f"{OWN}/groups/balancers", body={**body, "addresses": ["lb"]})
    with pytest.raises(session.HubRefusedError, match="No station"):
        fleet.person.request("PUT", f"{OWN}/groups/balancers", body={**body, "hostname": "nowhere"})


def test_scripts_are_made_for_the_group(fleet: Any, group: Any) -> None:
    query = {"hostname": "lb.example.com"}
    script = fleet.person.request("GET", f"{OWN}/groups/instanceSetupScript", query=query).json()["content"]
    assert script.startswith("#!")
    assert script == group.a.desired.instance_setup_script
    path = f"{OWN}/stations/{group.a.answer.station_id}/setupScript"
    assert "17443" in fleet.person.request("GET", path).json()["content"]


def test_the_groups_list_shows_who_holds_what_and_why(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    (found,) = fleet.person.request("GET", f"{OWN}/groups").json()["items"]
    assert found["hostname"] == "lb.example.com"
    assert {one["isInRotation"] for one in found["stations"]} == {True}
    (source,) = found["sources"]
    assert source["visible"]["generation"] == "g1"
    assert source["reasons"] == [f"profile {group.profile.id}"]


def test_a_hub_from_a_backup_asks_above_what_was_answered(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    for _ in range(2):
        sync(fleet, group)
        group.beat()
        group.beat()
    assert group.a.desired.sources[0].sync_number == 3
    with fleet.live.hub.store.write() as tx:
        tx.execute(schema.sync_requests.delete().where(schema.sync_requests.c.number > 1))
    group.beat()
    assert group.a.desired.sources[0].sync_number == 1
    group.beat()
    sync(fleet, group)
    group.beat()
    assert group.a.desired.sources[0].sync_number == 4
