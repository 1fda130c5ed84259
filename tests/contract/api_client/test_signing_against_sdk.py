"""Our signature and that of the published SDK are one: each verifies what the other signed."""

import datetime
import threading
from collections.abc import Iterator
from http import server as http_server
from pathlib import Path
from typing import Any

import oci
import pytest
from oci.signer import Signer

from stationmaster.api_client import keys, session
from stationmaster.host import clock, http
from stationmaster.model import errors, signing

TENANCY = "ocid1.tenancy.oc1..test"
USER = "ocid1.user.oc1..test"


class Recorder(http_server.ThreadingHTTPServer):
    """Keeps what came in; answers as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RecordingHandler)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: tuple[int, bytes] = (200, b'{"items": []}')


class RecordingHandler(http_server.BaseHTTPRequestHandler):
    def _serve(self) -> None:
        assert isinstance(self.server, Recorder)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers, body))
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    path.write_bytes(keys.private_pem(keys.make_private_key()))
    return path


def verify(seen: tuple[str, str, dict[str, str], bytes], key_file: Path) -> signing.Authorization:
    method, target, headers, body = seen
    authorization = signing.parse_authorization(headers["authorization"])
    signing.required_headers(method, authorization.headers)
    message = signing.signing_string(method, target, headers, authorization.headers)
    public = keys.load_private_key(key_file).public_key()
    assert keys.is_signature_valid(public, authorization.signature, message)
    assert not keys.is_signature_valid(public, authorization.signature, message + b" ")
    if method in signing.BODY_METHODS:
        assert headers["x-content-sha256"] == signing.body_digest(body)
    return authorization


def sdk_config(key_file: Path) -> dict[str, str]:
    fingerprint = keys.fingerprint(keys.load_private_key(key_file).public_key())
    return {
        "user": USER,
        "tenancy": TENANCY,
        "fingerprint": fingerprint,
        "key_file": str(key_file),
        "region": "us-ashburn-1",
    }


def test_what_the_sdk_signs_holds(recorder: Recorder, key_file: Path) -> None:
    client = oci.os_management_hub.ManagementStationClient(
        sdk_config(key_file),
        service_endpoint=f"http://127.0.0.1:{recorder.server_port}",
        retry_strategy=oci.retry.NoneRetryStrategy(),
    )
    client.list_management_stations(compartment_id="ocid1.compartment.oc1..x y/ü", location=["EC2", "GCP"])
    recorder.answer = (204, b"")
    client.synchronize_mirrors(
        "ocid1.osmhmanagementstation.oc1..a",
        oci.os_management_hub.models.SynchronizeMirrorsDetails(
            software_source_list=["ocid1.osmhsoftwaresource.oc1..z"]
        ),
    )
    assert [seen[0] for seen in recorder.seen] == ["GET", "POST"]
    for seen in recorder.seen:
        authorization = verify(seen, key_file)
        assert (authorization.key_id.tenancy_id, authorization.key_id.principal_id) == (TENANCY, USER)
        assert authorization.key_id.fingerprint == sdk_config(key_file)["fingerprint"]


def test_we_sign_as_the_sdk_does(recorder: Recorder, key_file: Path) -> None:
    config = sdk_config(key_file)
    ours = session.Session(
        f"http://127.0.0.1:{recorder.server_port}/",
        http.Http(),
        clock.SystemClock(),
        key_id=signing.KeyId(TENANCY, USER, config["fingerprint"]),
        key=keys.load_private_key(key_file),
    )
    ours.request("GET", "/20220901/managementStations", query={"location": ["EC2", "GCP"], "limit": 2, "all": True})
    ours.request("POST", "/20220901/profiles", body={"displayName": "ä"}, headers={"opc-retry-token": "t"})
    ours.request("DELETE", "/20220901/profiles/x")
    theirs = Signer(TENANCY, USER, config["fingerprint"], str(key_file))
    for seen in recorder.seen:
        authorization = verify(seen, key_file)
        method, target, headers, _ = seen
        names = [name for name in authorization.headers if name != "(request-target)"]
        rebuilt = (
            theirs._basic_signer.sign(  # the SDK's own signer over the same headers
                {name: headers[name] for name in names}, host=headers["host"], method=method, path=target
            )
            if method == "GET"
            else None
        )
        if rebuilt is not None:
            assert signing.parse_authorization(rebuilt["authorization"]).signature == authorization.signature
    assert recorder.seen[0][1] == "/20220901/managementStations?location=EC2&location=GCP&limit=2&all=true"
    sent = email_date(recorder.seen[0][2]["date"])
    assert abs((datetime.datetime.now(datetime.UTC) - sent).total_seconds()) < 5


def email_date(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=datetime.UTC)


def test_errors_come_back_in_the_hubs_words(recorder: Recorder) -> None:
    ours = session.Session(f"http://127.0.0.1:{recorder.server_port}", http.Http(), clock.SystemClock())
    recorder.answer = (409, b'{"code": "Conflict", "message": "taken by StationA"}')
    with pytest.raises(session.HubRefusedError, match="taken by StationA") as refused:
        ours.request("GET", "/x")
    assert (refused.value.status, refused.value.code) == (409, "Conflict")
    recorder.answer = (502, b"<html>")
    with pytest.raises(session.HubFailedError, match="502"):
        ours.request("GET", "/x")


def test_no_hub_is_a_peer_error() -> None:
    ours = session.Session("http://127.0.0.1:1", http.Http(), clock.SystemClock())
    with pytest.raises(errors.PeerError, match=r"No answer from http://127\.0\.0\.1:1"):
        ours.request("GET", "/x", timeout=2)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("Basic abc", "scheme"),
        ('Signature keyId="a/b/c"', "lacks"),
        ('Signature version="1",algorithm="rsa-sha256",headers="date",keyId="a/b",signature="YQ=="', "keyId"),
        ('Signature version="1",algorithm="rsa-sha1",headers="date",keyId="a/b/c",signature="YQ=="', "rsa-sha256"),
        ('Signature version="1",algorithm="rsa-sha256",headers="date",keyId="a/b/c",signature="%"', "base64"),
        (
            'Signature version="1",version="1",algorithm="rsa-sha256",headers="date",keyId="a/b/c",signature="YQ=="',
            "twice",
        ),
    ],
)
def test_broken_authorization_is_refused_with_its_reason(value: str, reason: str) -> None:
    with pytest.raises(errors.NotAuthenticatedError, match=reason):
        signing.parse_authorization(value)


def test_mixed_case_header_names_are_read_as_lower_case() -> None:
    parsed = signing.parse_authorization(
        'Signature version="1",algorithm="rsa-sha256",headers="X-Date (request-target) Host",'
        'keyId="a/b/c",signature="YQ=="'
    )
    assert parsed.headers == ("x-date", "(request-target)", "host")
    signing.required_headers("GET", parsed.headers)
    with pytest.raises(errors.NotAuthenticatedError, match="content-length, content-type, x-content-sha256"):
        signing.required_headers("POST", parsed.headers)
