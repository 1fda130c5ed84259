"""I8: a station that answers ready can serve everything the group has made visible, can proxy, and was confirmed."""

from __future__ import annotations

import dataclasses
import datetime

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from stationmaster.model import protocol
from stationmaster.station import readiness
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import stations as make

READY, LAST, NO = protocol.Readiness.READY, protocol.Readiness.LAST_RESORT, protocol.Readiness.NO
A = make.A


def judge(snapshot: snapshots.Snapshot) -> readiness.Verdict:
    return readiness.judge(snapshot, make.NOW_AT, make.NOW)


def problem(code: str) -> protocol.Problem:
    return protocol.Problem(code=code, message=code)


TABLE = [
    ("all is well", {}, READY, []),
    ("nothing is known", {"desired": None}, NO, ["NoDesiredState"]),
    ("no look at the volume yet", {"volume": None}, NO, ["VolumeUnknown"]),
    ("the mount hangs", {"volume": make.volume({A: ("g1",)}, seen_at=make.NOW_AT - 13)}, NO, ["VolumeSilent"]),
    ("wrong marker", {"volume": make.volume(problem=problem("NotAVolume"))}, NO, ["NotAVolume"]),
    (
        "read-only, but all is held",
        {"volume": make.volume({A: ("g1",)}, is_writable=False, write_problem=problem("VolumeReadOnly"))},
        READY,
        [],
    ),
    ("nginx is silent", {"nginx": make.engine(is_answering=False)}, NO, ["NginxSilent"]),
    ("squid was not asked lately", {"squid": make.engine(seen_at=make.NOW_AT - 4)}, NO, ["SquidSilent"]),
    (
        "no squid is wanted",
        {"squid": make.engine(is_answering=False), "desired": make.desired(is_proxy_enabled=False)},
        READY,
        [],
    ),
    ("former configuration serves", {"nginx": make.engine(problem=problem("PortTaken"))}, LAST, ["PortTaken"]),
    ("no certificate, HTTP clients", {"certificates": snapshots.CertificatesView()}, LAST, ["CertificateMissing"]),
    (
        "no certificate, HTTPS clients",
        {
            "certificates": snapshots.CertificatesView(),
            "desired": make.desired(
                client_address=protocol.ClientAddress(host="lb.example", ports=make.PORTS, is_mirror_tls=True)
            ),
        },
        NO,
        ["CertificateMissing"],
    ),
    (
        "certificate names another",
        {"certificates": snapshots.CertificatesView(signed=make.certificate(frozenset({"other"})))},
        LAST,
        ["CertificateInvalid"],
    ),
    (
        "certificate expired",
        {"certificates": snapshots.CertificatesView(signed=make.certificate(ends=datetime.timedelta(0)))},
        LAST,
        ["CertificateInvalid"],
    ),
    ("the visible one is not held", {"volume": make.volume({A: ("g0",)})}, NO, ["Behind"]),
    ("not proved fetchable yet", {"fetch": snapshots.frozen_map()}, NO, ["Unproved"]),
    (
        "not fetchable",
        {"fetch": snapshots.frozen_map({(A, "g1"): snapshots.FetchView(is_fetchable=False)})},
        NO,
        ["Behind"],
    ),
    ("the volume is back, nginx does not know yet", {"nginx": make.engine(is_blind=True)}, NO, ["VolumeReturning"]),
    (
        "refused by the hub",
        {"orders": snapshots.Orders(volume_problem=protocol.Problem(code="VolumeCopied", message="m"))},
        LAST,
        ["VolumeCopied"],
    ),
    ("a newer one is visible", {"told": (make.visible(A, 2, "g2"),)}, LAST, ["Behind"]),
    ("never confirmed", {"contact": snapshots.Contact()}, LAST, ["Unconfirmed"]),
    ("confirmed 6.1 s ago", {"contact": snapshots.Contact(confirmed_at=make.NOW_AT - 6.1)}, LAST, ["Unconfirmed"]),
    ("confirmed 6 s ago", {"contact": snapshots.Contact(confirmed_at=make.NOW_AT - 6.0)}, READY, []),
    (
        "taken out for lagging",
        {"contact": snapshots.Contact(confirmed_at=make.NOW_AT, is_in_rotation=False)},
        LAST,
        ["Lagging"],
    ),
    ("deleted in the hub", {"contact": snapshots.Contact(confirmed_at=make.NOW_AT, is_gone=True)}, NO, ["Gone"]),
    ("draining", {"desired": make.desired(is_draining=True)}, LAST, ["Draining"]),
    ("nothing visible yet", {"told": (), "shown": (), "volume": make.volume()}, READY, []),
    (
        "a source that left the list does not count",
        {"told": (make.visible(A, 1, "g1"), make.visible(make.B, 9, "gx"))},
        READY,
        [],
    ),
]


