from __future__ import annotations

import stat
from pathlib import Path

import pytest

from stationmaster.mirror import fileref, pool
from stationmaster.testing import mirror_bench, simulated_upstream

CONTENT = b"a package"


@pytest.fixture
def bench(tmp_path: Path) -> mirror_bench.Bench:
    return mirror_bench.make_bench(tmp_path / "mirror", simulated_upstream.Site({}))


def part_of(bench: mirror_bench.Bench, content: bytes, mode: int = 0o644) -> Path:
    path = bench.root / "x.part"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_what_is_admitted_can_be_read_by_a_web_server_whatever_the_umask_was(
    bench: mirror_bench.Bench, mode: int
) -> None:
    checksum = fileref.parse_checksum("sha256", fileref.digest_of(part_of(bench, CONTENT)), what="it")
    held = pool.Pool(bench.volume.files, bench.volume)
    held.admit(part_of(bench, CONTENT, mode), checksum.value, checksum)
    status = held.path(checksum.value).stat()
    assert stat.S_IMODE(status.st_mode) == 0o644
    assert status.st_mtime == fileref.package_mtime(checksum.value)
    assert held.find(checksum, len(CONTENT)) == checksum.value


def test_content_that_is_there_keeps_its_inode_unless_it_is_doubted(bench: mirror_bench.Bench) -> None:
    checksum = fileref.parse_checksum("sha256", fileref.digest_of(part_of(bench, CONTENT)), what="it")
    held = pool.Pool(bench.volume.files, bench.volume)
    held.admit(part_of(bench, CONTENT), checksum.value, checksum)
    former = held.path(checksum.value).stat().st_ino
    held.admit(part_of(bench, CONTENT), checksum.value, checksum)
    assert held.path(checksum.value).stat().st_ino == former
    doubting = pool.Pool(bench.volume.files, bench.volume, is_doubted=True)
    doubting.admit(part_of(bench, CONTENT), checksum.value, checksum)
    assert held.path(checksum.value).stat().st_ino != former
    assert not (bench.root / "x.part").exists()


def test_another_digest_is_a_link_that_names_the_sha256(bench: mirror_bench.Bench) -> None:
    part = part_of(bench, CONTENT)
    sha256, other = fileref.digest_of(part), fileref.digest_of(part, "sha512")
    held = pool.Pool(bench.volume.files, bench.volume)
    checksum = fileref.parse_checksum("sha512", other, what="it")
    held.admit(part, sha256, checksum)
    assert held.find(checksum, len(CONTENT)) == sha256
    assert held.find(checksum, len(CONTENT) + 1) is None
