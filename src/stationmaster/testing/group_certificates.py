"""Certificates for the group of the balancer's tests: one that is its own authority, and what it signs."""

from __future__ import annotations

import datetime
import subprocess  # noqa: TID251 - certificates for the test
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stationmaster.host import clock

HOSTNAME = "updates.test"
_KEY_PAIR: dict[str, tuple[bytes, bytes]] = {}


def make_certificate(chain: Path, key: Path) -> None:
    """The group's, signed by itself and so its own authority; one for all stations of this process."""
    if HOSTNAME not in _KEY_PAIR:
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        names = ("-subj", f"/CN={HOSTNAME}", "-addext", f"subjectAltName=DNS:{HOSTNAME}")
        command = ["/usr/bin/openssl", "req", "-x509", *kind, *names, "-keyout", str(key), "-out", str(chain)]
        subprocess.run(command, check=True, capture_output=True)
        _KEY_PAIR[HOSTNAME] = chain.read_bytes(), key.read_bytes()
    chain.write_bytes(_KEY_PAIR[HOSTNAME][0])
    key.write_bytes(_KEY_PAIR[HOSTNAME][1])


def sign_by(authority: Path, request_pem: str) -> str:
    """A chain for the group's name, as the hub gives it: signed by the certificate and key in one file."""
    request = x509.load_pem_x509_csr(request_pem.encode())
    issuer = x509.load_pem_x509_certificates(authority.read_bytes())[0]
    key = serialization.load_pem_private_key(authority.read_bytes(), password=None)
    now = clock.SystemClock().now()
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stationmaster")]))
        .issuer_name(issuer.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOSTNAME)]), critical=False)
        .sign(cast(ec.EllipticCurvePrivateKey, key), hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    return (made.public_bytes(form) + issuer.public_bytes(form)).decode()
