from __future__ import annotations

import concurrent.futures
import pathlib
import threading
from typing import Any

import oci
import pytest
import sqlalchemy as sa
from oci.exceptions import ServiceError
from oci.os_management_hub import models

from stationmaster.api_client import keys, session
from stationmaster.host import clock, http
from stationmaster.hub.db import schema
from stationmaster.hub.services import compartments
from stationmaster.hub.services import events as event_service
from stationmaster.model import signing

UNKNOWN = "ocid1.osmhmanagementstation.oc1..unknown"


def refused(call: Any, *arguments: Any, **options: Any) -> Any:
    with pytest.raises(ServiceError) as caught:
        call(*arguments, **options)
    return caught.value


def update(**changes: Any) -> Any:
    return models.UpdateManagementStationDetails(**changes)


def mirror(kind: Any = models.CreateMirrorConfigurationDetails, **changes: Any) -> Any:
    return kind(**{"directory": "/mnt/mirror", "port": "17080", "sslport": "17443", **changes})


def new_mirror(**changes: Any) -> Any:
    return mirror(models.UpdateMirrorConfigurationDetails, **changes)


def proxy(**changes: Any) -> Any:
    return models.CreateProxyConfigurationDetails(
        **{"is_enabled": True, "hosts": ["10.0.0.0/8"], "port": "16080", **changes}
    )


def events(api: Any, kind: Any) -> Any:
    config = oci.config.from_file(str(api.live.oci_config))
    opened = session.Session(
        api.live.endpoint,
        http.Http(),
        clock.SystemClock(),
        key_id=signing.KeyId(config["tenancy"], config["user"], config["fingerprint"]),
        key=keys.load_private_key(pathlib.Path(config["key_file"])),
    )
    return opened.request("GET", "/stationmaster/v1/events", query={"kind": [kind]}).json()["items"]


def test_a_created_station_is_complete_before_any_host_registers(api: Any) -> None:
    answer = api.stations.create_management_station(api.station_details())
    station = answer.data
    assert answer.status == 200
    assert answer.headers["etag"]
    assert "opc-work-request-id" not in answer.headers
    assert (station.lifecycle_state, station.overall_state, station.health.state) == (
        "ACTIVE",
        "UNAVAILABLE",
        "UNAVAILABLE",
    )
    assert station.profile_id.startswith("ocid1.osmhprofile.")
    assert (station.managed_instance_id, station.location) == (None, None)
    assert (station.os_family, station.arch_type) == ("ORACLE_LINUX_8", "X86_64")
    numbers = ("overall_percentage", "mirror_capacity", "total_mirrors", "mirror_size", "mirror_storage_size")
    assert [getattr(station, name) for name in numbers] == [0, 0, 0, 0, 0]
    assert oci.util.to_dict(station.mirror_sync_status) == dict.fromkeys(
        ["unsynced", "queued", "syncing", "synced", "failed"], 0
    )
    assert station.peer_management_stations == []
    assert station.system_tags == {}
    assert set(station.defined_tags["Oracle-Tags"]) == {"CreatedBy", "CreatedOn"}
    assert oci.util.to_dict(api.stations.get_management_station(station.id).data) == oci.util.to_dict(station)


def test_spellings_of_one_host_name_make_peers(api: Any) -> None:
    first = api.station("A", hostname="LoadBalancer.example.com.")
    second = api.station("B", hostname="loadbalancer.EXAMPLE.com")
    assert [(peer.id, peer.display_name) for peer in second.peer_management_stations] == [(first.id, "A")]
    shown = api.stations.get_management_station(first.id).data
    assert [peer.id for peer in shown.peer_management_stations] == [second.id]
    assert shown.hostname == "LoadBalancer.example.com."


@pytest.mark.parametrize("spelling", ["2001:DB8:0::1", "[2001:db8::1]"])
def test_addresses_are_equal_by_value(api: Any, spelling: Any) -> None:
    api.station("A", hostname="2001:db8::1")
    assert len(api.station("B", hostname=spelling).peer_management_stations) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"proxy": proxy(port="16081")}, ("proxy.port 16081", "16080")),
        ({"mirror": mirror(port="17081")}, ("mirror.port 17081", "17080")),
        ({"mirror": mirror(sslport="17444")}, ("mirror.sslport 17444", "17443")),
    ],
)
def test_ports_that_differ_from_a_peers_are_refused_naming_peer_and_port(api: Any, change: Any, named: Any) -> None:
    peer = api.station("Anna")
    error = refused(api.stations.create_management_station, api.station_details("B", **change))
    assert (error.status, error.code) == (409, "Conflict")
    for text in (*named, "Anna", peer.id):
        assert text in error.message
    other = api.station("B", hostname="other.example.com", **change)
    error = refused(api.stations.update_management_station, other.id, update(hostname="loadbalancer.example.com"))
    assert (error.status, error.code) == (409, "Conflict")
    assert api.stations.get_management_station(other.id).data.hostname == "other.example.com"


