from __future__ import annotations

import datetime
import ipaddress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID

from stationmaster.hub.services import authority
from stationmaster.model import errors

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def made() -> Any:
    return authority.Authority.load(*authority.make_authority("test", NOW))


def request(name: Any = "evil.example.com") -> Any:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def verify(made: Any, chain: Any, name: Any, at: Any) -> Any:
    store = verification.Store(x509.load_pem_x509_certificates(made.ca_pem.encode()))
    subject = x509.DNSName(name) if name[0].isalpha() else x509.IPAddress(ipaddress.ip_address(name))
    verifier = verification.PolicyBuilder().store(store).time(at).build_server_verifier(subject)
    leaf, *rest = x509.load_pem_x509_certificates(chain.encode())
    verifier.verify(leaf, rest)


def test_a_chain_holds_for_exactly_the_names_that_the_hub_decided(made: Any) -> None:
    chain = made.issue(request(), ["LB.example.com.", "10.0.0.1", "lb.example.com"], NOW)
    for name in ("lb.example.com", "10.0.0.1"):
        verify(made, chain, name, NOW)
    for name in ("evil.example.com", "10.0.0.2"):
        with pytest.raises(verification.VerificationError):
            verify(made, chain, name, NOW)


def test_a_certificate_ends_and_tolerates_slow_clocks(made: Any) -> None:
    chain = made.issue(request(), ["lb"], NOW)
    verify(made, chain, "lb", NOW - datetime.timedelta(minutes=9))
    with pytest.raises(verification.VerificationError):
        verify(made, chain, "lb", NOW + authority.CERTIFICATE_LIFE + datetime.timedelta(seconds=1))


def test_a_certificate_cannot_issue_others(made: Any) -> None:
    leaf = x509.load_pem_x509_certificates(made.issue(request(), ["lb"], NOW).encode())[0]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    "text", ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_what_is_no_request_is_refused(made: Any, text: Any) -> None:
    with pytest.raises(errors.CallerError):
        made.issue(text, ["lb"], NOW)


def test_no_name_is_refused(made: Any) -> None:
    with pytest.raises(errors.CallerError):
        made.issue(request(), [], NOW)


def test_renewal_is_due_by_age_and_by_names(made: Any) -> None:
    chain = made.issue(request(), ["lb", "10.0.0.1"], NOW).encode()
    assert not authority.is_renewal_due(chain, ["10.0.0.1", "LB."], NOW)
    assert authority.is_renewal_due(chain, ["lb"], NOW)
    assert authority.is_renewal_due(chain, ["lb", "10.0.0.1", "new"], NOW)
    two_thirds = NOW + authority.CERTIFICATE_LIFE * 2 / 3
    assert not authority.is_renewal_due(chain, ["lb", "10.0.0.1"], two_thirds - datetime.timedelta(days=1))
    assert authority.is_renewal_due(chain, ["lb", "10.0.0.1"], two_thirds + datetime.timedelta(days=1))


def test_a_key_of_another_ca_is_refused() -> None:
    certificate, _ = authority.make_authority("one", NOW)
    _, key = authority.make_authority("other", NOW)
    with pytest.raises(errors.CallerError, match="belong together"):
        authority.Authority.load(certificate, key)
