from __future__ import annotations

import concurrent.futures
import datetime
import email.utils
import json
import pathlib
from typing import Any

import oci
import pytest
import sqlalchemy as sa
from oci.exceptions import ServiceError
from oci.os_management_hub import models

from stationmaster.hub.api import retry_tokens
from stationmaster.hub.db import schema

STATIONS = "/20220901/managementStations"
COMPARTMENTS = "/stationmaster/v1/compartments"


def body(**values: Any) -> Any:
    return json.dumps({"name": "x", **values}).encode()


def at(seconds: Any) -> Any:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return email.utils.format_datetime(moment, usegmt=True)


# --- signatures ---------------------------------------------------------------------------------------------------


def test_a_signed_request_is_answered(wire: Any) -> None:
    assert wire.send("GET", STATIONS).status == 200
    assert wire.send("POST", COMPARTMENTS, body()).status == 200


def test_x_date_may_stand_in_for_date_as_the_javascript_sdk_does(wire: Any) -> None:
    headers = wire.headers("GET", STATIONS, date=None) | {"x-date": at(0)}
    names = ("(request-target)", "host", "x-date")
    signed = wire.sign("GET", STATIONS, {"host": headers["host"], "x-date": headers["x-date"]}, names)
    assert wire.send("GET", STATIONS, headers=signed).status == 200
    mixed = signed | {"authorization": signed["authorization"].replace("x-date", "X-Date").replace(" host", " Host")}
    assert wire.send("GET", STATIONS, headers=mixed).status == 200


def test_an_old_capture_is_not_saved_by_a_fresh_date_that_is_not_signed(wire: Any) -> None:
    headers = {"host": wire.headers("GET", STATIONS)["host"], "date": at(-3600)}
    signed = wire.sign("GET", STATIONS, headers, ("date", "(request-target)", "host"))
    assert wire.send("GET", STATIONS, headers=signed | {"x-date": at(0)}).code == "NotAuthenticated"
    by_x_date = wire.sign(
        "GET", STATIONS, {"host": headers["host"], "x-date": at(-3600)}, ("x-date", "(request-target)", "host")
    )
    assert wire.send("GET", STATIONS, headers=by_x_date | {"date": at(0)}).code == "NotAuthenticated"


@pytest.mark.parametrize(("shift", "status"), [(290, 200), (-290, 200), (320, 401), (-320, 401)])
def test_five_minutes_of_skew_are_borne(wire: Any, shift: Any, status: Any) -> None:
    got = wire.send("GET", STATIONS, headers=wire.headers("GET", STATIONS, date=at(shift)))
    assert got.status == status


def test_each_header_that_must_be_signed_is_demanded(wire: Any) -> None:
    content = body()
    full = wire.headers("POST", COMPARTMENTS, content)
    plain = {name: value for name, value in full.items() if name != "authorization"}
    every = ("date", "(request-target)", "host", "content-length", "content-type", "x-content-sha256")
    for left_out in every:
        names = tuple(name for name in every if name != left_out)
        signed = wire.sign("POST", COMPARTMENTS, plain, names)
        assert wire.send("POST", COMPARTMENTS, content, signed).code == "NotAuthenticated", left_out


@pytest.mark.parametrize("date", ["", "yesterday", "2026-01-01T00:00:00Z"])
def test_a_date_that_is_none_is_refused(wire: Any, date: Any) -> None:
    assert wire.send("GET", STATIONS, headers=wire.headers("GET", STATIONS, date=date)).status == 401


def test_another_body_path_or_query_than_was_signed_is_refused(wire: Any) -> None:
    headers = wire.headers("POST", COMPARTMENTS, body(name="good"))
    assert wire.send("POST", COMPARTMENTS, body(name="evil"), headers).code == "NotAuthenticated"
    signed = wire.headers("GET", f"{STATIONS}?limit=1")
    assert wire.send("GET", f"{STATIONS}?limit=2", headers=signed).code == "NotAuthenticated"
    assert wire.send("GET", "/20220901/profiles?limit=1", headers=signed).code == "NotAuthenticated"
    assert wire.send("DELETE", f"{STATIONS}/ocid1.x.oc1..y", headers=signed).code == "NotAuthenticated"


def test_a_digest_that_was_signed_but_is_not_the_bodys_is_refused(wire: Any) -> None:
    content = body()
    headers = wire.headers("POST", COMPARTMENTS, content, x_content_sha256="AAAA")
    assert wire.send("POST", COMPARTMENTS, content, headers).code == "NotAuthenticated"