@pytest.mark.parametrize(("changes", "expected", "codes"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_reason(changes: dict[str, object], expected: protocol.Readiness, codes: list[str]) -> None:
    verdict = judge(make.snapshot(**changes))
    assert (verdict.readiness, [one.code for one in verdict.reasons]) == (expected, codes)


def test_behind_in_one_source_is_not_out() -> None:
    """R6: a station behind in one source is still a server of last resort."""
    told = (make.visible(A, 1, "g1"), make.visible(make.B, 4, "g4"))
    both = make.desired(sources=[make.source(A), make.source(make.B)])
    assert judge(make.snapshot(told=told, desired=both)).readiness is LAST


_GENERATIONS = st.sampled_from(["g1", "g2", "g3"])


@st.composite
def _snapshots(draw: st.DrawFn) -> snapshots.Snapshot:
    held = draw(st.sets(_GENERATIONS))
    proved = draw(st.sets(_GENERATIONS))

    def maybe() -> tuple[protocol.Visible, ...]:
        chosen = draw(st.none() | st.tuples(st.integers(1, 3), _GENERATIONS))
        return () if chosen is None else (make.visible(A, *chosen),)

    return make.snapshot(
        volume=draw(
            st.none()
            | st.builds(
                make.volume,
                st.just({A: tuple(sorted(held))}),
                problem=st.none() | st.just(problem("NotAVolume")),
                seen_at=st.sampled_from([make.NOW_AT, make.NOW_AT - 60]),
            )
        ),
        fetch=snapshots.frozen_map({(A, one): snapshots.FetchView(is_fetchable=True) for one in proved}),
        told=maybe(),
        shown=maybe(),
        nginx=draw(st.builds(make.engine, is_answering=st.booleans())),
        squid=draw(st.builds(make.engine, is_answering=st.booleans())),
        contact=snapshots.Contact(confirmed_at=draw(st.none() | st.floats(make.NOW_AT - 20, make.NOW_AT))),
        certificates=draw(st.builds(snapshots.CertificatesView, signed=st.none() | st.builds(make.certificate))),
        desired=make.desired(is_draining=draw(st.booleans()), is_proxy_enabled=draw(st.booleans())),
    )


@hypothesis.given(_snapshots())
def test_ready_means_it_can(snapshot: snapshots.Snapshot) -> None:
    verdict = judge(snapshot)
    assert verdict.is_ready == (not verdict.reasons)
    if not verdict.is_ready:
        return
    assert snapshot.volume is not None
    assert snapshot.volume.problem is None
    for told in snapshot.told:
        shown = snapshot.shown_of(told.source_id)
        assert shown is not None
        assert shown.number >= told.number
        assert snapshot.volume.holds(shown.source_id, shown.generation)
        assert snapshot.fetch[shown.source_id, shown.generation].is_fetchable
    assert snapshot.nginx.is_answering
    assert snapshot.desired is not None
    assert snapshot.squid.is_answering or not snapshot.desired.is_proxy_enabled
    assert snapshot.contact.confirmed_at is not None
    assert make.NOW_AT - snapshot.contact.confirmed_at <= snapshot.desired.confirmed_seconds
    assert not snapshot.desired.is_draining
    assert snapshot.certificates.signed is not None


@hypothesis.given(_snapshots(), st.floats(0, 100))
def test_silence_makes_it_worse_never_better(snapshot: snapshots.Snapshot, later: float) -> None:
    rank = {READY: 0, LAST: 1, NO: 2}
    now = readiness.judge(snapshot, make.NOW_AT, make.NOW)
    then = readiness.judge(snapshot, make.NOW_AT + later, make.NOW)
    assert rank[then.readiness] >= rank[now.readiness]


def test_reasons_are_told_to_people() -> None:
    snapshot = dataclasses.replace(
        make.snapshot(), contact=snapshots.Contact(confirmed_at=make.NOW_AT - 30, problem=problem("refused by peer"))
    )
    (reason,) = judge(snapshot).reasons
    assert reason.message == "The hub has not confirmed this station for 30 s. refused by peer"


def test_a_port_that_clients_are_not_told_of_may_be_taken_while_ports_change() -> None:
    """ADR 24: else one foreign process would make a whole group a last resort; not answering at all is no anyway."""
    present = make.snapshot(nginx=make.engine(problem=problem("PortTaken")))
    assert judge(present).readiness is LAST
    assert present.desired is not None
    desired = msgspec.structs.replace(present.desired, also_ports=protocol.Ports(proxy=1, http=2, https=3))
    changing = dataclasses.replace(present, desired=desired)
    assert judge(changing).readiness is READY
    other = dataclasses.replace(changing, squid=make.engine(problem=problem("CheckFailed")))
    assert judge(other).readiness is LAST
    silent = dataclasses.replace(
        changing, nginx=make.engine(problem=problem("PortTaken"), is_answering=False, is_running=False)
    )
    assert judge(silent).readiness is NO
