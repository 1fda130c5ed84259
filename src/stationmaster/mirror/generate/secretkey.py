"""An OpenPGP secret key file, as far as signing needs it: RSA or Ed25519, version 4, without a passphrase.

Which of its keys signs is the library's choice (flags, revocations, policy); the numbers are read here, since the
library signs with the present time only, and what is generated must be the same bytes on each volume.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from stationmaster.model import errors

if TYPE_CHECKING:
    import pysequoia
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from pysequoia import packet

RSA, EDDSA, ED25519 = 1, 22, 27  # RFC 9580 section 9.1
_CURVE = bytes.fromhex("092b06010401da470f01")  # length and object identifier of Ed25519 in an EdDSA key
_HINT = "Make one with `stationmaster mirror new-key`, or export an RSA or Ed25519 key without a passphrase."


@dataclasses.dataclass(frozen=True)
class SecretKey:
    """The key that signs. ``certificate`` is the public half of all, armored; ``newest`` its latest time, Unix seconds.

    A signature older than the key or its self-signatures is none, so none is dated before ``newest``.
    """

    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    algorithm: int
    fingerprint: bytes
    certificate: bytes
    newest: int


def load_secret_key(content: bytes) -> SecretKey:
    """Read a secret key file, armored or binary; CallerError when it cannot sign here."""
    import pysequoia
    from pysequoia import packet

    try:
        secret = pysequoia.Tsk.from_bytes(content)
        chosen = _signing_fingerprint(secret)
        packets = list(packet.PacketPile.from_bytes(bytes(secret)))
    except Exception as exc:
        reason = str(exc).split("\n", 1)[0].rstrip(".")
        raise errors.CallerError(f"The signing key cannot be used: {reason}.", hint=_HINT) from exc
    (found,) = [one for one in packets if _is_secret(one) and one.fingerprint == chosen]
    times = [moment for one in packets if (moment := one.signature_created or one.key_created) is not None]
    return SecretKey(
        private=_read_private(bytes(found.body)),
        algorithm=found.body[5],
        fingerprint=bytes.fromhex(chosen),
        certificate=str(secret.extract_certificate()).encode(),
        newest=max(int(moment.timestamp()) for moment in times),
    )


def new_secret_key(user_id: str) -> tuple[bytes, bytes]:
    """A new RSA key that does not expire: its secret half and its certificate, armored. Old clients know RSA alone."""
    import pysequoia

    profile, suite = pysequoia.Profile.RFC4880, pysequoia.CipherSuite.RSA3k
    made = pysequoia.Tsk.generate(user_id, profile=profile, cipher_suite=suite, validity_seconds=0)
    return str(made).encode(), str(made.extract_certificate()).encode()


def _signing_fingerprint(secret: pysequoia.Tsk) -> str:
    import pysequoia

    trial = pysequoia.sign(secret.signer(), b"", mode=pysequoia.SignatureMode.DETACHED)
    return pysequoia.Sig.from_bytes(trial).issuer_fingerprint or ""


def _is_secret(one: packet.Packet) -> bool:
    from pysequoia import packet

    return one.tag in (packet.Tag.SecretKey, packet.Tag.SecretSubkey)


def _read_private(body: bytes) -> rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey:
    """RFC 9580 sections 5.5.2 and 5.5.3: version, time, algorithm, public numbers, how it is protected, secret ones."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    algorithm, rest = body[5], body[6:]
    if body[0] != 4 or algorithm not in (RSA, EDDSA, ED25519):
        raise errors.CallerError(
            f"The signing key is of version {body[0]}, algorithm {algorithm}, whose signatures differ each time.",
            hint=_HINT,
        )
    if algorithm == ED25519:
        _require_open(rest[32:])
        return ed25519.Ed25519PrivateKey.from_private_bytes(rest[33:65])
    if algorithm == EDDSA:
        if not rest.startswith(_CURVE):
            raise errors.CallerError("The signing key uses EdDSA on another curve than Ed25519.", hint=_HINT)
        _, rest = _read_number(rest.removeprefix(_CURVE))
        _require_open(rest)
        seed, _ = _read_number(rest[1:])
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
    modulus, rest = _read_number(rest)
    exponent, rest = _read_number(rest)
    _require_open(rest)
    secret, rest = _read_number(rest[1:])
    p, rest = _read_number(rest)
    q, _ = _read_number(rest)
    return rsa.RSAPrivateNumbers(
        p=p, q=q, d=secret, dmp1=rsa.rsa_crt_dmp1(secret, p), dmq1=rsa.rsa_crt_dmq1(secret, q),
        iqmp=rsa.rsa_crt_iqmp(p, q), public_numbers=rsa.RSAPublicNumbers(exponent, modulus),
    ).private_key()  # fmt: skip


def _require_open(rest: bytes) -> None:
    if rest[:1] != b"\x00":
        raise errors.CallerError("The signing key is protected by a passphrase.", hint=_HINT)


def _read_number(content: bytes) -> tuple[int, bytes]:
    """One multiprecision integer, and what follows it (section 3.2)."""
    size = (int.from_bytes(content[:2], "big") + 7) // 8
    return int.from_bytes(content[2 : 2 + size], "big"), content[2 + size :]
