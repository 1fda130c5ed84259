"""When a balancer asks the hub for the group's certificate, and what it ends TLS with meanwhile."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from stationmaster.balancer import certificate
from stationmaster.host import files
from stationmaster.hub.services import authority
from stationmaster.model import errors, protocol
from stationmaster.testing import manual_clock

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
PORTS = protocol.Ports(proxy=1, http=2, https=3)


def view(host: str = "LB.example.com.", *, can_end_tls: bool = True) -> protocol.BalancerView:
    return protocol.BalancerView(hostname=host, group_id="g", ports=PORTS, servers=[], can_end_tls=can_end_tls)


class Hub:
    """Signs, counts, and can refuse."""

    def __init__(self, clock: manual_clock.ManualClock) -> None:
        self.clock = clock
        self.asked: list[str] = []
        self.refusal: errors.StationmasterError | None = None
        self.host = "lb.example.com"
        ca, key = authority.make_authority("hub", clock.now())
        self.ca = ca
        self.authority = authority.Authority.load(ca, key)

    def sign(self, request: str) -> str:
        self.asked.append(request)
        if self.refusal is not None:
            raise self.refusal
        return self.authority.issue(request, [self.host], self.clock.now())


@pytest.fixture
def clock() -> manual_clock.ManualClock:
    return manual_clock.ManualClock(NOW)


@pytest.fixture
def hub(clock: manual_clock.ManualClock) -> Hub:
    return Hub(clock)


def held(tmp_path: Path, hub: Hub) -> certificate.GroupCertificate:
    return certificate.GroupCertificate(tmp_path, files.Files(), hub.clock, hub.sign)


def test_it_is_asked_for_once_and_survives_a_restart(tmp_path: Path, hub: Hub) -> None:
    kept = held(tmp_path, hub)
    assert kept.present(view()) is None
    for _ in range(3):
        kept.renew_if_due(view())
    assert len(hub.asked) == 1
    tls = kept.present(view())
    assert tls is not None
    combined = tls.certificate.read_bytes()
    leaf, key = x509.load_pem_x509_certificate(combined), serialization.load_pem_private_key(combined, password=None)
    assert leaf.public_key() == key.public_key()
    assert tls.ca.read_bytes() == hub.ca
    assert tls.certificate.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in hub.asked[0]
    assert held(tmp_path, hub).present(view()) == tls


def test_it_is_renewed_in_time_and_not_used_beyond_its_end(tmp_path: Path, hub: Hub) -> None:
    kept = held(tmp_path, hub)
    kept.renew_if_due(view())
    first = kept.present(view())
    assert first is not None
    leaf = x509.load_pem_x509_certificate(first.certificate.read_bytes())
    life = (leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds()
    hub.clock.advance(life * 0.6)
    kept.renew_if_due(view())
    assert len(hub.asked) == 1
    hub.clock.advance(life * 0.1)
    kept.renew_if_due(view())
    second = kept.present(view())
    assert second is not None
    assert second.digest != first.digest
    hub.clock.advance(life)
    assert kept.present(view()) is None


def test_a_refusal_is_asked_again_after_a_pause(tmp_path: Path, hub: Hub) -> None:
    hub.refusal = errors.ConflictError("No.")
    kept = held(tmp_path, hub)
    kept.renew_if_due(view())
    kept.renew_if_due(view())
    assert (len(hub.asked), kept.present(view())) == (1, None)
    hub.refusal = None
    hub.clock.advance(61)
    kept.renew_if_due(view())
    assert kept.present(view()) is not None


def test_not_where_stations_show_certificates_of_their_own(tmp_path: Path, hub: Hub) -> None:
    kept = held(tmp_path, hub)
    kept.renew_if_due(view(can_end_tls=False))
    assert hub.asked == []
    kept.renew_if_due(view())
    assert kept.present(view()) is not None
    assert kept.present(view(can_end_tls=False)) is None


def test_another_group_needs_another(tmp_path: Path, hub: Hub) -> None:
    kept = held(tmp_path, hub)
    kept.renew_if_due(view())
    hub.host = "other.example.com"
    hub.clock.advance(61)
    assert kept.present(view("other.example.com")) is None
    kept.renew_if_due(view("other.example.com"))
    assert kept.present(view("other.example.com")) is not None


@pytest.mark.parametrize("name", ["group.pem", "stations-ca.pem"])
def test_damaged_files_are_as_none(tmp_path: Path, hub: Hub, name: str) -> None:
    held(tmp_path, hub).renew_if_due(view())
    (tmp_path / name).write_text("-----BEGIN CERTIFICATE-----\nno\n")
    kept = held(tmp_path, hub)
    assert kept.present(view()) is None
    kept.renew_if_due(view())
    assert kept.present(view()) is not None


def test_a_chain_without_the_ca_is_refused(tmp_path: Path, hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    end = "-----END CERTIFICATE-----\n"

    def sign(request: str) -> str:
        return hub.sign(request).partition(end)[0] + end

    kept = certificate.GroupCertificate(tmp_path, files.Files(), hub.clock, sign)
    kept.renew_if_due(view())
    assert kept.present(view()) is None
    assert "no CA" in caplog.text