def test_a_lone_station_may_change_its_ports_and_one_with_peers_may_not(api: Any) -> None:
    station = api.station("A")
    changed = api.stations.update_management_station(
        station.id, update(mirror=new_mirror(port="80", sslport="443"))
    ).data
    assert (changed.mirror.port, changed.mirror.sslport) == ("80", "443")
    api.station("B", mirror=mirror(port="80", sslport="443"))
    error = refused(api.stations.update_management_station, station.id, update(mirror=new_mirror()))
    assert error.code == "Conflict"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"proxy": proxy(port="0")}, "proxy.port"),
        ({"proxy": proxy(port="65536")}, "65536"),
        ({"proxy": proxy(port="-1")}, "proxy.port"),
        ({"proxy": proxy(port="http")}, "'http'"),
        ({"proxy": proxy(port="17080")}, "mirror.port"),
        ({"mirror": mirror(port="")}, "mirror.port"),
        ({"mirror": mirror(sslport="17080")}, "mirror.sslport"),
        ({"mirror": mirror(directory="mnt/mirror")}, "mirror.directory"),
        ({"mirror": mirror(directory="/mnt/../etc")}, "mirror.directory"),
        ({"mirror": mirror(directory="/")}, "mirror.directory"),
        ({"mirror": mirror(sslcert="cert.pem")}, "mirror.sslcert"),
        ({"proxy": proxy(hosts=["10.0.0.0/8", "10.0.0.1/8"])}, "10.0.0.1/8"),
        ({"proxy": proxy(hosts=["nowhere.invalid"])}, "nowhere.invalid"),
        ({"proxy": proxy(hosts=["not a name"])}, "not a name"),
        ({"proxy": proxy(hosts=[""])}, "''"),
        ({"proxy": proxy(forward="ftp://proxy")}, "proxy.forward"),
        ({"proxy": proxy(forward="http://[x")}, "proxy.forward"),
        ({"proxy": proxy(forward="http://a#b:3128")}, "proxy.forward"),
        ({"proxy": proxy(hosts=["\u202eabc"])}, "proxy.hosts"),
        ({"proxy": proxy(hosts=["x" * 300])}, "proxy.hosts"),
        ({"display_name": "a\x00b"}, "control character"),
        ({"description": "\x1b[2J"}, "control character"),
        ({"freeform_tags": {"a\x9bb": "c"}}, "control character"),
        ({"hostname": "fe80::1%x;}\n"}, "hostname"),
        ({"mirror": mirror(directory="/mnt/a;b")}, "mirror.directory"),
        ({"mirror": mirror(directory="/mnt/a b")}, "mirror.directory"),
        ({"hostname": "https://lb.example.com"}, "hostname"),
        ({"hostname": "300.1.1.1"}, "hostname"),
        ({"hostname": ""}, "hostname"),
        ({"display_name": ""}, "displayName"),
        ({"compartment_id": "root"}, "compartmentId"),
    ],
)
def test_what_cannot_be_is_refused_naming_it(api: Any, change: Any, named: Any) -> None:
    error = refused(api.stations.create_management_station, api.station_details(**change))
    assert (error.status, error.code) == (400, "InvalidParameter")
    assert named in error.message
    assert api.stations.list_management_stations(compartment_id=api.root).data.items == []


def test_ports_side_by_side_are_fine(api: Any) -> None:
    """Balancer ports, each + 1 by default, give way to ports that people chose."""
    station = api.station(proxy=proxy(port="8080"), mirror=mirror(port="8081", sslport="65535"))
    assert (station.proxy.port, station.mirror.port, station.mirror.sslport) == ("8080", "8081", "65535")


@pytest.mark.parametrize("hosts", [[], ["0.0.0.0/0"], ["10.1.2.3", "2001:db8::/32"], ["localhost"]])
def test_permitted_ranges_are_kept_as_given(api: Any, hosts: Any) -> None:
    assert api.station(proxy=proxy(hosts=hosts)).proxy.hosts == hosts


def test_update_changes_what_is_sent_and_nothing_else(api: Any) -> None:
    before = api.stations.create_management_station(
        api.station_details(freeform_tags={"a": "b"}, proxy=proxy(forward="http://up.example.com:3128"))
    )
    answer = api.stations.update_management_station(
        before.data.id, update(description="new", is_auto_config_enabled=True), if_match=before.headers["etag"]
    )
    assert answer.headers["etag"] != before.headers["etag"]
    expected = oci.util.to_dict(before.data) | {"description": "new", "is_auto_config_enabled": True}
    assert oci.util.to_dict(answer.data) == expected
    same = api.stations.update_management_station(before.data.id, update(description="new"))
    assert same.headers["etag"] == answer.headers["etag"]


