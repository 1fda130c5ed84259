"""The hub's own certificate authority: it decides the names in every certificate, whatever a request asks for.

The key never leaves the state directory. Certificates are short-lived and renewed by whoever uses them when a third of
their life is left.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stationmaster.model import addresses, errors

CA_LIFE = datetime.timedelta(days=3650)
CERTIFICATE_LIFE = datetime.timedelta(days=90)
_BACKDATED = datetime.timedelta(minutes=10)  # clocks of machines may be behind

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Authority:
    """Issues certificates. ``ca_pem`` is what others must trust."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes) -> Authority:
        """From the two files of the state directory; CallerError when they do not belong together."""
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = serialization.load_pem_private_key(key_pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise errors.CallerError(
                "The CA certificate and the CA key of the state directory do not belong together.",
                hint="Restore both files from the same backup.",
            )
        return cls(certificate, key)

    @property
    def ca_pem(self) -> str:
        """The CA's certificate as PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, content: bytes) -> bytes:
        """A signature over content that begins with a word of its own, so that it is none over a certificate."""
        return self._key.sign(content, ec.ECDSA(hashes.SHA256()))

    def issue(self, request_pem: str, names: Iterable[str], now: datetime.datetime, *, holder: str = "") -> str:
        """A chain (certificate, then CA) for the key of a signing request, valid for ``names`` and nothing else.

        ``holder`` is the station that may show it to its peers (ADR 14).
        """
        try:
            request = x509.load_pem_x509_csr(request_pem.encode())
        except ValueError as exc:
            raise errors.CallerError("request is no PEM certificate signing request.") from exc
        key = request.public_key()
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) or not request.is_signature_valid:
            raise errors.CallerError("The certificate signing request is not signed by its own RSA or EC key.")
        return self.certify(key, names, now, holder=holder)

    def certify(self, key: PublicKey, names: Iterable[str], now: datetime.datetime, *, holder: str = "") -> str:
        """A chain (certificate, then CA) for ``key``; ``names`` are host names and addresses, each once."""
        entries = [_general_name(name) for name in dict.fromkeys(addresses.canonical_host(name) for name in names)]
        if not entries:
            raise errors.CallerError("A certificate needs at least one name.")
        uses = [ExtendedKeyUsageOID.SERVER_AUTH] + [ExtendedKeyUsageOID.CLIENT_AUTH] * bool(holder)
        builder = (
            _builder("stationmaster", self._certificate.subject, key, now, CERTIFICATE_LIFE, holder=holder)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(entries), critical=False)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode() + self.ca_pem


def make_authority(name: str, now: datetime.datetime) -> tuple[bytes, bytes]:
    """A new CA: certificate and private key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, subject, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), make_pem(key)


def make_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM without a passphrase; for a file that only its owner reads."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def is_renewal_due(chain_pem: bytes, names: Iterable[str], now: datetime.datetime) -> bool:
    """Whether less than a third of the certificate's life is left, or it does not name exactly ``names``."""
    certificate = x509.load_pem_x509_certificates(chain_pem)[0]
    left = certificate.not_valid_after_utc - now
    if left * 3 < certificate.not_valid_after_utc - certificate.not_valid_before_utc:
        return True
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(held) != {_general_name(addresses.canonical_host(name)) for name in names}


def _builder(
    name: str,
    issuer: x509.Name,
    key: PublicKey,
    now: datetime.datetime,
    life: datetime.timedelta,
    *,
    holder: str = "",
) -> x509.CertificateBuilder:
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if holder:
        subject.append(x509.NameAttribute(NameOID.USER_ID, holder))
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    if addresses.is_address(name):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)
