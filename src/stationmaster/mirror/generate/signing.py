"""Signatures that are the same bytes on each volume: dated by what they sign, without salt (RFC 9580 section 5.2.3).

Version 4 signatures by RSA (PKCS 1 v1.5) or Ed25519 hold nothing that is chosen at the moment of signing but the time.
Each is checked with the OpenPGP library, as a client would, before it is given out.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from stationmaster.mirror import failures, trust
from stationmaster.mirror.generate import secretkey
from stationmaster.model import errors

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

_BINARY, _TEXT = 0x00, 0x01
_SHA512 = 10
_CREATED, _ISSUER, _ISSUER_FINGERPRINT = 2, 16, 33


class Signer:
    """Signs root documents with one key."""

    def __init__(self, key: secretkey.SecretKey) -> None:
        self._key = key
        keyring = trust.load_keyring([key.certificate])
        assert keyring is not None  # noqa: S101 - for the type checker
        self._keyring = keyring

    @property
    def fingerprint(self) -> str:
        """The key that signs, in upper-case hexadecimal."""
        return self._key.fingerprint.hex().upper()

    @property
    def certificate(self) -> bytes:
        """What clients need to check: the public half, armored."""
        return self._key.certificate

    def sign_detached(self, document: bytes, *, made: int) -> bytes:
        """An armored detached signature, dated ``made`` (Unix seconds) or the key's own time if that is later."""
        signature = self._armored(_BINARY, document, made)
        with _own_signature():
            self._keyring.verify_detached(document, signature, what="what was signed here")
        return signature

    def sign_inline(self, text: bytes, *, made: int) -> bytes:
        """The text within the cleartext signature framework (RFC 9580 section 7), as InRelease has it."""
        lines = text.decode().rstrip("\n").split("\n")
        canonical = "\r\n".join(line.rstrip(" \t\r") for line in lines).encode()
        shown = "\n".join("- " + line if line.startswith("-") else line for line in lines).encode()
        signature = self._armored(_TEXT, canonical, made)
        document = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + shown + b"\n" + signature
        with _own_signature():
            self._keyring.verify_inline(document, what="what was signed here")
        return document

    def _armored(self, kind: int, signed: bytes, made: int) -> bytes:
        import pysequoia

        packet = self._signature(kind, signed, max(made, self._key.newest))
        return pysequoia.armor(packet, pysequoia.ArmorKind.Signature).rstrip("\n").encode() + b"\n"

    def _signature(self, kind: int, signed: bytes, seconds: int) -> bytes:
        hashed = _subpacket(_CREATED, seconds.to_bytes(4, "big"))
        hashed += _subpacket(_ISSUER_FINGERPRINT, b"\x04" + self._key.fingerprint)
        unhashed = _subpacket(_ISSUER, self._key.fingerprint[-8:])
        head = bytes((4, kind, self._key.algorithm, _SHA512)) + len(hashed).to_bytes(2, "big") + hashed
        trailer = b"\x04\xff" + len(head).to_bytes(4, "big")
        digest = hashlib.sha512(signed + head + trailer).digest()
        body = head + len(unhashed).to_bytes(2, "big") + unhashed + digest[:2] + self._numbers(digest)
        return b"\xc2\xff" + len(body).to_bytes(4, "big") + body  # tag 2, five-octet length (section 4.2.1.3)

    def _numbers(self, digest: bytes) -> bytes:
        if self._key.algorithm == secretkey.RSA:
            from cryptography.hazmat.primitives import hashes
            from cryptography.hazmat.primitives.asymmetric import padding, utils

            private = cast("rsa.RSAPrivateKey", self._key.private)
            return _number(private.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA512())))
        made = cast("ed25519.Ed25519PrivateKey", self._key.private).sign(digest)
        return made if self._key.algorithm == secretkey.ED25519 else _number(made[:32]) + _number(made[32:])


@contextlib.contextmanager
def _own_signature() -> Iterator[None]:
    """What clients would refuse, they are not given: an expired or revoked key, or a moment that is not yet."""
    try:
        yield
    except (failures.SignatureInvalidError, failures.SignatureMissingError) as exc:
        raise errors.CallerError(
            f"Clients would not accept what this key signs: {exc.message}",
            hint="Renew the signing key; an upstream root that is dated in the future cannot be signed either.",
            code="SigningFailed",
        ) from exc


def _subpacket(kind: int, content: bytes) -> bytes:
    return bytes((len(content) + 1, kind)) + content


def _number(content: bytes) -> bytes:
    """A multiprecision integer: its length in bits, then its octets without leading zeros."""
    plain = content.lstrip(b"\x00")
    bits = len(plain) * 8 - (8 - plain[0].bit_length()) if plain else 0
    return bits.to_bytes(2, "big") + plain
