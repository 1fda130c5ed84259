"""Whether a root document is signed by a key the operator pinned (I13). Keys from the upstream itself count nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from stationmaster.mirror import failures
from stationmaster.model import errors

if TYPE_CHECKING:
    import datetime

    import pysequoia

_ARMOR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"


@dataclasses.dataclass(frozen=True)
class Keyring:
    """The pinned certificates of one source."""

    certificates: tuple[pysequoia.Cert, ...]

    def verify_inline(self, document: bytes, *, what: str) -> bytes:
        """The signed content of a cleartext-signed document (InRelease); only this may be read afterwards."""
        import pysequoia

        wanted: list[str] = []
        try:
            verified = pysequoia.verify(bytes=document, store=self._store(wanted))
        except Exception as exc:  # the library raises bare RuntimeError for everything
            raise self._refusal(what, wanted, exc) from exc
        if not verified.valid_sigs or verified.bytes is None:
            raise self._refusal(what, wanted, None)
        return bytes(verified.bytes)

    def verify_detached(self, document: bytes, signature: bytes, *, what: str) -> None:
        """Require that one of the signatures in ``signature`` (armored or not, one or several) holds."""
        import pysequoia

        wanted: list[str] = []
        problem: Exception | None = None
        for single in _split_signatures(signature, what=what):
            try:
                if pysequoia.verify(bytes=document, store=self._store(wanted), signature=single).valid_sigs:
                    return
            except Exception as exc:  # noqa: BLE001 - the library raises bare RuntimeError for everything
                problem = exc
        raise self._refusal(what, wanted, problem) from problem

    def _store(self, wanted: list[str]) -> Store:
        return Store(self.certificates, wanted)

    def _refusal(
        self, what: str, wanted: Iterable[str], problem: Exception | None
    ) -> failures.SignatureInvalidError | failures.SignatureMissingError:
        found = sorted({identity.upper() for identity in wanted})
        expected = ", ".join(certificate.fingerprint.upper() for certificate in self.certificates)
        if not found:
            return failures.SignatureMissingError(
                f"{what} carries no signature; expected was one by {expected}.",
                hint="The last good generation stays. Ask the upstream, or leave out the key.",
            )
        reason = str(problem).split("\n", 1)[0].rstrip(".") if problem else "no valid signature"
        return failures.SignatureInvalidError(
            f"{what} is signed by {', '.join(found)}; expected was a good signature by {expected} ({reason}).",
            hint="The last good generation stays. If the upstream changed its key, pin the new one after checking it.",
        )


class Store:
    """Hands pinned certificates to the library, and notes which keys the signatures name."""

    def __init__(self, certificates: Sequence[pysequoia.Cert], wanted: list[str]) -> None:
        self._certificates = certificates
        self._wanted = wanted

    def __call__(self, identities: Sequence[str]) -> list[pysequoia.Cert]:
        """The library asks once, with the identities of all issuers."""
        self._wanted.extend(identities)
        return list(self._certificates)


def require_unexpired(keyring: Keyring, now: datetime.datetime | None) -> None:
    """At least one pinned key must still hold: OpenPGP libraries accept an old signature by a key that has expired.

    ``now`` None: not looked at.
    """
    if now is None:
        return
    ends = {one.fingerprint.upper(): one.expiration for one in keyring.certificates}
    expired = {name: end for name, end in ends.items() if end is not None and end <= now}
    if expired and len(expired) == len(ends):
        named = ", ".join(f"{name} (expired {end:%Y-%m-%d})" for name, end in sorted(expired.items()))
        raise failures.KeyExpiredError(
            f"Every pinned key has expired: {named}.",
            hint="The last good generation stays. Pin the upstream's renewed key, or allow what has expired.",
        )


def load_keyring(keys: Iterable[bytes]) -> Keyring | None:
    """The certificates in key files, each of which may hold several; None when there are none."""
    import pysequoia

    certificates: list[pysequoia.Cert] = []
    for content in keys:
        start = content.find(_ARMOR)
        blocks = [_ARMOR + block for block in content[start:].split(_ARMOR)[1:]] if start >= 0 else [content]
        for block in blocks:
            try:
                certificates.extend(pysequoia.Cert.split_bytes(block))
            except Exception as exc:
                raise _no_key() from exc
    if not certificates and any(True for _ in keys):
        raise _no_key()
    usable = tuple(one for one in certificates if _is_usable(one))
    if certificates and not usable:
        named = ", ".join(one.fingerprint.upper() for one in certificates)
        raise errors.CallerError(
            f"The pinned key {named} has no self-signature that holds by today's rules.",
            hint="Old keys are bound by SHA-1: ask the upstream for its key as it is now.",
        )
    return Keyring(usable) if usable else None


def _is_usable(certificate: pysequoia.Cert) -> bool:
    """Whether the key is bound to itself by a signature that the library believes."""
    try:
        certificate.expiration  # noqa: B018 - reading it looks the signature up
    except Exception:  # noqa: BLE001 - the library raises bare RuntimeError for everything
        return False
    return True


def _no_key() -> errors.CallerError:
    return errors.CallerError(
        "A pinned key is no OpenPGP public key that can be used.", hint="Give an armored or binary public key file."
    )


def _split_signatures(content: bytes, *, what: str) -> list[pysequoia.Sig]:
    """Each signature packet by itself: archives sign with several keys in one file."""
    import pysequoia
    from pysequoia import packet

    try:
        packets = list(packet.PacketPile.from_bytes(content))
        return [pysequoia.Sig.from_bytes(bytes(single)) for single in packets if single.tag == packet.Tag.Signature]
    except Exception as exc:
        raise failures.SignatureInvalidError(
            f"The signature of {what} is no OpenPGP signature.", hint="The last good generation stays."
        ) from exc