def test_a_signed_header_that_comes_twice_is_refused(wire: Any) -> None:
    signed = wire.headers("GET", STATIONS)
    assert wire.send("GET", STATIONS, headers={**signed, "Date": at(1)}).code == "NotAuthenticated"


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic eA==", "Signature", 'Signature version="1"', 'Signature keyId="a/b/c",keyId="d/e/f"', "\xff" * 9000],
)
def test_a_header_that_is_no_signature_is_refused(wire: Any, authorization: Any) -> None:
    got = wire.send("GET", STATIONS, headers={**wire.headers("GET", STATIONS), "authorization": authorization})
    assert got.code == "NotAuthenticated"


def test_unknown_keys_and_wrong_signatures_are_not_told_apart(live_hub: Any, stranger_key: Any) -> None:
    client = oci.os_management_hub.ManagementStationClient
    messages = set()
    config = oci.config.from_file(str(live_hub.oci_config))
    for changes in (
        {"key_file": str(stranger_key[1])},
        {"user": "ocid1.user.oc1..stranger"},
        {"tenancy": "ocid1.tenancy.oc1..stranger"},
        {"fingerprint": "00:" * 15 + "00"},
    ):
        with pytest.raises(ServiceError) as caught:
            live_hub.client(client, **changes).list_management_stations()
        assert (caught.value.status, caught.value.code) == (401, "NotAuthenticated")
        messages.add(caught.value.message)
    assert len(messages) == 1
    assert config["user"] not in messages.pop()


def test_a_machines_key_opens_nothing_of_peoples(live_hub: Any, wire: Any, stranger_key: Any) -> None:
    machine = "ocid1.managementagent.oc1..machine"
    fingerprint = live_hub.add_principal("MACHINE", machine, stranger_key[0])
    wire.key, wire.key_id = stranger_key[0], type(wire.key_id)(live_hub.root_id, machine, fingerprint)
    for method, target in (("GET", STATIONS), ("POST", COMPARTMENTS), ("GET", "/stationmaster/v1/events")):
        got = wire.send(method, target, body() if method == "POST" else b"")
        assert (got.status, got.code) == (404, "NotAuthorizedOrNotFound")


# --- paths and headers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [f"/{STATIONS}", f"{STATIONS}/", f"//{STATIONS}//", f"{STATIONS}/?limit=1"])
def test_extra_slashes_are_borne_once_the_signature_holds(wire: Any, target: Any) -> None:
    got = wire.send("GET", target)
    assert (got.status, "location" in got.headers) == (200, False)
    assert wire.send("GET", target, headers={"host": "x"}).status == 401


def test_an_sdk_with_a_trailing_slash_in_its_endpoint_works(live_hub: Any) -> None:
    live_hub.endpoint += "/"
    client = live_hub.client(oci.os_management_hub.ManagementStationClient)
    assert client.list_management_stations().data.items == []


@pytest.mark.parametrize("target", ["/", "/20220901", "/20220901/nothing", "/20220902/managementStations", "/%2e%2e/x"])
def test_an_unknown_path_is_not_found(wire: Any, target: Any) -> None:
    got = wire.send("GET", target)
    assert (got.status, got.code) == (404, "NotFound")


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_a_method_that_a_path_lacks_is_not_allowed(wire: Any, method: Any) -> None:
    got = wire.send(method, STATIONS)
    assert (got.status, got.code) == (405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("given", "kept"),
    [("ABC123/x-1", True), ("a" * 128, True), ("a" * 129, False), ("x\ty", False), ("<script>", False), ("", False)],
)
def test_request_ids_are_echoed_or_made(wire: Any, given: Any, kept: Any) -> None:
    for target in (STATIONS, "/nothing"):
        got = wire.send("GET", target, headers={**wire.headers("GET", target), "opc-request-id": given})
        echoed = got.headers["opc-request-id"]
        assert (echoed == given) is kept
        assert echoed.strip()


def test_anybody_may_ask_for_liveness_and_the_ca(wire: Any) -> None:
    health = wire.send("GET", "/stationmaster/v1/health", headers={"host": "x"})
    assert json.loads(health.body)["status"] == "UP"
    ca = wire.send("GET", "/stationmaster/v1/ca", headers={"host": "x"})
    assert ca.body.decode() == wire.live.hub.authority.ca_pem


