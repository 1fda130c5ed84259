"""I9: hub, database or network away for a day, with the clock passed in."""

from __future__ import annotations

import dataclasses
import datetime

import msgspec
import pytest

from stationmaster.model import protocol
from stationmaster.station import board as boards
from stationmaster.station import health, plan, readiness, specs, steps
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import manual_clock
from stationmaster.testing import stations as make

A = make.A
TLS = make.desired(client_address=protocol.ClientAddress(host="lb.example", ports=make.PORTS, is_mirror_tls=True))
SOON = make.certificate(begins=datetime.timedelta(days=-60), ends=datetime.timedelta(hours=20))


def at(hours: float) -> plan.Moment:
    return plan.Moment(make.NOW_AT + hours * 3600, make.NOW + datetime.timedelta(hours=hours))


def world(hours: float, **changes: object) -> snapshots.Snapshot:
    """A station that heard the hub last before the day began; all on its own host is well. A source is to be synced,
    another generation to be copied, and a removal is due."""
    now_at = at(hours).at
    allowed = snapshots.Orders(
        leases=snapshots.frozen_map({A: snapshots.LeaseView(4, make.NOW_AT + 8)}),
        tokens=snapshots.frozen_map({A: 4}),
        stored_tokens=snapshots.frozen_map({A: 4}),
        volume_lease=snapshots.LeaseView(2, make.NOW_AT + 8),
        retained=snapshots.frozen_map({A: frozenset({"g1"})}),
        pinned=snapshots.frozen_map({A: frozenset({"g1"})}),
        room_bytes=10**9,
    )
    record = snapshots.frozen_map({A: make.visible(A, 1, "g1")})
    values: dict[str, object] = {
        "desired": make.desired(sources=[make.source(A, 9)]),
        "contact": snapshots.Contact(
            confirmed_at=make.NOW_AT, problem=protocol.Problem(code="PeerUnavailable", message="No answer.")
        ),
        "orders": allowed,
        "volume": make.volume({A: ("g0", "g1")}, records=record, seen_at=now_at, available_bytes=1),
        "nginx": make.engine(seen_at=now_at),
        "squid": make.engine(seen_at=now_at),
        "clean_at": make.NOW_AT,
        **changes,
    }
    return make.snapshot(**values)


HOURS = [1 / 60, 0.5, 1, 6, 12, 23.9, 24]


@pytest.mark.parametrize("hours", HOURS)
def test_it_serves_removes_nothing_and_asks_no_upstream(hours: float) -> None:
    now = at(hours)
    present = world(hours)
    verdict = readiness.judge(present, now.at, now.time)
    assert verdict.readiness is protocol.Readiness.LAST_RESORT
    assert [one.code for one in verdict.reasons] == ["Unconfirmed"]
    found = plan.plan(present, make.HOST, {}, now).steps
    forbidden = steps.Clean | steps.MakeRoom | steps.StartSync | steps.RemoveWww | steps.RequestCertificate
    assert [one for one in found if isinstance(one, forbidden)] == []


def test_the_engines_configuration_does_not_change_with_the_hubs_absence() -> None:
    digests = set()
    for hours in HOURS:
        found = plan.plan(world(hours), make.HOST, {}, at(hours)).steps
        digests.add(tuple(one.digest for one in found if isinstance(one, steps.ApplyNginx | steps.ApplySquid)))
    assert len(digests) == 1
    assert len(digests.pop()) == 2, "a restarted host has both"


@pytest.mark.parametrize("hours", HOURS)
def test_a_host_that_starts_anew_has_the_same_configuration(hours: float) -> None:
    fresh = dataclasses.replace(
        world(hours),
        contact=snapshots.Contact(),
        orders=snapshots.Orders(leases=snapshots.frozen_map()),
        fetch=snapshots.frozen_map(),
        syncs=snapshots.frozen_map(),
    )
    found = plan.plan(fresh, make.HOST, {}, at(hours)).steps
    before = plan.plan(world(0), make.HOST, {}, at(0)).steps
    kinds = steps.ApplyNginx | steps.ApplySquid
    assert [one for one in found if isinstance(one, kinds)] == [one for one in before if isinstance(one, kinds)]
    assert steps.ProbeFetchable(A, "g1") in found, "what it holds is proved again"


@pytest.mark.parametrize("desired", [make.desired(), TLS], ids=["HTTP", "HTTPS"])
def test_a_certificate_that_ends_meanwhile_ends_no_service(desired: protocol.StationDesired) -> None:
    """Clients by HTTP are served on, and HTTPS clients see the reason; a station that has a good one is preferred."""
    present = world(24, desired=desired, certificates=snapshots.CertificatesView(signed=SOON))
    now = at(24)
    verdict = readiness.judge(present, now.at, now.time)
    assert verdict.readiness is protocol.Readiness.LAST_RESORT
    assert "CertificateInvalid" in [one.code for one in verdict.reasons]
    applied = [one for one in plan.plan(present, make.HOST, {}, now).steps if isinstance(one, steps.ApplyNginx)]
    assert applied[0].spec.certificate is not None, "nginx goes on showing it"
    assert specs.nginx_digest(applied[0].spec) == applied[0].digest


def test_before_it_ends_the_station_itself_says_so() -> None:
    present = world(0, certificates=snapshots.CertificatesView(signed=SOON))
    clock = manual_clock.ManualClock()
    assert [one.code for one in health.warnings(present, make.NOW)] == ["CertificateNearEnd"]
    assert "as soon as the hub answers" in health.warnings(present, make.NOW)[0].message
    body = msgspec.json.decode(health.Health(boards.Board(present), clock).answer("GET", "/healthz").body)  # type: ignore[arg-type]
    assert "warnings" in body
    assert health.warnings(world(0), make.NOW) == ()


def test_it_is_asked_for_when_the_hub_is_back() -> None:
    back = snapshots.Contact(confirmed_at=at(24).at - 1)
    present = world(24, contact=back, certificates=snapshots.CertificatesView(signed=SOON))
    found = plan.plan(present, make.HOST, {}, at(24)).steps
    assert steps.RequestCertificate("lb.example") in found
