"""Whatever an upstream sends, a parser answers with a result or with one of our errors: a short run of fuzzing."""

from __future__ import annotations

import contextlib
import datetime
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stationmaster.host import http_message
from stationmaster.mirror import debindex, exchange, fileref, manifest, release, repomd, retry, trust, unpack
from stationmaster.model import errors
from stationmaster.testing import simulated_repositories as repositories

bounded = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

_RPM = repositories.rpm_repository({"p/a.rpm": b"a" * 50, "p/b%2b.rpm": b"b"}, further={"comps": b"<comps/>"})
_DIGEST = "0" * 64
SEEDS = {
    "repomd": _RPM["repodata/repomd.xml"],
    "primary": repositories.primary_xml({"p/a.rpm": b"a" * 50, "p/b%2b.rpm": b"b"}),
    "deltas": (
        f'<prestodelta><newpackage><delta oldepoch="0"><filename>d/a.drpm</filename><size>3</size>'
        f'<checksum type="sha256">{_DIGEST}</checksum></delta></newpackage></prestodelta>'
    ).encode(),
    "packages": repositories.packages_text({"pool/a.deb": b"a" * 50, "pool/b.deb": b"b"}),
    "sources": f"Package: a\nDirectory: pool\nChecksums-Sha256:\n {_DIGEST} 3 a.dsc\n {_DIGEST} 4 a.xz\n\n".encode(),
    "release": (
        f"Suite: stable\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nValid-Until: Thu, 08 Jan 2026 00:00:00 UTC\n"
        f"Acquire-By-Hash: yes\nSHA256:\n {_DIGEST} 3 main/binary-amd64/Packages.gz\n"
    ).encode(),
}
TOKENS = [
    b"<",
    b">",
    b"&",
    b"&a;",
    b"]]>",
    b"<!DOCTYPE a [<!ENTITY a 'b'>]>",
    b"<data type='primary'>",
    b"<location href='../x'/>",
    b"<checksum type='md5'>",
    b"<size package='-1'/>",
    b"\n",
    b"\n\n",
    b"\n ",
    b":",
    b"-1",
    b"9" * 30,
    b"\x00",
    b"\xff",
    b"..",
    "\u0661".encode(),
    "\u00b2".encode(),
    b"inf",
    b"nan",
    b"1e999",
    b"'",
    b'"',
    b"%00",
    b"Date: \n",
    b"SHA256:\n x\n",
]


@st.composite
def mutated(draw: st.DrawFn, seed: bytes) -> bytes:
    """The seed with a few pieces cut out, doubled, or replaced by something spiteful."""
    content = seed
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        piece = draw(st.sampled_from(TOKENS) | st.binary(max_size=4) | st.just(content[start : start + 40]))
        content = content[:start] + piece + content[end:]
    return content


def parsers() -> dict[str, Callable[[bytes], object]]:
    return {
        "repomd": lambda content: repomd.metadata_refs(repomd.parse_repomd(content)),
        "primary": lambda content: list(repomd.parse_primary([content[:70], content[70:]], what="primary")),
        "deltas": lambda content: list(repomd.parse_deltas([content], what="prestodelta")),
        "packages": lambda content: list(debindex.parse_packages([content[:30], content[30:]], what="Packages")),
        "sources": lambda content: list(debindex.parse_sources([content], what="Sources")),
        "release": lambda content: release.require_current(
            release.parse_release(content, what="Release"), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), what="R"
        ),
    }


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_metadata_parsers(name: str) -> None:
    parse = parsers()[name]
    parse(SEEDS[name])  # the seed itself is good

    @bounded
    @given(mutated(SEEDS[name]))
    def attempt(content: bytes) -> None:
        with contextlib.suppress(errors.StationmasterError):
            parse(content)

    attempt()


@bounded
@given(mutated(b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: x\n-----BEGIN PGP SIGNATURE-----\n\nxx\n"))
def test_cleartext_and_keys(content: bytes) -> None:
    with contextlib.suppress(errors.StationmasterError):
        release.unsigned_text(content)
    with contextlib.suppress(errors.StationmasterError):
        trust.load_keyring([content])


@bounded
@given(st.text(max_size=60) | st.sampled_from(["a/../../b", "a//b", "./.", "%2e%2e/x", "a\x00b"]))
def test_a_path_that_passes_stays_in_its_tree(path: str) -> None:
    try:
        normal = fileref.normal_path(path, what="x")
    except errors.StationmasterError:
        return
    parts = normal.split("/")
    assert parts[0]
    assert not {"", ".", ".."} & set(parts)
    assert "\x00" not in normal
    fileref.quoted_path(normal)


@bounded
@given(st.text(max_size=40) | st.sampled_from(["Thu, 01 Jan 2026 00:00:00 GMT", "\u0661", "\u00b2", "1" * 400, "-1"]))
def test_headers(value: str) -> None:
    wait = retry.parse_retry_after(value, now=0.0)
    assert wait is None or wait >= 0
    try:
        target = exchange.redirect_target("https://h/a/b", value, is_downgrade_refused=True)
    except errors.StationmasterError:
        return
    assert target.startswith("https:")


@bounded
@given(
    st.sampled_from([b"\x1f\x8b\x08\x00", b"\xfd7zXZ\x00", b"BZh9", b"\x28\xb5\x2f\xfd", b"\x00ZCK1", b"", b"x"]),
    st.binary(max_size=200),
    st.sampled_from(["p.xml.gz", "p.lzma", "p.xml"]),
)
def test_unpacking(tmp_path: Path, magic: bytes, rest: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(magic + rest)
    with contextlib.suppress(errors.StationmasterError):
        for _ in unpack.unpacked_blocks(path):
            pass


@bounded
@given(mutated(b'{"p":"a","s":3,"d":"0","k":"p"}\n{"p":"b","s":3,"d":"0","k":"m"}\n'))
def test_manifests(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(content)
    manifest.read_header(path)
    with contextlib.suppress(errors.StationmasterError):
        list(manifest.read_plain(path))


class _Bytes(socket.socket):
    """A connection that brings given bytes, then ends."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def recv_into(self, buffer: memoryview, nbytes: int = 0, flags: int = 0) -> int:  # type: ignore[override]
        del nbytes, flags
        taken, self.content = self.content[: min(11, len(buffer))], self.content[min(11, len(buffer)) :]
        buffer[: len(taken)] = taken
        return len(taken)


@pytest.mark.parametrize(
    "seed",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: x\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\nT: t\r\n\r\n",
    ],
)
def test_http_answers(seed: bytes) -> None:
    @bounded
    @given(mutated(seed))
    def attempt(content: bytes) -> None:
        connection = http_message.Connection(_Bytes(content), is_secure=True)
        connection._patience = 30.0
        with contextlib.suppress(http_message.BrokenError, errors.PeerError):
            answer = http_message.WireAnswer(connection, *connection.head())
            assert sum(len(piece) for piece in answer.arriving()) <= len(content)

    attempt()