# --- bodies and queries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code", "named"),
    [
        (b"", "MissingParameter", "body"),
        (b"{", "CannotParseRequest", "byte"),
        (b'{"name": "x"', "CannotParseRequest", "byte"),
        (b'{"name": "\xff"}', "CannotParseRequest", "UTF-8"),
        (b"[]", "InvalidParameter", "object"),
        (b"{}", "MissingParameter", "name"),
        (b'{"name": 1}', "InvalidParameter", "name"),
        (b'{"name": "x", "colour": "red"}', "InvalidParameter", "colour"),
        (b'{"name": "' + b"x" * 200 + b'"}', "InvalidParameter", "name"),
        (b'{"name": "x"}garbage', "CannotParseRequest", "byte"),
        (b"[" * 100_000, "CannotParseRequest", "nested"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_naming_the_place(wire: Any, content: Any, code: Any, named: Any) -> None:
    got = wire.send("POST", COMPARTMENTS, content)
    assert (got.status, got.code) == (400, code), got.body
    assert named in got.message


def test_nested_fields_are_named_by_their_path(wire: Any) -> None:
    content = json.dumps(
        {
            "compartmentId": "x",
            "displayName": "x",
            "hostname": "x",
            "proxy": {"isEnabled": True, "hosts": [1]},
            "mirror": {"directory": "/m", "port": "1", "sslport": "2"},
        }
    ).encode()
    assert "proxy.hosts[" in wire.send("POST", STATIONS, content).message
    missing = content.replace(b'"sslport": "2"', b'"unknown": "2"')
    assert "mirror" in wire.send("POST", STATIONS, missing.replace(b"[1]", b"[]")).message


def test_a_number_for_a_port_is_refused_since_ports_are_strings(wire: Any) -> None:
    content = json.dumps({"mirror": {"directory": "/m", "port": 1, "sslport": "2"}}).encode()
    assert "mirror.port" in wire.send("PUT", f"{STATIONS}/ocid1.s.oc1..x", content).message


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("sortBy=size", "sortBy"),
        ("sortOrder=UP", "sortOrder"),
        ("lifecycleState=GONE", "lifecycleState"),
        ("colour=red", "colour"),
        ("displayName=a%00b", "control character"),
        ("location=ON_PREMISE&location=MOON", "location"),
    ],
)
def test_a_query_that_cannot_be_is_refused_naming_the_parameter(wire: Any, query: Any, named: Any) -> None:
    got = wire.send("GET", f"{STATIONS}?{query}")
    assert (got.status, got.code, named in got.message) == (400, "InvalidParameter", True)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(wire: Any) -> None:
    headers = wire.headers("POST", COMPARTMENTS, content_length=str(1 << 30))
    assert wire.send("POST", COMPARTMENTS, b"", headers).code == "RequestEntityTooLarge"
    assert wire.send("POST", COMPARTMENTS, b" " * (1 << 20) + b"{}").code == "RequestEntityTooLarge"


def test_a_malformed_ocid_in_a_path_is_a_bad_request(wire: Any) -> None:
    for bad in ("x", "ocid1.", "a%20b", "..%2f..%2fetc", "%00", "'%20OR%201=1"):
        got = wire.send("GET", f"{STATIONS}/{bad}")
        assert (got.status, "managementStationId" in got.message) == (400, True), bad


# --- retry tokens -------------------------------------------------------------------------------------------------


def create(api: Any, token: Any, name: Any = "A", **options: Any) -> Any:
    details = api.station_details(name)
    return api.stations.create_management_station(details, opc_retry_token=token, **options)


def count(api: Any) -> Any:
    with api.live.hub.store.read() as tx:
        return tx.execute(sa.select(sa.func.count()).select_from(schema.stations)).scalar_one()


def test_the_same_token_and_request_give_the_same_answer(api: Any) -> None:
    first, second = create(api, "token-1"), create(api, "token-1", opc_request_id="other")
    assert oci.util.to_dict(first.data) == oci.util.to_dict(second.data)
    assert (first.status, first.headers["etag"]) == (second.status, second.headers["etag"])
    assert second.headers["opc-request-id"] == "other"
    assert count(api) == 1
    assert create(api, "token-2").data.id != first.data.id


def test_the_same_token_for_another_request_is_a_conflict(api: Any) -> None:
    create(api, "token")
    with pytest.raises(ServiceError) as caught:
        create(api, "token", "B")
    assert (caught.value.status, caught.value.code) == (409, "InvalidatedRetryToken")


