"""Packages that lie elsewhere by xml:base (ADR 9): held here, metadata verbatim, and the operator is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from stationmaster.mirror import inspection, manifest, outcome, source
from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

Site = simulated_upstream.Site
ELSEWHERE = "http://vendor.test/pub/"
PEER = "http://peer.test/"
PACKAGES = {"own.rpm": b"own", "a/their.rpm": b"their"}


def repository(base: str = ELSEWHERE) -> dict[str, bytes]:
    """``a/their.rpm`` is named to lie at ``base``, and is not in the tree."""
    primary = repositories.primary_xml(PACKAGES).replace(
        b'<location href="a/', f'<location xml:base="{base}" href="a/'.encode()
    )
    files = repositories.rpm_repository(PACKAGES, primary=primary)
    del files["a/their.rpm"]
    return files


@pytest.fixture
def vendor() -> Site:
    return Site({"a/their.rpm": b"their"})


@pytest.fixture
def bench(tmp_path: Path, vendor: Site) -> mirror_bench.Bench:
    return mirror_bench.make_bench(tmp_path / "mirror", Site(repository()), further={ELSEWHERE: vendor})


def test_they_are_held_and_the_metadata_is_verbatim(bench: mirror_bench.Bench) -> None:
    result = bench.sync()
    assert (result.state, result.packages) == (outcome.State.SYNCED, 2)
    assert bench.published() == {**bench.site.files, "a/their.rpm": b"their"}
    assert "vendor.test by xml:base" in result.warnings[0]
    assert inspection.verify(bench.volume, bench.clock).is_whole
    assert ("a/their.rpm", 404) not in bench.site.log
    assert result.generation is not None
    kept = manifest.read_entries(bench.volume.manifest("src", result.generation))
    assert all(not entry.b for entry in kept)  # manifests are equal on all volumes, wherever the bytes came from


def test_what_the_vendor_lost_may_lie_in_the_tree(bench: mirror_bench.Bench, vendor: Site) -> None:
    vendor.files.clear()
    result = bench.sync()
    assert result.error is not None
    assert ELSEWHERE in result.error.message
    bench.site.files["a/their.rpm"] = b"their"
    assert bench.sync().state is outcome.State.SYNCED


def test_the_vendor_must_send_the_promised_bytes(bench: mirror_bench.Bench, vendor: Site) -> None:
    vendor.files["a/their.rpm"] = b"evil!"
    result = bench.sync()
    assert result.error is not None
    assert result.error.code == "DigestMismatch"


def test_a_follower_asks_the_one_it_copies_from(bench: mirror_bench.Bench, vendor: Site, tmp_path: Path) -> None:
    generation = bench.sync().generation
    peer = Site(bench.published())
    vendor.log.clear()
    other = mirror_bench.make_bench(tmp_path / "other", Site(), further={PEER: peer, ELSEWHERE: vendor})
    wanted = source.RpmSource("src", PEER)
    result = other.engine.sync(other.volume, wanted, expected_generation=generation)
    assert result.state is outcome.State.SYNCED
    assert vendor.log == []
    assert (tmp_path / "mirror/generations/src").is_dir()
    first, second = (one.volume.manifest("src", generation or "").read_bytes() for one in (bench, other))
    assert first == second


def test_packages_named_by_sha1_alone_are_told(tmp_path: Path) -> None:
    primary = repositories.primary_xml({"p.rpm": b"p"}, "sha1")
    files = repositories.rpm_repository({"p.rpm": b"p"}, primary=primary)
    result = mirror_bench.make_bench(tmp_path / "mirror", Site(files)).sync()
    assert result.state is outcome.State.SYNCED
    assert "SHA-1" in result.warnings[0]
    assert "p.rpm" in result.warnings[0]