def test_tags_that_the_hub_adds_are_not_stored_when_sent_back(api: Any) -> None:
    station = api.station(defined_tags={"Ops": {"Tier": "1"}})
    changed = api.stations.update_management_station(station.id, update(defined_tags=station.defined_tags)).data
    assert changed.defined_tags == station.defined_tags
    assert set(changed.defined_tags) == {"Ops", "Oracle-Tags"}


def test_leaving_a_group_by_name_succeeds_and_is_told(api: Any) -> None:
    api.station("A")
    station = api.station("B")
    changed = api.stations.update_management_station(station.id, update(hostname="own.example.com")).data
    assert changed.peer_management_stations == []
    (event,) = events(api, "STATION_LEFT_GROUP")
    assert event["resourceId"] == station.id
    assert "A" in event["message"]
    assert "loadbalancer.example.com" in event["message"]


def test_moving_to_another_compartment_leaves_the_group_with_its_own_profile(api: Any) -> None:
    api.station("A")
    station = api.station("B")
    with api.live.hub.store.write() as tx:
        other = compartments.create(
            tx, api.live.clock.now(), event_service.Actor(), parent_id=api.root, name="other", description=""
        ).id
    move = models.ChangeManagementStationCompartmentDetails(compartment_id=other)
    assert api.stations.change_management_station_compartment(station.id, move).data is None
    shown = api.stations.get_management_station(station.id).data
    assert (shown.compartment_id, shown.peer_management_stations) == (other, [])
    assert api.profiles.get_profile(station.profile_id).data.compartment_id == other
    assert len(events(api, "STATION_LEFT_GROUP")) == 1
    gone = models.ChangeManagementStationCompartmentDetails(compartment_id="ocid1.compartment.oc1..none")
    assert refused(api.stations.change_management_station_compartment, station.id, gone).status == 404


def test_a_station_in_use_is_not_deleted_and_its_users_are_named(api: Any) -> None:
    station = api.station()
    profile = api.profile("web servers", management_station_id=station.id)
    error = refused(api.stations.delete_management_station, station.id)
    assert (error.status, error.code) == (409, "Conflict")
    assert "web servers" in error.message
    assert profile.id in error.message
    api.profiles.delete_profile(profile.id)
    assert api.stations.delete_management_station(station.id).status == 204
    assert refused(api.stations.get_management_station, station.id).status == 404
    assert refused(api.profiles.get_profile, station.profile_id).status == 404


def test_a_deleted_station_leaves_its_host_a_plain_instance(api: Any) -> None:
    station = api.station()
    api.register(station.id)
    api.stations.delete_management_station(station.id)
    with api.live.hub.store.read() as tx:
        assert tx.execute(sa.select(schema.managed_instances.c.is_management_station)).scalars().all() == [False]


def test_one_peers_needs_are_mirrored_by_all(api: Any) -> None:
    first, second = api.station("A"), api.station("B")
    alone = api.station("C", hostname="else.example.com")
    wanted, unmirrored = api.source("wanted"), api.source("unmirrored", is_mirror_sync_allowed=False)
    api.source("unused")
    api.profile(management_station_id=first.id, software_source_ids=[wanted.id, unmirrored.id])
    for station, expected in ((first, [wanted.id]), (second, [wanted.id]), (alone, [])):
        mirrors = api.stations.list_mirrors(station.id).data.items
        assert [one.id for one in mirrors] == expected
        assert api.stations.get_management_station(station.id).data.total_mirrors == len(expected)
    (mirror_,) = api.stations.list_mirrors(second.id).data.items
    assert (mirror_.state, mirror_.percentage, mirror_.log, mirror_.time_last_synced) == ("UNSYNCED", 0, "", None)
    assert (mirror_.type, mirror_.os_family, mirror_.arch_type) == ("PRIVATE", "ORACLE_LINUX_9", "X86_64")


def test_mirrors_are_filtered_sorted_and_paged(api: Any) -> None:
    station = api.station()
    sources = [api.source(name).id for name in ("b", "a", "c")]
    api.profile(management_station_id=station.id, software_source_ids=sources)

    def names(**query: Any) -> Any:
        return [one.display_name for one in api.stations.list_mirrors(station.id, **query).data.items]

    assert names() == ["c", "a", "b"]
    assert names(sort_by="displayName") == ["a", "b", "c"]
    assert names(sort_by="displayName", sort_order="DESC", limit=2) == ["c", "b"]
    assert names(display_name="a") == ["a"]
    assert names(mirror_states=["SYNCED", "FAILED"]) == []
    found = oci.pagination.list_call_get_all_results(api.stations.list_mirrors, station.id, limit=1)
    assert [one.display_name for one in found.data] == ["c", "a", "b"]