def test_a_token_replays_headers_and_deletes(api: Any) -> None:
    source = api.sources.create_software_source
    details = models.CreatePrivateSoftwareSourceDetails(
        compartment_id=api.root, os_family="ALL", arch_type="NOARCH", url="http://127.0.0.1/x"
    )
    first, second = source(details, opc_retry_token="t"), source(details, opc_retry_token="t")
    assert (first.status, first.headers["location"]) == (second.status, second.headers["location"])
    station = api.station()
    for _ in range(2):
        assert api.stations.delete_management_station(station.id, opc_retry_token="gone").status == 204


def test_a_request_that_failed_may_be_repeated_with_its_token(api: Any) -> None:
    station = api.station("peer")
    clash = models.CreateProxyConfigurationDetails(is_enabled=True, port="1")
    details = api.station_details("B", proxy=clash)
    for _ in range(2):
        with pytest.raises(ServiceError) as caught:
            api.stations.create_management_station(details, opc_retry_token="t")
        assert caught.value.code == "Conflict"
    api.stations.delete_management_station(station.id)
    assert api.stations.create_management_station(details, opc_retry_token="t").status == 200


def test_tokens_end_after_24_hours(api: Any) -> None:
    first = create(api, "t")
    with api.live.hub.store.write() as tx:
        old = api.live.clock.now() - datetime.timedelta(hours=24, seconds=1)
        tx.execute(schema.retry_tokens.update().values(time_created=old))
    assert create(api, "t").data.id != first.data.id
    with api.live.hub.store.write() as tx:
        retry_tokens.forget_expired(tx, api.live.clock.now() + datetime.timedelta(hours=25))
        assert tx.execute(sa.select(sa.func.count()).select_from(schema.retry_tokens)).scalar_one() == 0


def test_many_with_one_token_at_once_make_one_thing(postgres_api: Any) -> None:
    api = postgres_api

    def once(_: Any) -> Any:
        client = api.live.client(oci.os_management_hub.ManagementStationClient)
        return client.create_management_station(api.station_details(), opc_retry_token="t").data.id

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(once, range(6)))) == 1
    assert count(api) == 1


# --- trouble ------------------------------------------------------------------------------------------------------


def test_a_database_that_is_away_is_503_and_says_nothing_of_it(
    live_postgres_hub: Any, postgres_server: Any, caplog: Any
) -> None:
    live = live_postgres_hub
    database = live.hub.store.engine.url.database
    with postgres_server.administrator.connect() as connection:
        connection.execute(sa.text(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false"))
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": database}
        )
    client = live.client(oci.os_management_hub.ManagementStationClient)
    with pytest.raises(ServiceError) as caught:
        client.list_management_stations()
    assert (caught.value.status, caught.value.code) == (503, "ServiceUnavailable")
    assert database not in caught.value.message
    refused = [record for record in caplog.records if record.message == "request refused"]
    assert refused
    assert not any(record.exc_info for record in refused)  # a line, no trace
    with postgres_server.administrator.connect() as connection:
        connection.execute(sa.text(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true"))
    assert client.list_management_stations().data.items == []


def test_our_own_faults_show_no_traces(wire: Any, monkeypatch: Any, caplog: Any) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("inner secret")

    monkeypatch.setattr("stationmaster.hub.services.compartments.list_all", broken)
    got = wire.send("GET", COMPARTMENTS)
    assert (got.status, got.code) == (500, "InternalServerError")
    assert b"secret" not in got.body
    assert b"RuntimeError" not in got.body
    assert "inner secret" in caplog.text


def test_compartments_are_made_and_listed(wire: Any) -> None:
    made = json.loads(wire.send("POST", COMPARTMENTS, body(name="fleet", description="d")).body)
    assert made["compartmentId"] == wire.live.root_id
    below = json.loads(wire.send("POST", COMPARTMENTS, body(name="fleet", parentId=made["id"])).body)
    listed = json.loads(wire.send("GET", COMPARTMENTS).body)["items"]
    assert listed[0]["id"] == wire.live.root_id
    assert {one["id"] for one in listed} == {wire.live.root_id, made["id"], below["id"]}
    assert wire.send("POST", COMPARTMENTS, body(name="fleet")).code == "Conflict"
    assert wire.send("POST", COMPARTMENTS, body(parentId="ocid1.compartment.oc1..x")).status == 404
    assert wire.send("POST", COMPARTMENTS, body(parentId="x")).status == 400


def test_files_of_the_administrator_are_private(live_hub: Any) -> None:
    config = oci.config.from_file(str(live_hub.oci_config))
    for path in (live_hub.oci_config, pathlib.Path(config["key_file"])):
        assert path.stat().st_mode & 0o777 == 0o600
