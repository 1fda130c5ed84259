"""A hostile upstream over real sockets, against the real command.

Each attack is refused by its own code, in bounded memory and time, and what was shown before is shown still.
"""

from __future__ import annotations

import bz2
import dataclasses
import hashlib
import itertools
import json
import lzma
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from stationmaster.host import clock, files, http
from stationmaster.mirror import engine, exchange, outcome, retry, source, volume
from stationmaster.testing import hostile_upstream, mirror_bench
from stationmaster.testing import simulated_repositories as repositories
from stationmaster.testing.hostile_upstream import raw, reply

COMMAND = [str(Path(sys.executable).with_name("stationmaster")), "mirror"]
ROOT = "repodata/repomd.xml"
PACKAGES = {f"Packages/p{number:02}.rpm": b"%d" % number * (number + 1) for number in range(20)}
FURTHER = {**PACKAGES, "Packages/new.rpm": b"new" * 1000}
MEMORY_MIB = 150  # design section 13
OK = b"HTTP/1.1 200 OK\r\n"
# A new program inherits the peak of the process that it was forked from: a small one, so that it is not that of pytest.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(process.returncode)
"""


@dataclasses.dataclass(frozen=True)
class Result:
    status: int
    state: str
    code: str
    message: str
    peak_mib: int
    seconds: float


def command(*arguments: object) -> Result:
    """Run the command, and ask the kernel for the most memory that it had."""
    started = time.monotonic()
    measured = [sys.executable, "-I", "-S", "-c", MEASURE, *COMMAND, *map(str, arguments), "--json"]
    process = subprocess.run(measured, capture_output=True, check=False)
    output, errors = process.stdout, process.stderr.decode()
    found = json.loads(output)
    assert output.count(b"\n") == 1, output
    assert "Traceback" not in errors
    error = found.get("error") or {"code": "", "message": ""}
    return Result(
        process.returncode, found.get("state", "FAILED"), error["code"], error["message"],
        int(errors.splitlines()[-1]) >> 10, time.monotonic() - started,
    )  # fmt: skip


@dataclasses.dataclass
class Arena:
    """A volume that shows a good generation of an upstream that then turns hostile."""

    upstream: hostile_upstream.HostileUpstream
    volume: Path
    shown: dict[str, bytes]

    def sync(self, *options: object) -> Result:
        return command(
            "sync", "--format", "rpm", "--url", self.upstream.url, "--name", "src", "--dest", self.volume, *options
        )

    def refused(self, code: str, *options: object, seconds: float = 20.0) -> Result:
        result = self.sync(*options)
        assert (result.status, result.state, result.code) == (1, "FAILED", code), result
        assert mirror_bench.tree_of(self.volume / "published/src") == self.shown
        assert result.peak_mib < MEMORY_MIB, result
        assert result.seconds < seconds, result
        assert "\n" not in result.message
        return result


@pytest.fixture(scope="module")
def arena_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    volume = tmp_path_factory.mktemp("hostile") / "mirror"
    subprocess.run([*COMMAND, "init", "--dest", volume], check=True, capture_output=True)
    with hostile_upstream.HostileUpstream() as upstream:
        upstream.files = repository(PACKAGES)
        arena = Arena(upstream, volume, {})
        assert arena.sync().state == "SYNCED"
        arena.shown = mirror_bench.tree_of(volume / "published/src")
        yield arena


@pytest.fixture
def arena(arena_of_module: Arena) -> Iterator[Arena]:
    upstream = arena_of_module.upstream
    upstream.files, upstream.behaviour = repository(FURTHER, 9), {}
    yield arena_of_module
    assert mirror_bench.tree_of(arena_of_module.volume / "published/src") == arena_of_module.shown


def repository(packages: dict[str, bytes], stamp: int = 0, **options: Any) -> dict[str, bytes]:
    return repositories.rpm_repository(packages, timestamp=1_700_000_000 + stamp, **options)


def with_primary(packed: bytes, suffix: str, open_size: int | None = None) -> dict[str, bytes]:
    """A repository whose primary is given, packed, with a root that states what it really is."""
    path = f"repodata/primary.xml{suffix}"
    opened = "" if open_size is None else f"<open-size>{open_size}</open-size>"
    root = (
        f'<repomd><data type="primary"><checksum type="sha256">{hashlib.sha256(packed).hexdigest()}</checksum>'
        f'<location href="{path}"/><size>{len(packed)}</size>{opened}<timestamp>1700000099</timestamp></data></repomd>'
    )
    return {ROOT: root.encode(), path: packed}


def test_web_pages(arena: Arena) -> None:
    arena.upstream.behaviour[ROOT] = reply(200, b"<!DOCTYPE html><html><body>Log in</body></html>")
    assert arena.upstream.url in arena.refused("HtmlInsteadOfMetadata").message
    arena.upstream.behaviour = {"Packages/new.rpm": reply(200, b"<html>Log in</html>")}
    arena.refused("HtmlInsteadOfMetadata")


def test_going_back_and_shrinking(arena: Arena) -> None:
    arena.upstream.files = repository(PACKAGES, -500)
    arena.refused("RollbackRefused")
    arena.upstream.files = repository(dict(list(PACKAGES.items())[:3]), 9)
    arena.refused("ShrunkRefused")


def big(piece: bytes, size: int) -> Iterator[bytes]:
    block = piece * ((1 << 20) // len(piece))
    for _ in range(size // len(block)):
        yield block


def packed(suffix: str, pieces: Iterator[bytes]) -> bytes:
    packer: Any = {
        ".gz": lambda: __import__("zlib").compressobj(9, 8, 31),
        ".xz": lambda: lzma.LZMACompressor(preset=0),
        ".bz2": lambda: bz2.BZ2Compressor(1),
        ".zst": lambda: zstandard.ZstdCompressor(3).compressobj(),
    }[suffix]()
    return b"".join(packer.compress(piece) for piece in pieces) + packer.flush()


@pytest.mark.parametrize(
    ("suffix", "stated"), [(".gz", 5000), (".gz", None), (".xz", None), (".zst", None), (".bz2", None)]
)
def test_decompression_bombs(arena: Arena, suffix: str, stated: int | None) -> None:
    bomb = packed(suffix, itertools.chain([b"<metadata>"], big(b" ", 80 << 20)))
    arena.upstream.files = with_primary(bomb, suffix, stated)
    arena.refused("MetadataTooLarge")


def test_a_window_that_takes_all_memory(arena: Arena) -> None:
    settings = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=False)
    content = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    arena.upstream.files = with_primary(content.compress(b"<metadata>" * 1000) + content.flush(), ".zst")
    arena.refused("MetadataInvalid")


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><metadata>&j;</metadata>"
)
XML_ATTACKS: dict[str, tuple[str, Callable[[], Iterator[bytes]]]] = {
    "laughs": ("EntityRefused", lambda: iter([LAUGHS])),
    "attribute": ("MetadataTooLarge", lambda: itertools.chain([b'<metadata a="'], big(b"x", 60 << 20), [b'"/>'])),
    "comment": ("MetadataTooLarge", lambda: itertools.chain([b"<metadata><!--"], big(b"x", 60 << 20), [b"-->"])),
    "nesting": ("MetadataTooLarge", lambda: big(b"<a>", 60 << 20)),
    "names": ("MetadataTooLarge", lambda: (b"<m>" if not n else b"<a%d/>" % n for n in range(100_000))),
    "spaces": ("MetadataTooLarge", lambda: (b"<m>" if not n else b"<a xmlns:p%d='u'/>" % n for n in range(99_000))),
    "value": ("MetadataTooLarge", lambda: itertools.chain([b"<m><checksum>"], big(b"x", 60 << 20))),
    "encoding": ("MetadataInvalid", lambda: iter([b'<?xml version="1.0" encoding="utf-7"?><metadata/>'])),
    "rubbish": ("MetadataInvalid", lambda: iter([bytes(range(256)) * 100])),
}


@pytest.mark.parametrize("name", sorted(XML_ATTACKS))
def test_xml(arena: Arena, name: str) -> None:
    code, pieces = XML_ATTACKS[name]
    arena.upstream.files = with_primary(packed(".zst", pieces()), ".zst")
    arena.refused(code)


@pytest.mark.skipif("STATIONMASTER_LONG" not in os.environ, reason="takes half a minute; STATIONMASTER_LONG=1")
def test_millions_of_tiny_packages_end_in_bounded_memory(arena: Arena) -> None:
    line = b'<package><checksum type="sha256">%064x</checksum><size package="1"/><location href="%x"/></package>'
    body = (b"".join(line % (n, n) for n in range(k, k + 5000)) for k in range(1, 2_100_000, 5000))
    content = packed(".zst", itertools.chain([b"<metadata>"], body, [b"</metadata>"]))
    arena.upstream.files = with_primary(content, ".zst")
    arena.refused("MetadataTooLarge", seconds=120)


HEADS: dict[str, Callable[[], Iterator[bytes]]] = {
    "headers without end": lambda: itertools.chain([OK], (b"x%d: y\r\n" % n for n in itertools.count())),
    "one header without end": lambda: itertools.chain([OK + b"x: "], itertools.repeat(b"y" * 1000)),
    "interim answers without end": lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "trailers without end": lambda: itertools.chain(
        [OK + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"], itertools.repeat(b"x: y\r\n")
    ),
    "a chunk line without end": lambda: itertools.chain(
        [OK + b"transfer-encoding: chunked\r\n\r\n"], itertools.repeat(b"0" * 1000)
    ),
    "a negative chunk": lambda: iter([OK + b"transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n"]),
    "two lengths": lambda: iter([OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!"]),
    "a length of no number": lambda: iter([OK + b"content-length: 5e3\r\n\r\nhello"]),
    "no HTTP": lambda: iter([b"SSH-2.0-OpenSSH_9.2\r\n"]),
    "another coding": lambda: iter([OK + b"transfer-encoding: gzip\r\n\r\nhello"]),
}


def impatient(arena: Arena, **settings: Any) -> outcome.SyncOutcome:
    """A sync in this process that tries once: the command would try five times, and take its time."""
    policy = exchange.FetchPolicy(retry=retry.RetryPolicy(attempts=1), **settings)
    machine = engine.Engine(files.Files(), http.Http(), clock.SystemClock(), fetch_policy=policy)
    return machine.sync(volume.open_volume(files.Files(), arena.volume), source.RpmSource("src", arena.upstream.url))


@pytest.mark.parametrize("name", sorted(HEADS))
def test_broken_http(arena: Arena, name: str) -> None:
    arena.upstream.behaviour[ROOT] = raw(HEADS[name])
    result = impatient(arena)
    assert result.error is not None
    assert result.error.code == "UpstreamUnavailable"


def test_endless_headers_through_the_command(arena: Arena) -> None:
    arena.upstream.behaviour[ROOT] = raw(HEADS["headers without end"])
    arena.refused("UpstreamUnavailable")


def slowly(piece: bytes, seconds: float, count: int) -> Iterator[bytes]:
    for _ in range(count):
        time.sleep(seconds)
        yield piece


SLOW: dict[str, tuple[str, bytes, bytes]] = {
    "body": ("TooSlow", OK + b"content-length: 3000\r\n\r\n", b"x"),
    "head": ("UpstreamUnavailable", OK, b"x"),
    "chunk": ("UpstreamUnavailable", OK + b"transfer-encoding: chunked\r\n\r\n", b"0"),
    "silence": ("UpstreamUnavailable", OK + b"content-length: 3000\r\n\r\n", b""),
}


@pytest.mark.parametrize("name", sorted(SLOW))
def test_slowness(arena: Arena, name: str) -> None:
    code, beginning, piece = SLOW[name]
    arena.upstream.behaviour["Packages/new.rpm"] = raw(
        lambda: itertools.chain([beginning], slowly(piece, 0.1, 80) if piece else slowly(b"", 2, 2))
    )
    started = time.monotonic()
    result = impatient(arena, floor=1000, window=1.0, read_timeout=1.5)
    assert result.error is not None
    assert result.error.code == code, result.error
    assert time.monotonic() - started < 6


def test_bodies_of_another_length_than_promised(arena: Arena) -> None:
    endless = raw(lambda: itertools.chain([OK + b"\r\n"], itertools.repeat(b" " * 65536)))
    arena.upstream.behaviour = {ROOT: endless}
    arena.refused("MetadataTooLarge")
    arena.upstream.behaviour = {"Packages/new.rpm": endless}
    arena.refused("SizeMismatch")
    arena.upstream.behaviour = {"Packages/new.rpm": reply(200, FURTHER["Packages/new.rpm"][:-1])}
    assert "2999" in arena.refused("SizeMismatch").message
    arena.upstream.behaviour = {"Packages/new.rpm": reply(200, b"x" * 3000)}
    message = arena.refused("DigestMismatch").message
    assert hashlib.sha256(FURTHER["Packages/new.rpm"]).hexdigest() in message
    assert hashlib.sha256(b"x" * 3000).hexdigest() in message
    assert "Packages/new.rpm" in message


def test_redirects(arena: Arena) -> None:
    for target in ("ftp://127.0.0.1/x", "//[", "", "javascript:x", "gopher://h/"):
        arena.upstream.behaviour[ROOT] = reply(302, location=target)
        result = impatient(arena)
        assert result.error is not None
        assert result.error.code == "RedirectRefused", (target, result)
    arena.upstream.behaviour[ROOT] = reply(302, location="file:///etc/passwd")
    arena.refused("RedirectRefused")
    arena.upstream.behaviour[ROOT] = reply(302, location="/" + ROOT)
    arena.refused("RedirectRefused")


@pytest.mark.parametrize("status", [206, 304, 416, 204, 299])
@pytest.mark.parametrize("path", [ROOT, "Packages/new.rpm"])
def test_answers_that_nobody_asked_for(arena: Arena, status: int, path: str) -> None:
    if (status, path) == (304, ROOT):
        (arena.volume / ".stationmaster/sources/src.json").unlink()  # else it was asked for
    arena.upstream.behaviour[path] = reply(status, b"" if status in (204, 304) else arena.upstream.files[path])
    result = impatient(arena)
    assert result.error is not None
    assert result.error.code == "UpstreamUnavailable"
    assert str(status) in result.error.message


CUT = raw([OK + b'etag: "honest"\r\ncontent-length: 3000\r\n\r\n' + b"new" * 400])
ODD_ANSWERS = {
    "other range": reply(206, b"x" * 100, content_range="bytes 5-104/3000"),
    "no range": reply(206, b"x" * 1800),
    "range of another file": reply(206, b"x" * 1800, content_range="bytes 1200-2999/3000"),
    "whole": reply(200, FURTHER["Packages/new.rpm"]),
    "whole, other": reply(200, b"y" * 3000, etag='"other"'),
    "not satisfiable": reply(416, b"no"),
    "unchanged": reply(304),
    "too much": reply(206, b"new" * 1000, content_range="bytes 1200-4199/4200"),
    "validator that cannot be sent": reply(200, FURTHER["Packages/new.rpm"][:9], etag='"\xe9"', content_length="3000"),
}


@pytest.mark.parametrize("name", sorted(ODD_ANSWERS))
def test_odd_answers_to_a_resume_do_not_spoil_the_file(tmp_path: Path, name: str) -> None:
    """The first answer breaks off, the second is odd; what honest answers follow make the file whole."""
    with hostile_upstream.HostileUpstream(repository(FURTHER)) as upstream:
        upstream.behaviour["Packages/new.rpm"] = [CUT, ODD_ANSWERS[name]]
        place = volume.init_volume(files.Files(), tmp_path / "mirror", clock.SystemClock())
        policy = exchange.FetchPolicy(retry=retry.RetryPolicy(attempts=4, first_delay=0.01))
        machine = engine.Engine(files.Files(), http.Http(), clock.SystemClock(), fetch_policy=policy)
        result = machine.sync(place, source.RpmSource("src", upstream.url))
        if name == "whole, other":  # as long as promised, and other bytes: said, not tried again
            assert result.error is not None
            assert result.error.code == "DigestMismatch"
            result = machine.sync(place, source.RpmSource("src", upstream.url))
        assert result.error is None, result.error
        assert (place.published("src") / "Packages/new.rpm").read_bytes() == FURTHER["Packages/new.rpm"]


def test_an_upstream_that_changes_whenever_it_is_read(arena: Arena) -> None:
    numbers = itertools.count(10)

    def change(stream: Any, headers: Any) -> None:
        arena.upstream.files = repository({**PACKAGES, f"n{next(numbers)}.rpm": b"n"}, next(numbers))
        hostile_upstream.file(arena.upstream.files[ROOT])(stream, headers)
        arena.upstream.files = repository({**PACKAGES, f"n{next(numbers)}.rpm": b"n"}, next(numbers))

    arena.upstream.behaviour[ROOT] = change
    arena.refused("MetadataChanging")
