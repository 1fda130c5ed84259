# ruff: noqa: S101 - what must hold is asserted
"""What is fuzzed of ways to an upstream: lists of addresses, zchunk, signatures inside packages."""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tempfile  # noqa: TID251 - a place for the files that some parsers want
from collections.abc import Callable
from pathlib import Path

import zstandard

from stationmaster.mirror import access, address_list, rpmfile, source, trust, unpack, zchunk
from stationmaster.model import upstream_access

_SCRATCH: list[Path] = []
_KEYS: list[trust.Keyring] = []


def fuzz_metalink(content: bytes) -> None:
    """Metalinks: what is let through can be asked, and a promise names bytes."""
    found = address_list.parse_metalink(content, what="m")
    assert all(source.is_base_address(one) and one.endswith("/") for one in found.addresses)
    if found.promise is not None:
        assert not found.promise.present.is_of(b"\x00 nobody has this")


def fuzz_mirrorlist(content: bytes) -> None:
    """Mirrorlists."""
    for one in address_list.parse_mirrorlist(content):
        assert source.is_base_address(one)
        assert access.origin_of(one) == "" or "@" not in access.origin_of(one)


def fuzz_zchunk(content: bytes) -> None:
    """Files in zchunk: bounded by what they state."""
    path = scratch() / "packed.zck"
    path.write_bytes(zchunk.MAGIC + content.removeprefix(zchunk.MAGIC))
    for block in unpack.unpacked_blocks(path, stated_size=1 << 20):
        assert len(block) <= 1 << 20


def fuzz_rpm_file(content: bytes) -> None:
    """Packages: nothing that the key did not sign is believed, and nothing else is raised."""
    path = scratch() / "package.rpm"
    path.write_bytes(content)
    with contextlib.suppress(rpmfile.UnsignedError):
        rpmfile.require_signed(path, _keyring())
        raise AssertionError("an unsigned package was believed")


def fuzz_access_lines(content: bytes) -> None:
    """Lines of ``advancedRepoOptions`` about the way to an upstream: no answer shows a password."""
    text = content.decode("utf-8", "replace")
    shown = upstream_access.masked(text) or ""
    found = upstream_access.access_of(text.splitlines())
    again = upstream_access.access_of(shown.splitlines())
    assert (found is None) == (again is None)
    if found is not None and again is not None and found.password:
        assert again.password == upstream_access.MASK


def scratch() -> Path:
    """A private directory in memory."""
    if not _SCRATCH:
        memory = Path("/dev/shm")  # noqa: S108 - a private directory is made in it
        _SCRATCH.append(Path(tempfile.mkdtemp(prefix="sm-fuzz-", dir=memory if memory.is_dir() else None)))
    return _SCRATCH[0]


def _keyring() -> trust.Keyring:
    if not _KEYS:
        found = trust.load_keyring([Path(os.environ["FUZZ_KEY"]).read_bytes()])
        assert found is not None
        _KEYS.append(found)
    return _KEYS[0]


def seeds() -> dict[str, list[bytes]]:
    """Small and good ones, by target."""
    digest = hashlib.sha256(b"x").hexdigest()
    entry = f"<size>1</size><verification><hash type='sha256'>{digest}</hash></verification>"
    metalink = (
        "<?xml version='1.0'?><metalink xmlns='http://www.metalinker.org/' xmlns:mm0='http://mm0/'><files>"
        f"<file name='repomd.xml'>{entry}<mm0:alternates><mm0:alternate>{entry}</mm0:alternate></mm0:alternates>"
        "<resources><url protocol='https' preference='99'>https://h/os/repodata/repomd.xml</url></resources>"
        "</file></files></metalink>"
    )
    return {
        "metalink": [metalink.encode()],
        "mirrorlist": [b"# mirrors\nhttp://h/os/ https://i:8443/os\nftp://j/\n"],
        "zchunk": [zchunk_file(b"<p>one</p>", b"<p>two</p>"), zchunk_file(b"<p/>", flags=4)],
        "rpm_file": [rpm_file()],
        "access_lines": [b"username=me\npassword = s3cret\nmetalink=https://h/?a=b\n", b"Username: me\nPassword: x"],
    }


def zchunk_file(*chunks: bytes, flags: int = 0) -> bytes:
    """A zchunk file with an empty dictionary, by SHA-256."""
    packed = [b"", *(zstandard.ZstdCompressor().compress(chunk) for chunk in chunks)]
    index = b"".join(
        hashlib.sha256(one).digest() * (2 if flags & 4 else 1) + _number(len(one)) + _number(len(plain))
        for one, plain in zip(packed, (b"", *chunks), strict=True)
    )
    index = _number(1) + _number(len(packed)) + index
    body = b"".join(packed)
    preface = hashlib.sha256(body).digest() + _number(flags) + _number(2)
    header = preface + _number(len(index)) + index + _number(0)
    return zchunk.MAGIC + _number(1) + _number(len(header)) + hashlib.sha256(header).digest() + header + body


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127)
        value >>= 7
    return bytes([*found, value | 128])


def rpm_file() -> bytes:
    """A package with what looks like signatures, by no key."""
    payload = b"payload"
    digest = hashlib.sha256(payload).hexdigest().encode() + b"\x00"
    signatures = _header(
        {268: (7, 4, b"\x88\x75\x04\x00"), 1002: (7, 4, b"\x88\x75\x04\x00"), 278: (8, 1, b"iHU=\x00")}
    )
    header = _header({5092: (8, 1, digest), 5093: (4, 1, struct.pack(">I", 8))})
    lead = b"\xed\xab\xee\xdb\x03\x00".ljust(96, b"\x00")
    return lead + signatures + bytes(-len(signatures) % 8) + header + payload


def _header(tags: dict[int, tuple[int, int, bytes]]) -> bytes:
    index = data = b""
    for tag, (kind, count, value) in tags.items():
        index += struct.pack(">IIII", tag, kind, len(data), count)
        data += value
    return b"\x8e\xad\xe8\x01\x00\x00\x00\x00" + struct.pack(">II", len(tags), len(data)) + index + data


TARGETS: dict[str, Callable[[bytes], None]] = {
    name.removeprefix("fuzz_"): value
    for name, value in list(globals().items())
    if name.startswith("fuzz_") and callable(value)
}
