"""The group's certificate for this balancer, signed by the hub: with it HAProxy ends TLS and repeats HTTPS requests.

The key is made here and never leaves (0600). A certificate is asked for when there is none, when two thirds of its life
are over, or when it names another group; until then, with the hub away, and when it has ended, TLS is passed on.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stationmaster.balancer import spec as balancer
from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.model import addresses, errors, protocol

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 60.0

Sign = Callable[[str], str]


@dataclasses.dataclass(frozen=True)
class _Held:
    """What lies on disk."""

    tls: balancer.OwnTls
    names: frozenset[str]
    begins: datetime.datetime
    ends: datetime.datetime

    def is_good(self, host: str, now: datetime.datetime) -> bool:
        return host in self.names and self.begins <= now < self.ends

    def is_renewal_due(self, host: str, now: datetime.datetime) -> bool:
        return host not in self.names or now >= self.begins + (self.ends - self.begins) * 2 / 3


class GroupCertificate:
    """One per node. ``renew_if_due`` talks to the hub; ``present`` only looks."""

    def __init__(self, state: Path, files: host_files.Files, clock: clocks.Clock, sign: Sign) -> None:
        self._certificate = state / "group.pem"
        self._ca = state / "stations-ca.pem"
        self._files = files
        self._clock = clock
        self._sign = sign
        self._held = self._read()
        self._retry_at = float("-inf")

    def present(self, view: protocol.BalancerView) -> balancer.OwnTls | None:
        """What HAProxy may end TLS with now; None where it must pass TLS on."""
        host = addresses.canonical_host(view.hostname)
        held = self._held
        return held.tls if view.can_end_tls and held is not None and held.is_good(host, self._clock.now()) else None

    def renew_if_due(self, view: protocol.BalancerView) -> None:
        """Ask the hub for a certificate when one is due; a refusal is logged and asked again later."""
        host = addresses.canonical_host(view.hostname)
        held, at = self._held, self._clock.monotonic()
        is_due = held is None or held.is_renewal_due(host, self._clock.now())
        if not view.can_end_tls or not is_due or at < self._retry_at:
            return
        self._retry_at = at + _PAUSE_SECONDS
        try:
            self._renew(host)
        except (errors.StationmasterError, OSError, ValueError) as exc:
            _log.warning("The hub signed no certificate for %s; HTTPS is passed on as it is. %s", host, exc)

    def _renew(self, host: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        chain = self._sign(request.public_bytes(serialization.Encoding.PEM).decode())
        own, *others = x509.load_pem_x509_certificates(chain.encode())
        if not others:
            raise errors.PeerError("The hub's chain has no CA in it.", hint="Compare the releases of hub and balancer.")
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self._files.write_atomic(self._ca, others[-1].public_bytes(serialization.Encoding.PEM), mode=0o600)
        combined = own.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form)
        self._files.write_atomic(self._certificate, combined, mode=0o600)
        self._held = self._read()
        _log.info("HAProxy ends TLS for %s until %s.", host, f"{own.not_valid_after_utc:%Y-%m-%d}")

    def _read(self) -> _Held | None:
        """The files as they are; damaged ones are as none."""
        try:
            combined, ca = self._certificate.read_bytes(), self._ca.read_bytes()
            leaf = x509.load_pem_x509_certificates(combined)[0]
            serialization.load_pem_private_key(combined, password=None)
            x509.load_pem_x509_certificates(ca)
            found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, IndexError, x509.ExtensionNotFound):
            return None
        names = [addresses.canonical_host(one) for one in found.get_values_for_type(x509.DNSName)]
        names += [str(one) for one in found.get_values_for_type(x509.IPAddress)]
        tls = balancer.OwnTls(self._certificate, self._ca, balancer.digest_of(combined, ca))
        return _Held(tls, frozenset(names), leaf.not_valid_before_utc, leaf.not_valid_after_utc)
