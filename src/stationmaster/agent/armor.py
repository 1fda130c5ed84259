"""OpenPGP armor: several public keys as one block, since apt's inline ``Signed-By`` takes exactly one (RFC 4880, 6)."""

from __future__ import annotations

import base64
import binascii
import re

from stationmaster.model import errors

_BLOCK = re.compile(r"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)


def merge_keys(armored: list[str]) -> str:
    """One armored block that holds the keys of all blocks in ``armored``; CallerError when there is no block."""
    blocks = [match for text in armored for match in _BLOCK.findall(text)]
    if not blocks:
        raise errors.CallerError(
            "A software source has a GPG key that is no armored public key.",
            hint="Keys begin with -----BEGIN PGP PUBLIC KEY BLOCK-----.",
        )
    return enclose(b"".join(_payload(block) for block in blocks))


def enclose(payload: bytes) -> str:
    """Binary key material as an armored block with its checksum."""
    text = base64.b64encode(payload).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    checksum = base64.b64encode(crc24(payload).to_bytes(3, "big")).decode()
    body = "\n".join(lines)
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{body}\n={checksum}\n-----END PGP PUBLIC KEY BLOCK-----\n"


def crc24(payload: bytes) -> int:
    """The checksum of RFC 4880, section 6.1."""
    value = 0xB704CE
    for byte in payload:
        value ^= byte << 16
        for _ in range(8):
            value <<= 1
            if value & 0x1000000:
                value ^= 0x1864CFB
    return value & 0xFFFFFF


def _payload(block: str) -> bytes:
    lines = (line.strip() for line in block.splitlines())
    # Headers (`Version: …`) hold a colon, which base64 never does; the checksum begins with "=".
    encoded = "".join(line for line in lines if ":" not in line and not line.startswith("="))
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise errors.CallerError("A software source has a GPG key whose armor is broken.") from exc
