"""One way to name a message by its content, so that two sides can tell whether they have the same one."""

from __future__ import annotations

import hashlib

import msgspec


def digest_of(message: msgspec.Struct | object) -> str:
    """First 32 hex characters of SHA-256 over the message as canonical JSON."""
    return hashlib.sha256(msgspec.json.encode(message, order="deterministic")).hexdigest()[:32]
