"""Small decisions of the daemon, each by itself."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import msgspec
import pysequoia
import pytest

from stationmaster.api_client import keys as rsa_keys
from stationmaster.host import files as host_files
from stationmaster.host import http as host_http
from stationmaster.mirror import access, outcome, source
from stationmaster.model import errors, protocol
from stationmaster.station import (
    account,
    board,
    certificates,
    health,
    names,
    register,
    report,
    source_keys,
    upstreams,
)
from stationmaster.station import plan as plans
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import fake_hub, manual_clock
from stationmaster.testing import stations as make

A = make.A
STATES = protocol.MirrorState


# --- the state that is shown (I7) -----------------------------------------------------------------------------------

_FAILED = protocol.SyncReport(number=1, is_running=False, problem=protocol.Problem(code="x", message="y"))
STATE_TABLE = [
    ("whole and shown", {}, STATES.SYNCED),
    ("whole and shown, though its own sync failed", {"sync": snapshots.SyncView(report=_FAILED)}, STATES.SYNCED),
    ("runs", {"sync": snapshots.SyncView(is_running=True)}, STATES.SYNCING),
    ("waits", {"sync": snapshots.SyncView(is_queued=True)}, STATES.QUEUED),
    ("a newer one is visible", {"told": (make.visible(A, 2, "g2"),)}, STATES.UNSYNCED),
    ("not held", {"volume": make.volume()}, STATES.UNSYNCED),
    (
        "not held, and the sync failed",
        {"volume": make.volume(), "sync": snapshots.SyncView(report=_FAILED)},
        STATES.FAILED,
    ),
    ("nothing shown", {"shown": (), "told": ()}, STATES.UNSYNCED),
]


@pytest.mark.parametrize(("changes", "expected"), [row[1:] for row in STATE_TABLE], ids=[row[0] for row in STATE_TABLE])
def test_mirror_state(changes: dict[str, object], expected: protocol.MirrorState) -> None:
    sync_view = changes.pop("sync", None)
    syncs = snapshots.frozen_map({A: sync_view} if sync_view else {})
    assert report.mirror_state(make.snapshot(syncs=syncs, **changes), A) is expected


def test_the_heartbeat_says_everything() -> None:
    snapshot = make.snapshot(
        syncs=snapshots.frozen_map({A: snapshots.SyncView(report=_FAILED)}),
        nginx=make.engine(problem=protocol.Problem(code="PortTaken", message="taken")),
    )
    verdict = health.readiness.judge(snapshot, make.NOW_AT, make.NOW)
    message = report.heartbeat(snapshot, plans.Plan(is_applied=True), verdict, make.NOW)
    assert message.readiness is protocol.Readiness.LAST_RESORT
    assert [one.code for one in message.problems] == ["PortTaken", "x"]
    assert message.problems[1].message == "a: y"
    assert (message.desired_digest, message.applied_digest) == ("d", "d")
    assert [(one.generation, one.is_fetchable) for one in message.sources[0].held] == [("g1", True)]
    assert msgspec.json.decode(msgspec.json.encode(message), type=protocol.StationHeartbeat) == message
    later = dataclasses.replace(snapshot, contact=snapshots.Contact(confirmed_at=make.NOW_AT))
    assert report.news_of(snapshot, verdict) == report.news_of(later, verdict)


def test_a_volume_that_cannot_be_written_is_still_usable() -> None:
    """Otherwise the group would go on without a station that says it is ready, and clients would meet a 404 there."""
    readonly = protocol.Problem(code="VolumeReadOnly", message="cannot be written")
    snapshot = make.snapshot(volume=make.volume({A: ("g1",)}, is_writable=False, write_problem=readonly))
    verdict = health.readiness.judge(snapshot, make.NOW_AT, make.NOW)
    message = report.heartbeat(snapshot, plans.Plan(is_applied=True), verdict, make.NOW)
    assert verdict.readiness is protocol.Readiness.READY
    assert (message.volume.is_writable, message.volume.problem) == (False, None)
    assert [one.code for one in message.problems] == ["VolumeReadOnly"]


_READ_ONLY = protocol.Problem(code="VolumeReadOnly", message="cannot be written")
_KEY_AWAY = protocol.Problem(code="KeyUnavailable", message="http://up/key: no answer")
_HINDRANCES = [
    ("a volume that cannot be written", {"volume": make.volume({A: ("g1",)}, write_problem=_READ_ONLY)}, _READ_ONLY),
    ("a volume that is not there", {"volume": make.volume(problem=_READ_ONLY)}, _READ_ONLY),
    ("a key that cannot be had", {"keys": {A: snapshots.KeysView("k", problem=_KEY_AWAY)}}, _KEY_AWAY),
]


@pytest.mark.parametrize(("changes", "expected"), [r[1:] for r in _HINDRANCES], ids=[r[0] for r in _HINDRANCES])
def test_a_sync_that_cannot_begin_is_told_as_failed(changes: dict[str, object], expected: protocol.Problem) -> None:
    """Its work request would stay IN_PROGRESS for as long as the trouble lasts."""
    desired = make.desired(sources=[make.source(A, 5)])
    told = report.sync_report(make.snapshot(desired=desired, **changes), A)
    assert told is not None
    assert (told.number, told.is_running, told.problem) == (5, False, expected)
    assert expected.message in told.log
    done = protocol.SyncReport(number=5, is_running=False, generation="g1")
    for view in (snapshots.SyncView(number=5, report=done), snapshots.SyncView(number=4, is_running=True, report=done)):
        syncs = snapshots.frozen_map({A: view})
        assert report.sync_report(make.snapshot(desired=desired, syncs=syncs, **changes), A) == done


def test_what_cannot_be_recorded_as_visible_is_told_as_failed() -> None:
    volume = make.volume({A: ("g1", "g2")}, write_problem=_READ_ONLY)
    done = protocol.SyncReport(number=1, is_running=False, generation="g2")
    syncs = snapshots.frozen_map({A: snapshots.SyncView(number=1, report=done)})
    snapshot = make.snapshot(told=(make.visible(A, 2, "g2"),), volume=volume, syncs=syncs)
    told = report.sync_report(snapshot, A)
    assert told is not None
    assert told.problem == _READ_ONLY
    assert report.mirror_state(snapshot, A) is protocol.MirrorState.FAILED


# --- health ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "plain", "tier"),
    [({}, 200, 200), ({"contact": snapshots.Contact()}, 503, 200), ({"volume": None}, 503, 503)],
)
def test_health_answers(changes: dict[str, object], plain: int, tier: int) -> None:
    clock = manual_clock.ManualClock(make.NOW)
    clock._seconds = make.NOW_AT
    answering = health.Health(board.Board(make.snapshot(**changes)), clock)
    found = answering.answer("GET", "/healthz")
    assert found.status == plain
    assert found.headers["Cache-Control"] == "no-store"
    body = msgspec.json.decode(found.body, type=health.HealthBody)
    assert body.readiness.value == found.headers["X-Stationmaster-Readiness"]
    assert bool(body.reasons) == (plain == 503)
    assert answering.answer("GET", "/healthz?tier=serving").status == tier
    assert answering.answer("GET", "/livez").status == 200
    assert answering.answer("GET", "/etc/passwd").status == 404


@pytest.mark.parametrize(
    ("changes", "mirror", "proxy", "tier"),
    [
        ({}, 200, 200, 200),
        ({"contact": snapshots.Contact(confirmed_at=make.NOW_AT, is_by_peer=True)}, 200, 503, 200),
        ({"contact": snapshots.Contact(confirmed_at=make.NOW_AT, is_by_peer=True), "volume": None}, 503, 503, 503),
    ],
)
def test_a_proxy_that_cannot_reach_the_hub_is_no_equal(
    changes: dict[str, object], mirror: int, proxy: int, tier: int
) -> None:
    clock = manual_clock.ManualClock(make.NOW)
    clock._seconds = make.NOW_AT
    answering = health.Health(board.Board(make.snapshot(**changes)), clock)
    assert answering.answer("GET", "/healthz").status == mirror
    found = answering.answer("GET", "/healthz?port=proxy&")
    assert found.status == proxy
    assert (b"HubThroughPeer" in found.body) == (mirror != proxy)
    assert answering.answer("GET", "/healthz?port=proxy&tier=serving").status == tier


def test_health_turns_worse_by_itself() -> None:
    """A daemon whose loop hangs answers from what was known last; silence of its observers counts against it."""
    clock = manual_clock.ManualClock(make.NOW)
    clock._seconds = make.NOW_AT
    answering = health.Health(board.Board(make.snapshot()), clock)
    assert answering.verdict().is_ready
    clock.advance(5.5)
    assert not answering.verdict().is_ready


# --- certificates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names_in", "host", "expected"),
    [
        ({"lb.example"}, "LB.example.", True),
        ({"*.example"}, "lb.example", True),
        ({"*.example"}, "a.lb.example", False),
        ({"10.0.0.9"}, "10.0.0.9", True),
        ({"*.0.0.9"}, "10.0.0.9", False),
        ({"2001:db8::1"}, "2001:DB8:0::1", True),
        (set(), "lb.example", False),
    ],
)
def test_names_of_certificates(names_in: set[str], host: str, *, expected: bool) -> None:
    assert certificates.is_named(frozenset(names_in), host) is expected


def test_reading_certificates(tmp_path: Path) -> None:
    hub = fake_hub.FakeHub()
    hub.desired = make.desired()
    key = rsa_keys.make_private_key()
    request = protocol.CertificateRequest(request=certificates.make_request(key, "x" * 80))
    chain = hub._sign(request).chain
    both, beside = tmp_path / "both.pem", tmp_path / "chain.pem"
    both.write_text(chain + rsa_keys.private_pem(key).decode())
    beside.write_text(chain)
    view = certificates.read_operators(both)
    assert view.names == {"lb.example"}
    assert not certificates.fault_of(view, "lb.example", datetime.datetime.now(datetime.UTC))
    with pytest.raises(errors.HostError, match=r"\.key"):
        certificates.read_operators(beside)
    (tmp_path / "chain.key").write_bytes(rsa_keys.private_pem(key))
    assert certificates.read_operators(beside).names == {"lb.example"}
    (tmp_path / "chain.key").write_bytes(rsa_keys.private_pem(rsa_keys.make_private_key()))
    with pytest.raises(errors.HostError, match="does not belong"):
        certificates.read_operators(beside)
    with pytest.raises(errors.HostError, match="cannot be read"):
        certificates.read_operators(tmp_path / "none.pem")


def test_the_operators_certificate_only_while_good() -> None:
    signed, own = make.certificate(digest="hub"), make.certificate(digest="own")
    view = snapshots.CertificatesView(signed=signed, operators=own)
    assert certificates.chosen(view, "lb.example", make.NOW) == own
    assert certificates.chosen(view, "lb.example", make.NOW + datetime.timedelta(days=31)) == signed
    assert certificates.chosen(view, "other.example", make.NOW) == signed
    assert certificates.chosen(snapshots.CertificatesView(), "lb.example", make.NOW) is None


# --- keys -----------------------------------------------------------------------------------------------------------


class OneAnswer:
    def __init__(self, body: bytes, status: int = 200) -> None:
        self.body, self.status, self.asked = body, status, 0

    def request(self, method: str, url: str, *, timeout: float) -> host_http.Response:
        del method, url, timeout
        self.asked += 1
        return host_http.Response(self.status, {}, self.body)


def _store(directory: Path, answer: OneAnswer) -> source_keys.KeyStore:
    return source_keys.KeyStore(directory, host_files.Files(), answer)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def public_key() -> bytes:
    return bytes(pysequoia.Tsk.generate("a <a@example.org>").extract_certificate())


def test_keys_are_fetched_once_and_pinned(tmp_path: Path, public_key: bytes) -> None:
    wanted = msgspec.structs.replace(make.source(A), gpg_key_urls=["https://upstream/key"])
    first = OneAnswer(public_key)
    armored = _store(tmp_path / "keys", first).collect(wanted)
    assert armored.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    exchanged = OneAnswer(b"something else")
    assert _store(tmp_path / "keys", exchanged).collect(wanted) == armored
    assert (first.asked, exchanged.asked) == (1, 0)
    assert source_keys.wanted_name(wanted) != source_keys.wanted_name(make.source(A)) == ""


@pytest.mark.parametrize(
    ("url", "body", "status", "words"),
    [
        ("https://u/key", b"<html>", 200, "no OpenPGP key"),
        ("https://u/key", b"", 404, "status 404"),
        ("ftp://u/key", b"", 200, "https, http or file"),
        ("file:///etc/shadow", b"", 200, "outside the directories for keys"),
        ("file:///etc/pki/rpm-gpg/../../shadow", b"", 200, "outside the directories for keys"),
    ],
)
def test_what_is_no_key_is_refused(tmp_path: Path, url: str, body: bytes, status: int, words: str) -> None:
    wanted = msgspec.structs.replace(make.source(A), gpg_key_urls=[url])
    with pytest.raises(errors.StationmasterError, match=words):
        _store(tmp_path / "keys", OneAnswer(body, status)).collect(wanted)


def test_secret_keys_never_go_out() -> None:
    secret = bytes(pysequoia.Tsk.generate("a <a@example.org>"))
    try:
        armored = source_keys.armor(secret, where="here")
    except errors.CallerError:
        return
    assert "PRIVATE" not in armored


# --- names, syncs, registration ---------------------------------------------------------------------------------------


def test_a_dead_name_server_takes_no_address_away() -> None:
    clock, answers = manual_clock.ManualClock(), {"lb": ("10.0.0.1",)}
    known = names.Names(lambda name: answers.get(name, ()), clock)
    assert not known.are_known(["lb"])
    assert known.refresh(["lb", "none"])
    assert known.are_known(["lb", "none"])
    answers.clear()
    clock.advance(100)
    assert not known.refresh(["lb", "none"])
    assert dict(known.read()) == {"lb": ("10.0.0.1",)}
    # A daemon that starts while the name server is away goes on with what its predecessor knew.
    assert names.Names(lambda _: (), clock, known.read()).are_known(["lb"])
    answers["lb"] = ("10.0.0.2",)
    clock.advance(100)
    assert known.refresh(["lb"])
    assert dict(known.read()) == {"lb": ("10.0.0.2",)}


def test_percentages_rise() -> None:
    steps = [
        outcome.Progress(outcome.Phase.ROOT),
        outcome.Progress(outcome.Phase.METADATA, 1, 2),
        outcome.Progress(outcome.Phase.PACKAGES, 0, 10, 0, 1000),
        outcome.Progress(outcome.Phase.PACKAGES, 5, 10, 500, 1000),
        outcome.Progress(outcome.Phase.PACKAGES, 10, 10, 1000, 1000),
        outcome.Progress(outcome.Phase.PUBLISH),
    ]
    found = [account.percentage(one) for one in steps]
    assert found == sorted(found)
    assert found[0] == 0
    assert found[-1] < 100


def test_sources_become_the_engines() -> None:
    rpm = upstreams.engine_source(make.source(A), "")
    assert rpm == source.RpmSource(name=A, url="http://upstream/")
    deb = msgspec.structs.replace(
        make.source(A), format=protocol.SourceFormat.DEB, suites=["s"], components=["c"], architectures=["amd64"]
    )
    assert upstreams.engine_source(deb, "KEY").keys == (b"KEY",)
    assert upstreams.engine_source(msgspec.structs.replace(deb, is_gpg_checked=False), "KEY").keys == ()
    assert upstreams.engine_source(make.source(A), "KEY").keys == (b"KEY",)
    assert upstreams.engine_source(msgspec.structs.replace(make.source(A), is_root_signed=False), "KEY").keys == ()
    with pytest.raises(errors.CallerError):
        upstreams.engine_source(msgspec.structs.replace(deb, suites=[]), "")


def test_the_way_to_an_upstream_is_the_sources_own() -> None:
    given = protocol.UpstreamAccess(
        metalink="https://h/m", username="me", password="s3cret", client_certificate="/c.pem", ca_file="/ca.pem"
    )
    wanted = msgspec.structs.replace(make.source(A), access=given)
    assert upstreams.engine_source(wanted, "") == source.RpmSource(
        name=A, url="http://upstream/", metalink="https://h/m"
    )
    copied = upstreams.engine_source(wanted, "", url="http://peer/")
    assert copied == source.RpmSource(name=A, url="http://peer/")  # a peer is asked as a peer
    assert upstreams.credentials_of(wanted) == access.Credentials(
        "me", "s3cret", certificate=Path("/c.pem"), ca_file=Path("/ca.pem")
    )
    assert upstreams.credentials_of(make.source(A)) == access.Credentials()
    assert "s3cret" not in repr(wanted)


def test_each_package_can_be_demanded_to_be_signed() -> None:
    wanted = msgspec.structs.replace(
        make.source(A), is_root_signed=False, access=protocol.UpstreamAccess(is_each_package_checked=True)
    )
    for url in (None, "http://peer/"):  # a copy is checked like the original
        found = upstreams.engine_source(wanted, "KEY", url=url)
        assert isinstance(found, source.RpmSource)
        assert (found.keys, found.package_keys) == ((), (b"KEY",))
    with pytest.raises(errors.CallerError, match="mirror_gpgcheck"):
        upstreams.engine_source(wanted, "")


def test_registration_tries_until_time_is_over() -> None:
    clock = manual_clock.ManualClock()
    answer = protocol.RegistrationAnswer(tenancy_id="t", managed_instance_id="m")
    tries: list[int] = []

    def attempt() -> protocol.RegistrationAnswer:
        tries.append(1)
        if len(tries) < 4:
            raise errors.PeerError("no answer")
        return answer

    assert register.retry(attempt, clock, seconds=60) == answer
    begun = clock.monotonic()

    def never() -> protocol.RegistrationAnswer:
        raise errors.PeerError("no answer")

    with pytest.raises(errors.PeerError):
        register.retry(never, clock, seconds=30)
    assert clock.monotonic() - begun <= 30
