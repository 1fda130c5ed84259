"""A hub's CA that signs visible records, for tests of those who check them."""

from __future__ import annotations

import base64
import datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from stationmaster.model import protocol
from stationmaster.model import visible_record as records

_BEGINS = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


class Signer:
    """One CA. ``life`` may be over: that is no reason to disbelieve it."""

    def __init__(self, *, life: datetime.timedelta = datetime.timedelta(days=36500)) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, "A hub of tests")])
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_BEGINS)
            .not_valid_after(_BEGINS + life)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        )
        certificate = built.sign(self.key, hashes.SHA256())
        self.ca_pem = certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, record: records.VisibleRecord) -> protocol.SignedRecord:
        """As the hub does it."""
        return signed_by(self.key, record)


def signed_by(key: ec.EllipticCurvePrivateKey, record: records.VisibleRecord) -> protocol.SignedRecord:
    """The record, signed by any key."""
    content = msgspec.json.encode(record)
    signature = key.sign(records.SIGNED_PREFIX + content, ec.ECDSA(hashes.SHA256()))
    return protocol.SignedRecord(signature=base64.b64encode(signature).decode(), record=msgspec.Raw(content))
