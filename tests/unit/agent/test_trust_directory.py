import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stationmaster.agent import trust_directory

KEY = ec.generate_private_key(ec.SECP256R1())


def name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


def certificate(subject: x509.Name) -> str:
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(subject, subject, KEY.public_key(), 1, now, now + datetime.timedelta(days=1))
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_hashes_are_those_of_openssl() -> None:
    # As `openssl x509 -subject_hash` of 3.0.19 printed them.
    organisation, country = (NameOID.ORGANIZATION_NAME, "Big ORG "), (NameOID.COUNTRY_NAME, "DE")
    expected = {"hub": "2e8d0008", "Stationmaster  CA of X ": "9ec11d2a", "Ünï Code": "a35ac0b9"}
    for common, found in expected.items():
        assert trust_directory.subject_hash(name(organisation, (NameOID.COMMON_NAME, common), country)) == found


def test_certificates_of_one_subject_stand_side_by_side_and_nonsense_trusts_nobody() -> None:
    one, other = (certificate(name((NameOID.COMMON_NAME, text))) for text in ("Hub CA", "hub  ca"))
    (first, first_text), (second, second_text) = trust_directory.render_trust_directory(one + other).items()
    assert (first.partition(".")[2], second.partition(".")[2]) == ("0", "1")
    assert first.partition(".")[0] == second.partition(".")[0]
    assert (first_text, second_text) == (one, other)
    assert trust_directory.render_trust_directory("CA") == {}
    assert trust_directory.render_trust_directory("") == {}
