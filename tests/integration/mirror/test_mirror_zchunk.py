"""zchunk metadata made by the real programs: read, held verbatim, and enough when it is the only one."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stationmaster.mirror import failures, unpack
from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

DIGESTS = ("sha256", "sha512", "sha512_128")


def zck(run: Callable[..., str], content: bytes, directory: Path, *options: str) -> Path:
    (directory / "plain").write_bytes(content)
    run("zck", *options, "-o", directory / "packed.zck", directory / "plain")
    return directory / "packed.zck"


@pytest.mark.parametrize("options", [(), ("-u",), ("-m", "-s", "<p>"), ("--compression-format=none",)], ids=str)
@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_what_zck_writes_is_read(run: Any, tmp_path: Path, options: tuple[str, ...], size: int) -> None:
    words = random.Random(1)
    content = b"".join(b"<p>%d</p>\n" % words.randrange(10**9) for _ in range(size // 15)) or b"x" * size
    packed = zck(run, content, tmp_path, *options)
    assert b"".join(unpack.unpacked_blocks(packed, stated_size=len(content))) == content


@pytest.mark.parametrize("digest", DIGESTS)
def test_every_chunk_digest_is_known(run: Any, tmp_path: Path, digest: str) -> None:
    content = bytes(range(256)) * 500
    packed = zck(run, content, tmp_path, "--chunk-hash-type", digest)
    assert b"".join(unpack.unpacked_blocks(packed)) == content


def test_a_dictionary_is_used(run: Any, tmp_path: Path) -> None:
    (tmp_path / "dictionary").write_bytes(b"<package><name>lab</name></package>" * 50)
    content = b"<package><name>lab</name></package>\n" * 2000
    packed = zck(run, content, tmp_path, "-D", str(tmp_path / "dictionary"))
    assert b"".join(unpack.unpacked_blocks(packed)) == content


def test_every_cut_and_flip_is_an_error_of_ours(run: Any, tmp_path: Path) -> None:
    packed = zck(run, b"<p>text</p>\n" * 300, tmp_path)
    whole = packed.read_bytes()
    chance = random.Random(7)
    for _ in range(400):
        damaged = bytearray(whole[: chance.randrange(5, len(whole))] if chance.random() < 0.5 else whole)
        damaged[chance.randrange(5, len(damaged)) if len(damaged) > 5 else 0] ^= 1 << chance.randrange(8)
        packed.write_bytes(damaged)
        try:
            list(unpack.unpacked_blocks(packed))
        except (failures.MetadataInvalidError, failures.MetadataTooLargeError):
            continue


@pytest.fixture(scope="module")
def zck_root(tmp_path_factory: pytest.TempPathFactory, build_rpms: Callable[[str], list[Path]], run: Any) -> Path:
    root = tmp_path_factory.mktemp("zck")
    for rpm in build_rpms("3"):
        shutil.copy(rpm, root)
    run("createrepo_c", "-q", "--zck", root)
    return root


def without_plain(root: Path, run: Any) -> None:
    """The repository as an upstream has it that makes zchunk alone."""
    for kind in ("primary", "filelists", "other"):
        run("modifyrepo_c", "--remove", kind, root / "repodata")


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_repository_with_zchunk(zck_root: Path, run: Any, tmp_path: Path, is_alone: bool) -> None:
    root = tmp_path / "root"
    shutil.copytree(zck_root, root)
    if is_alone:
        without_plain(root, run)
        assert b'"primary"' not in (root / "repodata/repomd.xml").read_bytes()
    site = simulated_upstream.Site(mirror_bench.tree_of(root))
    bench = mirror_bench.make_bench(tmp_path / "mirror", site)
    result = bench.sync()
    assert (result.error, result.packages) == (None, 2)
    assert bench.published() == site.files


def test_packages_that_the_zchunk_variant_alone_names_are_held(run: Any, tmp_path: Path) -> None:
    """I4: dnf reads the zchunk variant where there is one, whatever the plain one says."""
    both = {"a.rpm": b"a", "b.rpm": b"b"}
    packed = zck(run, repositories.primary_xml(both), tmp_path).read_bytes()
    files = repositories.rpm_repository({"a.rpm": b"a"}) | {"b.rpm": b"b", "repodata/p.zck": packed}
    files["repodata/repomd.xml"] = files["repodata/repomd.xml"].replace(
        b"</repomd>",
        b"<data type='primary_zck'><checksum type='sha256'>%s</checksum>"
        b"<location href='repodata/p.zck'/></data></repomd>" % hashlib.sha256(packed).hexdigest().encode(),
    )
    bench = mirror_bench.make_bench(tmp_path / "mirror", simulated_upstream.Site(files))
    assert bench.sync().packages == 2
    assert bench.published()["b.rpm"] == b"b"