def test_refresh_and_sync_are_work_requests_filed_against_the_host(api: Any) -> None:
    station = api.station()
    instance_id = api.register(station.id)
    source = api.source()
    api.profile(management_station_id=station.id, software_source_ids=[source.id])
    requests = api.live.client(oci.os_management_hub.WorkRequestClient)
    wanted = models.SynchronizeMirrorsDetails(software_source_list=[source.id])
    answers = {
        "SET_MANAGEMENT_STATION_CONFIG": api.stations.refresh_management_station_config(station.id),
        "SYNC_MANAGEMENT_STATION_MIRROR": api.stations.synchronize_mirrors(station.id, wanted),
    }
    for operation, answer in answers.items():
        assert answer.status == 202
        found = requests.get_work_request(answer.headers["opc-work-request-id"]).data
        assert (found.operation_type, found.compartment_id) == (operation, api.root)
        (resource,) = found.resources
        assert (resource.entity_type, resource.identifier) == ("INSTANCE", instance_id)
        assert resource.metadata["managementStationId"] == station.id
    assert api.stations.list_mirrors(station.id).data.items[0].state == "QUEUED"
    single = api.stations.synchronize_single_mirrors(station.id, source.id)
    assert (
        single.headers["opc-work-request-id"]
        != answers["SYNC_MANAGEMENT_STATION_MIRROR"].headers["opc-work-request-id"]
    )


def test_only_mirrors_of_a_registered_station_are_synced(api: Any) -> None:
    station, source = api.station(), api.source()
    wanted = models.SynchronizeMirrorsDetails(software_source_list=[source.id])
    assert refused(api.stations.refresh_management_station_config, station.id).code == "Conflict"
    api.register(station.id)
    error = refused(api.stations.synchronize_mirrors, station.id, wanted)
    assert (error.status, source.id in error.message) == (404, True)
    none = models.SynchronizeMirrorsDetails(software_source_list=[])
    assert refused(api.stations.synchronize_mirrors, station.id, none).status == 400


def test_the_list_filters_sorts_and_pages(api: Any) -> None:
    for name in ("b", "a", "C"):
        api.station(name)
    other = api.station("other", hostname="x.example.com")
    api.register(other.id)

    def names(**query: Any) -> Any:
        return [one.display_name for one in api.stations.list_management_stations(**query).data.items]

    assert names() == ["other", "C", "a", "b"]
    assert names(sort_order="ASC", limit=2) == ["b", "a"]
    assert names(sort_by="displayName", compartment_id=api.root) == ["C", "a", "b", "other"]
    assert names(display_name_contains="OTH") == ["other"]
    assert names(display_name_contains="%") == []
    assert names(id=other.id) == ["other"]
    assert names(health_state="UNHEALTHY") == ["other"]
    assert names(managed_instance_id="ocid1.managementagent.oc1..none") == []
    assert names(location=["EC2", "GCP"]) == []
    assert len(names(location_not_equal_to=["EC2"])) == 4
    assert names(compartment_id="ocid1.compartment.oc1..none") == []
    lister = api.stations.list_management_stations
    assert [one.display_name for one in oci.pagination.list_call_get_all_results(lister, limit=3).data] == names()


def test_two_stations_at_once_do_not_slip_past_the_port_rule(postgres_api: Any) -> None:
    """I2 holds against itself: on PostgreSQL both transactions look before either has written."""
    api = postgres_api
    details = [api.station_details(f"S{n}", proxy=proxy(port=str(16080 + n))) for n in range(6)]

    def create(one: Any) -> Any:
        try:
            return api.live.client(oci.os_management_hub.ManagementStationClient).create_management_station(one).status
        except ServiceError as error:
            return error.status

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        statuses = sorted(pool.map(create, details))
    assert statuses == [200, 409, 409, 409, 409, 409]


@pytest.mark.parametrize("name", ["get_management_station", "delete_management_station", "list_mirrors"])
def test_unknown_stations_are_404(api: Any, name: Any) -> None:
    assert refused(getattr(api.stations, name), UNKNOWN).code == "NotAuthorizedOrNotFound"


def test_a_slow_name_service_holds_nobody_up(api: Any) -> None:
    """Names are resolved before the transaction: another write gets through meanwhile."""
    gate = threading.Event()
    asked = threading.Event()

    def slow(_name: str) -> tuple[str, ...]:
        asked.set()
        assert gate.wait(20)
        return ("10.0.0.1",)

    object.__setattr__(api.live.hub, "resolve", slow)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.station, "slow", proxy=proxy(hosts=["name.example.com"]))
        assert asked.wait(10)
        assert api.source().lifecycle_state == "ACTIVE"
        gate.set()
        assert waiting.result().proxy.hosts == ["name.example.com"]
