# ruff: noqa: S101 - what must hold is asserted
"""What is fuzzed: a function of bytes for each parser, and what must hold whatever the bytes are.

An escape is any exception that is not one of ours, any result that leaves the tree, and any run beyond the bounds of
the fuzzer. A target asserts what its parser promises; the worker counts and keeps what broke it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import socket  # noqa: TID251 - a connection that brings given bytes
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from stationmaster.host import files, http_message, http_wire
from stationmaster.mirror import debindex, exchange, fileref, manifest, release, repomd, retry, source, trust, unpack
from stationmaster.mirror import upstream as upstreams
from stationmaster.mirror import volume as volumes
from stationmaster.model import errors, repo_options, response_file
from stationmaster.testing import fuzz_generated, fuzz_upstreams

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
OUR_ERRORS = (errors.StationmasterError, http_message.BrokenError)
_DEB = source.DebSource("s", "http://h/", ("stable",), ("main",), ("amd64", "source"))


def _require_safe(refs: Iterable[fileref.FileRef]) -> None:
    """Whatever a parser lets through names a file below a tree, by a digest that names bytes."""
    for ref in refs:
        for path in (ref.path, *ref.also_at):
            parts = path.split("/")
            assert not {"", ".", ".."} & set(parts), path
            assert parts[0] != ".metadata", path
            assert all(one >= " " and not "\x7f" <= one <= "\x9f" for one in path), path
            assert all(len(part.encode()) <= 255 for part in parts), path
            assert len(path.encode()) <= 4096, path[:200]
            assert fileref.quoted_path(path).isascii()
        assert len(ref.checksum.value) == fileref.ALGORITHMS[ref.checksum.algorithm]
        assert ref.size is None or 0 <= ref.size < 10**18


def _in_blocks(content: bytes) -> Iterator[bytes]:
    """Cut where the content itself says, since where a block ends must not matter."""
    cut = content[0] if content else 0
    yield content[:cut]
    yield content[cut:]


def fuzz_repomd(content: bytes) -> None:
    """repomd.xml."""
    _require_safe(repomd.metadata_refs(repomd.parse_repomd(content)))


def fuzz_primary(content: bytes) -> None:
    """primary.xml: the same however it is cut into blocks."""
    found = list(repomd.parse_primary([content], what="primary"))
    _require_safe(found)
    assert list(repomd.parse_primary(_in_blocks(content), what="primary")) == found


def fuzz_deltas(content: bytes) -> None:
    """prestodelta.xml."""
    _require_safe(repomd.parse_deltas([content], what="prestodelta"))


def fuzz_packages(content: bytes) -> None:
    """Packages: the same however it is cut into blocks."""
    found = list(debindex.parse_packages([content], what="Packages"))
    _require_safe(found)
    assert list(debindex.parse_packages(_in_blocks(content), what="Packages")) == found


def fuzz_sources(content: bytes) -> None:
    """Sources."""
    _require_safe(debindex.parse_sources(_in_blocks(content), what="Sources"))


def fuzz_release(content: bytes) -> None:
    """Release, what it offers for a selection, and whether it holds."""
    parsed = release.parse_release(content, what="Release")
    for path in debindex.wanted_indexes(parsed, _DEB, "stable"):
        fileref.normal_path(path, what="Release")
    debindex.wanted_indexes(parsed, dataclasses.replace(_DEB, suites=("./",)), "./")
    release.require_current(parsed, NOW, what="Release")


def fuzz_clearsigned(content: bytes) -> None:
    """InRelease: what an unchecked signature leaves is text; with a key nothing passes that the key did not sign."""
    with contextlib.suppress(*OUR_ERRORS):
        release.parse_release(release.unsigned_text(content), what="InRelease")
    signed = _keyring().verify_inline(content, what="InRelease")
    assert signed.replace(b"\r\n", b"\n").strip() in (SIGNED_TEXT.strip(), b"")


def fuzz_signature(content: bytes) -> None:
    """Release.gpg, repomd.xml.asc: the signed text is constant, the signature is not."""
    _keyring().verify_detached(SIGNED_TEXT, content, what="Release")


def fuzz_keys(content: bytes) -> None:
    """Key files."""
    ring = trust.load_keyring([content])
    assert ring is None or ring.certificates
    if ring is not None:
        trust.require_unexpired(ring, NOW)


def fuzz_manifest(content: bytes) -> None:
    """Manifests and markers of a volume."""
    path = fuzz_upstreams.scratch() / "manifest.jsonl"
    path.write_bytes(content)
    manifest.read_header(path)
    with contextlib.suppress(*OUR_ERRORS):
        list(manifest.read_plain(path))
    control = fuzz_upstreams.scratch() / "volume" / ".stationmaster"
    control.mkdir(parents=True, exist_ok=True)
    (control / "volume.json").write_bytes(content)
    volumes.open_volume(files.Files(), control.parent)


def fuzz_http(content: bytes) -> None:
    """An answer of a web server, head and body."""
    connection = http_message.Connection(_Bytes(content), is_secure=True)
    connection.set_timeout(30.0)
    answer = http_message.WireAnswer(connection, *connection.head())
    assert sum(len(piece) for piece in answer.arriving()) <= len(content)
    answer.is_reusable()


def fuzz_headers(content: bytes) -> None:
    """Values of single headers, and addresses."""
    text = content.decode("latin-1")
    wait = retry.parse_retry_after(text, now=0.0)
    assert wait is None or wait >= 0
    upstreams.strong_validator({"etag": text, "last-modified": text, "date": text})
    with contextlib.suppress(*OUR_ERRORS):
        assert http_wire.parse_origin(text).host
    target = exchange.redirect_target("https://h/a/b", text, is_downgrade_refused=True)
    assert target.startswith("https:")


def fuzz_unpack(content: bytes) -> None:
    """Compressed files; what they unpack to is bounded by their size."""
    path = fuzz_upstreams.scratch() / ("packed.lzma" if content[:1] == b"]" else "packed")
    path.write_bytes(content)
    for _ in unpack.unpacked_blocks(path, stated_size=1 << 22):
        pass


def fuzz_response_file(content: bytes) -> None:
    """input.rsp."""
    parsed = response_file.parse(content.decode("utf-8", "replace"))
    assert response_file.parse(response_file.render(parsed)) == parsed


def fuzz_repo_options(content: bytes) -> None:
    """``advancedRepoOptions``: dnf's lines and deb822's."""
    text = content.decode("utf-8", "replace")
    with contextlib.suppress(*OUR_ERRORS):
        repo_options.require_rpm_options(text)
    repo_options.require_deb_options(text)


def fuzz_paths(content: bytes) -> None:
    """A path that passes stays in its tree."""
    path = fileref.normal_path(content.decode("utf-8", "surrogateescape"), what="x")
    _require_safe([fileref.FileRef(path, 1, fileref.Checksum("sha256", "0" * 64))])
    base = Path("/base")
    assert base in Path(os.path.normpath(base / path)).parents
    address = upstreams.join_address("http://h/b/", fileref.quoted_path(path))
    assert address.startswith("http://h/b/")


class _Bytes(socket.socket):
    """A connection that brings given bytes, then ends."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def settimeout(self, value: float | None) -> None:
        """Nothing to wait for."""

    def recv_into(self, buffer: memoryview, nbytes: int = 0, flags: int = 0) -> int:  # type: ignore[override]
        """A few bytes at a time."""
        del nbytes, flags
        size = min(11, len(buffer))
        taken, self.content = self.content[:size], self.content[size:]
        buffer[: len(taken)] = taken
        return len(taken)


SIGNED_TEXT = b"Suite: stable\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n " + b"0" * 64 + b" 3 main/x\n"
_KEYS: list[trust.Keyring] = []


def _keyring() -> trust.Keyring:
    """The key that the seeds are signed with."""
    if not _KEYS:
        found = trust.load_keyring([Path(os.environ["FUZZ_KEY"]).read_bytes()])
        assert found is not None
        _KEYS.append(found)
    return _KEYS[0]


TARGETS: dict[str, Callable[[bytes], None]] = (
    {
        name.removeprefix("fuzz_"): value
        for name, value in list(globals().items())
        if name.startswith("fuzz_") and callable(value)
    }
    | fuzz_generated.TARGETS
    | fuzz_upstreams.TARGETS
)
