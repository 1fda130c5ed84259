"""Which certificate the mirror shows, and when a new one is asked for. Pure but for reading files it is given.

Preferred is the operator's (``mirror.sslcert``: one file with chain and key, or a chain with its key beside it as
``.key``), while it is valid and names the group's host; otherwise the one the hub signed.
"""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import oid

from stationmaster.model import addresses, errors, protocol
from stationmaster.station import snapshot as snapshots

_ASK_AGAIN = datetime.timedelta(hours=1)
_NEAR_END = datetime.timedelta(days=14)


def read_certificate(chain: Path, key: Path) -> snapshots.CertificateView:
    """The certificate in these files; HostError when they cannot be read, are no certificate, or do not fit."""
    try:
        chain_pem, key_pem = chain.read_bytes(), key.read_bytes()
    except OSError as exc:
        raise errors.HostError(f"Cannot read {exc.filename}: {exc.strerror}.", hint="Check the path.") from exc
    try:
        leaf = x509.load_pem_x509_certificates(chain_pem)[0]
        private = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, IndexError) as exc:
        raise errors.HostError(
            f"{chain} and {key} are not a PEM certificate chain and its unprotected key: {exc}.",
            hint="The file holds chain and key, or the chain with its key beside it as .key.",
        ) from exc
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise errors.HostError(f"The key {key} does not belong to the certificate {chain}.", hint="Use its own key.")
    return snapshots.CertificateView(
        chain=str(chain),
        key=str(key),
        digest=hashlib.sha256(chain_pem + b"\0" + key_pem).hexdigest(),
        names=names_of(leaf),
        holder=holder_of(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def read_operators(path: Path) -> snapshots.CertificateView:
    """The operator's certificate at ``mirror.sslcert``; HostError when it cannot be used."""
    try:
        has_key = b"PRIVATE KEY-----" in path.read_bytes()
    except OSError as exc:
        raise errors.HostError(
            f"mirror.sslcert names {path}, which cannot be read: {exc.strerror}.",
            hint="Give the path of a PEM file on this station, or leave the setting empty.",
        ) from exc
    beside = next((one for one in (path.with_suffix(".key"), Path(f"{path}.key")) if one.is_file()), path)
    return read_certificate(path, path if has_key else beside)


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """The subject alternative names, lower case, addresses by value."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    names = [addresses.canonical_host(name) for name in found.get_values_for_type(x509.DNSName)]
    return frozenset(names + [str(one) for one in found.get_values_for_type(x509.IPAddress)])


def holder_of(certificate: x509.Certificate) -> str:
    """The station that a certificate of the hub names as its holder; empty for others."""
    found = certificate.subject.get_attributes_for_oid(oid.NameOID.USER_ID)
    return str(found[0].value) if found else ""


def is_named(names: frozenset[str], host: str) -> bool:
    """Whether a certificate with these names is good for ``host`` (RFC 6125: a star stands for one first label)."""
    wanted = addresses.canonical_host(host)
    _, _, parent = wanted.partition(".")
    return wanted in names or (bool(parent) and not addresses.is_address(wanted) and f"*.{parent}" in names)


def fault_of(view: snapshots.CertificateView, host: str, now: datetime.datetime) -> str:
    """Why clients would refuse this certificate; empty when they would not."""
    if now >= view.not_after:
        return f"it expired at {view.not_after:%Y-%m-%d %H:%M} UTC"
    if now < view.not_before:
        return f"it is valid from {view.not_before:%Y-%m-%d %H:%M} UTC only"
    if not is_named(view.names, host):
        return f"it names {', '.join(sorted(view.names)) or 'nothing'}, not {host}"
    return ""


def chosen(view: snapshots.CertificatesView, host: str, now: datetime.datetime) -> snapshots.CertificateView | None:
    """The certificate to show: the operator's when it is good, else the signed one, good or not; None without any."""
    if view.operators is not None and not fault_of(view.operators, host, now):
        return view.operators
    return view.signed


def warnings(view: snapshots.CertificatesView, host: str, now: datetime.datetime) -> list[protocol.Problem]:
    """A certificate near its end, on the station itself: with the hub away nobody else can say so (I9)."""
    shown = chosen(view, host, now)
    if shown is None or not now < shown.not_after < now + _NEAR_END:
        return []
    how = "Renew what mirror.sslcert names." if shown is view.operators else "It is renewed as soon as the hub answers."
    message = f"The mirror's certificate ends at {shown.not_after:%Y-%m-%d %H:%M} UTC. {how}"
    return [protocol.Problem(code="CertificateNearEnd", message=message)]


def is_request_due(view: snapshots.CertificatesView, host: str, holder: str, now: datetime.datetime) -> bool:
    """Whether the hub should sign a new one: there is none, two thirds of its life are over, or the name changed.

    One that does not say whose it is (a hub of the first release signed it) is asked for again now and then.
    """
    signed = view.signed
    if signed is None:
        return True
    life = signed.not_after - signed.not_before
    is_foreign = signed.holder != holder and now - signed.not_before > _ASK_AGAIN
    return now >= signed.not_before + life * 2 / 3 or not is_named(signed.names, host) or is_foreign


def make_request(key: rsa.RSAPrivateKey, common_name: str) -> str:
    """A PEM certificate signing request; the hub decides the names."""
    subject = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, common_name[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
