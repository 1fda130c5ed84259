"""A hub in a thread that speaks the station's part of the protocol, so that a station daemon can be tested alone.

It checks signatures as the hub does, makes visible what the one station holds and can fetch, and can be taken away.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import ssl
import tempfile  # noqa: TID251 - a key for the length of one call, for tests
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, types
from cryptography.x509 import oid

from stationmaster.api_client import keys
from stationmaster.host import clock as clocks
from stationmaster.model import addresses, digest, errors, protocol, response_file, signing
from stationmaster.model import visible_record as records
from stationmaster.testing import signed_records

TENANCY = "ocid1.tenancy.oc1..fake"
STATION = "ocid1.osmhmanagementstation.oc1.test.fake"
INSTANCE = "ocid1.managementagent.oc1.test.fake"
KEY = "registration-key"


class FakeHub:
    """State that a test reads and changes; ``running`` serves it."""

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self.tls_names: tuple[str, ...] = ()
        self.port = 0
        self.mirror_directory = ""
        self.desired: protocol.StationDesired | None = None
        self.visible: dict[str, protocol.Visible] = {}
        self.is_advancing = True
        self.is_away = False
        self.refuses_registration = False
        self.lifetime = datetime.timedelta(days=30)
        self.beats: list[protocol.StationHeartbeat] = []
        self.registrations: list[protocol.RegistrationRequest] = []
        self.certificates = 0
        self.history: dict[str, list[str]] = {}
        self.notices: list[protocol.Notice] = []
        self.record: protocol.SignedRecord | None = None
        self._record_counter = 0
        self._record_digest = ""
        self._clock = clocks.SystemClock()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._ca_name = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, "Fake hub CA")])
        self.ca_pem = self._make_ca()

    @property
    def url(self) -> str:
        """Plain HTTP on the loopback address, as a hub with ``--plain-http``; HTTPS when there are ``tls_names``."""
        return f"{'https' if self.tls_names else 'http'}://{self.host}:{self.port}"

    @property
    def last(self) -> protocol.StationHeartbeat | None:
        """The newest heartbeat."""
        return self.beats[-1] if self.beats else None

    def response_file(self) -> str:
        """What registers a station here."""
        return response_file.render(
            response_file.ResponseFile(
                registration_key=KEY,
                gateway_host=self.host,
                gateway_port=self.port,
                hub_url=self.url,
                ca_pem=self.ca_pem if self.tls_names else "",
            )
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[FakeHub]:
        """Serve until the context ends."""
        server = ThreadingHTTPServer((self.host, self.port), _handler_of(self))
        if self.tls_names:
            server.socket = self._tls().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> msgspec.Struct:
        """One call."""
        if path.endswith("/registrations"):
            return self._register(msgspec.json.decode(body, type=protocol.RegistrationRequest))
        self._require_signature(path, headers, body)
        if path == f"/stationmaster/v1/stations/{STATION}/heartbeat":
            return self._beat(msgspec.json.decode(body, type=protocol.StationHeartbeat))
        if path == f"/stationmaster/v1/stations/{STATION}/certificate":
            return self._sign(msgspec.json.decode(body, type=protocol.CertificateRequest))
        raise errors.NotFoundError("no such thing")

    def _register(self, request: protocol.RegistrationRequest) -> protocol.RegistrationAnswer:
        if self.refuses_registration or request.registration_key != KEY:
            raise errors.NotAuthenticatedError("The registration key is used up.")
        self.registrations.append(request)
        return protocol.RegistrationAnswer(
            tenancy_id=TENANCY,
            managed_instance_id=INSTANCE,
            station_id=STATION,
            mirror_directory=self.mirror_directory,
            display_name="StationA",
        )

    def _require_signature(self, path: str, headers: dict[str, str], body: bytes) -> None:
        found = signing.parse_authorization(headers["authorization"])
        signing.required_headers("POST", found.headers)
        key = keys.load_public_key(self.registrations[-1].public_key)
        text = signing.signing_string("POST", path, headers, found.headers)
        is_body = headers["x-content-sha256"] == signing.body_digest(body)
        if not (is_body and keys.is_signature_valid(key, found.signature, text)):
            raise errors.NotAuthenticatedError("The signature does not hold.")

    def _beat(self, beat: protocol.StationHeartbeat) -> protocol.HeartbeatAnswer:
        self.beats.append(beat)
        if self.is_advancing:
            self._advance(beat)
        name = digest.digest_of(self.desired)
        return protocol.HeartbeatAnswer(
            time_received=self._clock.now(),
            desired_digest=name,
            desired=None if beat.desired_digest == name else self.desired,
            visible=list(self.visible.values()),
            record=self._record_for(beat),
            retained=self.history,
            volume_lease=self._removal_lease(beat),
            pinned={one: found[-2:] for one, found in self.history.items()} if beat.volume.room_bytes else None,
            noted=[one.id for one in beat.notices],
        )

    def _removal_lease(self, beat: protocol.StationHeartbeat) -> protocol.VolumeLease | None:
        """Where room is wanted; other removals need none from a hub that gives no leases."""
        self.notices += [one for one in beat.notices if one not in self.notices]
        if not beat.volume.room_bytes:
            return None
        return protocol.VolumeLease(volume_id=beat.volume.volume_id or "", token=1, room_bytes=beat.volume.room_bytes)

    def sign_record(self, record: records.VisibleRecord) -> protocol.SignedRecord:
        """By this hub's CA."""
        return signed_records.signed_by(self._key, record)

    def _record_for(self, beat: protocol.StationHeartbeat) -> protocol.SignedRecord | None:
        """As the hub's: signed when it changes, given to who has not got it."""
        if self.desired is None or beat.record is None:
            return None
        wanted = records.compose(self.desired.group_id, [self.desired], self.visible)
        if records.content_digest(wanted) != self._record_digest:
            self._record_digest = records.content_digest(wanted)
            self._record_counter = records.next_counter(self._record_counter, [beat.record.counter])
            numbered = msgspec.structs.replace(wanted, counter=self._record_counter, time_signed=self._clock.now())
            self.record = self.sign_record(numbered)
        return self.record if beat.record.counter < self._record_counter else None

    def _advance(self, beat: protocol.StationHeartbeat) -> None:
        for source in beat.sources:
            held = [one for one in source.held if one.is_fetchable]
            newest = max(held, key=lambda one: str(one.time_root), default=None)
            shown = self.visible.get(source.source_id)
            if newest is not None and (shown is None or shown.generation != newest.generation):
                number = shown.number + 1 if shown else 1
                self.history.setdefault(source.source_id, []).append(newest.generation)
                self.visible[source.source_id] = protocol.Visible(
                    source_id=source.source_id, number=number, generation=newest.generation
                )

    def _sign(self, request: protocol.CertificateRequest, holder: str = STATION) -> protocol.CertificateAnswer:
        assert self.desired is not None  # noqa: S101 - a test that asks before has a mistake
        self.certificates += 1
        asked = x509.load_pem_x509_csr(request.request.encode())
        host = self.desired.client_address.host
        name: x509.GeneralName = x509.DNSName(host)
        if addresses.is_address(host):
            name = x509.IPAddress(ipaddress.ip_address(host))
        return protocol.CertificateAnswer(chain=self._certify(asked.public_key(), [name], holder) + self.ca_pem)

    def _tls(self) -> ssl.SSLContext:
        key = keys.make_private_key()
        names = [
            x509.IPAddress(ipaddress.ip_address(one)) if addresses.is_address(one) else x509.DNSName(one)
            for one in self.tls_names
        ]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(keys.private_pem(key) + self._certify(key.public_key(), names, "hub").encode())
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def _certify(self, key: types.CertificatePublicKeyTypes, names: Sequence[x509.GeneralName], holder: str) -> str:
        now = self._clock.now()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(
                x509.Name(
                    [
                        x509.NameAttribute(oid.NameOID.COMMON_NAME, "stationmaster"),
                        x509.NameAttribute(oid.NameOID.USER_ID, holder),
                    ]
                )
            )
            .issuer_name(self._ca_name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + self.lifetime)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _pem(certificate)

    def _make_ca(self) -> str:
        now = self._clock.now()
        key = self._key
        built = (
            x509.CertificateBuilder()
            .subject_name(self._ca_name)
            .issuer_name(self._ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=100))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        )
        return _pem(built.sign(key, hashes.SHA256()))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _handler_of(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            if hub.is_away:
                self.close_connection = True
                return
            try:
                sent = {name.lower(): value for name, value in self.headers.items()}
                self._reply(200, msgspec.json.encode(hub.answer(self.path, sent, body)))
            except errors.StationmasterError as exc:
                status = 401 if isinstance(exc, errors.NotAuthenticatedError) else 404
                self._reply(status, msgspec.json.encode({"code": exc.code, "message": exc.message}))

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            """Say nothing."""

    return Handler
