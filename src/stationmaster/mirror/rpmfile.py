"""An RPM file, as far as its signature goes (RPM 4 format): which bytes are signed, and by which packets.

The main header is signed as it stands; it holds the digest of the compressed payload, which is checked with it.
Packages that were built before rpm 4.14 lack that digest; for these only a signature over header and payload counts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from stationmaster.mirror import failures, trust

_LEAD_SIZE = 96
_LEAD_MAGIC = b"\xed\xab\xee\xdb"
_HEADER_MAGIC = b"\x8e\xad\xe8\x01\x00\x00\x00\x00"
_MOST_TAGS = 65_535
_LARGEST_DATA = 32 << 20
_LARGEST_WHOLE = 64 << 20  # of a package whose signature needs all of it in memory, one at a time
_whole_in_memory = threading.Lock()
_BLOCK = 1 << 18
_DSA, _RSA, _OPENPGP = 267, 268, 278  # over the header
_PGP, _GPG = 1002, 1005  # over header and payload
_PAYLOAD_DIGEST, _PAYLOAD_ALGORITHM = 5092, 5093
_HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}  # RFC 9580 section 9.5


class UnsignedError(Exception):
    """Why a package is not believed."""


@dataclasses.dataclass(frozen=True)
class _Header:
    """A header structure: its bytes, and the place of each tag in its data."""

    raw: bytes
    tags: dict[int, tuple[int, int, int]]  # type, offset, count
    data_start: int

    def binary(self, tag: int) -> bytes | None:
        found = self.tags.get(tag)
        return None if found is None else self._data(found[1], found[2])

    def number(self, tag: int) -> int | None:
        found = self.tags.get(tag)
        return None if found is None else int(struct.unpack(">I", self._data(found[1], 4))[0])

    def texts(self, tag: int) -> list[bytes]:
        found = self.tags.get(tag)
        if found is None:
            return []
        texts, position = [], self.data_start + found[1]
        for _ in range(min(found[2], 16)):
            end = self.raw.find(b"\x00", position)
            if end < 0:
                raise UnsignedError("its header is malformed")
            texts.append(self.raw[position:end])
            position = end + 1
        return texts

    def _data(self, offset: int, size: int) -> bytes:
        found = self.raw[self.data_start + offset : self.data_start + offset + size]
        if len(found) != size:
            raise UnsignedError("its header is malformed")
        return found


def require_signed(path: Path, keyring: trust.Keyring) -> None:
    """UnsignedError unless a key of the keyring signed the package, header and payload."""
    with path.open("rb") as stream:
        lead = stream.read(_LEAD_SIZE)
        if len(lead) != _LEAD_SIZE or not lead.startswith(_LEAD_MAGIC):
            raise UnsignedError("is no RPM package")
        signatures = _read_header(stream)
        stream.read(-len(signatures.raw) % 8)
        header = _read_header(stream)
        over_header = list(_packets(signatures, _RSA, _DSA, _OPENPGP))
        if over_header and header.texts(_PAYLOAD_DIGEST):
            _verify(keyring, header.raw, over_header)
            _require_payload(stream, header)
            return
        over_all = list(_packets(signatures, _PGP, _GPG))
        if not over_all:
            why = "is signed over its header alone, and that names no payload" if over_header else "is not signed"
            raise UnsignedError(why)
        with _whole_in_memory:
            _verify(keyring, header.raw + _rest(stream), over_all)


def _read_header(stream: BinaryIO) -> _Header:
    intro = stream.read(16)
    if len(intro) != 16 or not intro.startswith(_HEADER_MAGIC):
        raise UnsignedError("its header is malformed")
    count, size = struct.unpack(">II", intro[8:])
    if count > _MOST_TAGS or size > _LARGEST_DATA:
        raise UnsignedError("its header is too large")
    rest = stream.read(16 * count + size)
    if len(rest) != 16 * count + size:
        raise UnsignedError("its header is cut")
    tags = {
        tag: (kind, offset, number) for tag, kind, offset, number in struct.iter_unpack(">IIII", rest[: 16 * count])
    }
    return _Header(intro + rest, tags, 16 + 16 * count)


def _packets(signatures: _Header, *tags: int) -> Iterator[bytes]:
    for tag in tags:
        if tag == _OPENPGP:
            import base64

            for text in signatures.texts(tag):
                try:
                    yield base64.b64decode(text)
                except ValueError as exc:
                    raise UnsignedError("its signature is malformed") from exc
        elif (packet := signatures.binary(tag)) is not None:
            yield packet


def _verify(keyring: trust.Keyring, document: bytes, packets: list[bytes]) -> None:
    """One good signature is enough."""
    problem = ""
    for packet in packets:
        try:
            keyring.verify_detached(document, packet, what="it")
        except (failures.SignatureInvalidError, failures.SignatureMissingError) as exc:
            problem = exc.message.removeprefix("it ").rstrip(".")
        else:
            return
    raise UnsignedError(problem)


def _require_payload(stream: BinaryIO, header: _Header) -> None:
    algorithm = _HASHES.get(header.number(_PAYLOAD_ALGORITHM) or 8)
    if algorithm is None:
        raise UnsignedError("its payload has a digest of an unknown kind")
    digest = hashlib.new(algorithm)
    while block := stream.read(_BLOCK):
        digest.update(block)
    if digest.hexdigest().encode() != header.texts(_PAYLOAD_DIGEST)[0]:
        raise UnsignedError("its payload is not the one that was signed")


def _rest(stream: BinaryIO) -> bytes:
    found = stream.read(_LARGEST_WHOLE + 1)
    if len(found) > _LARGEST_WHOLE:
        raise UnsignedError("is too large for its kind of signature")
    return found
