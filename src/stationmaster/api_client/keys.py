"""RSA keys of people and machines: make, load, fingerprint, sign and verify."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography import exceptions as crypto_exceptions
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from stationmaster.model import errors


def make_private_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A new RSA key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    """PEM without a passphrase; the file that holds it is for its owner only."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: rsa.RSAPublicKey) -> str:
    """PEM of the public half."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def fingerprint(key: rsa.RSAPublicKey) -> str:
    """MD5 over the DER form, pairs of hex joined by colons: the name OCI gives a key, not a protection."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.md5(der, usedforsecurity=False).hexdigest()
    return ":".join(digest[index : index + 2] for index in range(0, 32, 2))


def load_private_key(path: Path) -> rsa.RSAPrivateKey:
    """The RSA key in ``path``; CallerError when it is missing, protected or of another kind."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as exc:
        raise errors.CallerError(f"Cannot read the private key {path}: {exc.strerror}.") from exc
    except (ValueError, TypeError, crypto_exceptions.UnsupportedAlgorithm) as exc:
        raise errors.CallerError(f"The private key {path} cannot be used: {exc}.") from exc
    if not isinstance(key, rsa.RSAPrivateKey):
        raise errors.CallerError(f"The private key {path} is not an RSA key.")
    return key


def load_public_key(pem: str) -> rsa.RSAPublicKey:
    """The RSA key in ``pem``; CallerError when it is something else or shorter than 2048 bits."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, crypto_exceptions.UnsupportedAlgorithm) as exc:
        raise errors.CallerError("The public key is not a PEM public key.") from exc
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < 2048:
        raise errors.CallerError("The public key must be an RSA key of at least 2048 bits.")
    return key


def sign(key: rsa.RSAPrivateKey, message: bytes) -> bytes:
    """RSASSA-PKCS1-v1_5 with SHA-256."""
    return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def is_signature_valid(key: rsa.RSAPublicKey, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` over ``message`` was made with the private half of ``key``."""
    try:
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except crypto_exceptions.InvalidSignature:
        return False
    return True
