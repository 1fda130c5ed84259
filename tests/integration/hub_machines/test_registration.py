import concurrent.futures
from typing import Any

import pytest

from stationmaster.api_client import keys, session
from stationmaster.model import protocol

INSTANCE, STATION = protocol.MachineKind.INSTANCE, protocol.MachineKind.STATION


def refused(fleet: Any, *arguments: Any, **told: Any) -> session.HubRefusedError:
    with pytest.raises(session.HubRefusedError) as caught:
        fleet.register(*arguments, **told)
    return caught.value


def test_a_station_becomes_what_its_profile_names(fleet: Any) -> None:
    station = fleet.make_station()
    machine = fleet.register_station(station)
    shown = fleet.stations.get_management_station(station.id).data
    assert shown.managed_instance_id == machine.answer.managed_instance_id
    assert machine.answer.mirror_directory == "/mnt/mirror"
    instance = fleet.instances.get_managed_instance(shown.managed_instance_id).data
    assert instance.is_management_station
    assert instance.status == "ONBOARDING"
    job = fleet.jobs.get_scheduled_job(shown.scheduled_job_id).data
    assert (job.is_restricted, job.recurring_rule) == (True, "FREQ=DAILY;INTERVAL=1")
    assert job.operations[0].operation_type == "SYNC_MANAGEMENT_STATION_MIRROR"


def test_the_gateway_is_the_hub_for_stations_and_the_group_for_instances(fleet: Any, group: Any) -> None:
    station = fleet.stations.get_management_station(group.a.answer.station_id).data
    own = fleet.response_file(station.profile_id)
    assert f"http://{own.gateway_host}:{own.gateway_port}" == fleet.live.endpoint
    given = fleet.response_file(group.profile.id)
    assert (given.gateway_host, given.gateway_port) == ("lb.example.com", 16080)
    assert given.hub_url == fleet.live.endpoint


def test_an_instance_gets_the_profiles_sources_and_station(fleet: Any, group: Any) -> None:
    agent = fleet.register_agent(group.profile.id)
    instance = fleet.instances.get_managed_instance(agent.answer.managed_instance_id).data
    assert [one.id for one in instance.software_sources] == [group.source.id]
    assert instance.primary_management_station_id == group.a.answer.station_id
    assert (instance.profile, instance.profile_version) == (group.profile.id, "1")
    assert not instance.is_management_station


def test_the_same_key_and_machine_give_the_same_answer_also_when_used_up(fleet: Any, group: Any) -> None:
    given = fleet.response_file(group.profile.id, uses=1).registration_key
    key, first = fleet.register(given, INSTANCE)
    assert fleet.register(given, INSTANCE, key)[1] == first
    other = refused(fleet, given, INSTANCE)
    assert (other.status, "used up" in str(other)) == (403, True)


def test_of_two_at_once_for_the_last_use_one_registers(fleet: Any, group: Any) -> None:
    given = fleet.response_file(group.profile.id, uses=1).registration_key
    machine_keys = [keys.make_private_key() for _ in range(6)]
    before = len(fleet.instances.list_managed_instances(compartment_id=fleet.compartment_id).data.items)

    def once(key: Any) -> int:
        try:
            fleet.register(given, INSTANCE, key)
        except session.HubRefusedError as exc:
            return exc.status
        return 200

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(once, machine_keys)) == [200, *[403] * 5]
    after = len(fleet.instances.list_managed_instances(compartment_id=fleet.compartment_id).data.items)
    assert after == before + 1


def test_registration_keys_are_not_stored(fleet: Any, group: Any) -> None:
    given = fleet.response_file(group.profile.id).registration_key
    fleet.register(given, INSTANCE)
    connection = fleet.live.hub.store.engine.raw_connection()
    dump = "\n".join(connection.driver_connection.iterdump())
    connection.close()
    assert given not in dump


def test_unknown_and_expired_keys_are_refused_and_tell_apart(fleet: Any, group: Any) -> None:
    unknown = refused(fleet, "guess", INSTANCE)
    assert (unknown.status, unknown.code) == (401, "NotAuthenticated")
    given = fleet.response_file(group.profile.id, days=1).registration_key
    fleet.live.clock.shift += 86401
    expired = refused(fleet, given, INSTANCE)
    assert (expired.status, "expired" in str(expired)) == (403, True)


def test_a_stations_key_serves_once(fleet: Any) -> None:
    station = fleet.make_station()
    given = fleet.response_file(station.profile_id).registration_key
    fleet.register(given, STATION)
    assert refused(fleet, given, STATION).status == 403


def test_a_rebuilt_host_takes_the_station_over(fleet: Any) -> None:
    station = fleet.make_station()
    old, new = fleet.register_station(station), fleet.register_station(station)
    assert new.answer.managed_instance_id == old.answer.managed_instance_id
    new.beat()
    with pytest.raises(session.HubRefusedError) as caught:
        old.beat()
    assert caught.value.status == 401


def test_the_wrong_kind_is_named(fleet: Any, group: Any) -> None:
    given = fleet.response_file(group.profile.id).registration_key
    assert "station register" not in str(refused(fleet, given, STATION))
    assert "agent register" in str(refused(fleet, given, STATION))


def test_a_profile_without_content_or_station_registers_nobody(fleet: Any, group: Any) -> None:
    empty = fleet.make_profile(group.a.answer.station_id, [], "empty")
    key = fleet.response_file(empty.id).registration_key
    assert "no content" in str(refused(fleet, key, INSTANCE))
    unregistered = fleet.make_station("StationC", "other.example.com")
    early = fleet.make_profile(unregistered.id, [group.source.id], "early")
    key = fleet.response_file(early.id).registration_key
    assert "not registered yet" in str(refused(fleet, key, INSTANCE))


def test_bad_machine_keys_and_addresses_are_refused(fleet: Any) -> None:
    station = fleet.make_station()
    key = fleet.response_file(station.profile_id).registration_key
    assert refused(fleet, key, STATION, address="not an address").status == 400
    short = keys.make_private_key(1024)
    assert "2048" in str(refused(fleet, key, STATION, short))
    fleet.register(key, STATION)


def test_only_its_own_host_speaks_for_a_station(fleet: Any, group: Any) -> None:
    agent = fleet.register_agent(group.profile.id)
    path = f"/stationmaster/v1/stations/{group.a.answer.station_id}/certificate"
    with pytest.raises(session.HubRefusedError) as caught:
        agent.post(path, protocol.CertificateRequest(request="x"))
    assert caught.value.status == 404
    other = agent.answer.managed_instance_id
    with pytest.raises(session.HubRefusedError) as caught:
        group.a.post(f"/stationmaster/v1/managedInstances/{other}/leave")
    assert caught.value.status == 404


def test_machines_may_not_do_what_people_do(fleet: Any, group: Any) -> None:
    agent = fleet.register_agent(group.profile.id)
    path = f"/20220901/managedInstances/{agent.answer.managed_instance_id}/actions/refreshSoftware"
    with pytest.raises(session.HubRefusedError) as caught:
        agent.post(path)
    assert caught.value.status == 404


def test_an_unknown_profile_has_no_response_file(fleet: Any) -> None:
    with pytest.raises(session.HubRefusedError) as caught:
        fleet.response_file("ocid1.osmhprofile.oc1.x.nothere")
    assert caught.value.status == 404
