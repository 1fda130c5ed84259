from __future__ import annotations

import hashlib
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, exchange, fetch, inspection, losses, manifest, repair, retry
from stationmaster.testing import crashing_files, mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

Make = Callable[..., mirror_bench.Bench]
PACKAGES = {f"p/{number}.rpm": bytes([65 + number]) * 3000 for number in range(6)}


@pytest.fixture
def held(make: Make) -> mirror_bench.Bench:
    bench = make(simulated_upstream.Site(repositories.rpm_repository(PACKAGES)))
    assert bench.sync().error is None
    bench.site.log.clear()
    return bench


def check(bench: mirror_bench.Bench) -> inspection.Report:
    return inspection.verify(bench.volume, bench.clock)


def mend(
    bench: mirror_bench.Bench,
    files: host_files.Files | None = None,
    findings: list[inspection.Finding] | None = None,
) -> list[repair.Repair]:
    http = simulated_upstream.MemoryHttp({mirror_bench.BASE: bench.site}, wait=bench.clock.sleep)
    files = files or crashing_files.CrashingFiles()
    policy = exchange.FetchPolicy(retry=retry.RetryPolicy(attempts=1))
    fetcher = fetch.Fetcher(files, http, bench.clock, jitter=random.Random(1), stop=threading.Event(), policy=policy)
    return repair.Repairer(files, bench.volume, fetcher).repair(findings or check(bench).findings)


def rot(path: Path) -> None:
    """Other bytes of the same size in the same file: what a disk does."""
    path.write_bytes(b"\0" * path.stat().st_size)


def test_rotten_missing_and_cut_packages_come_back_with_their_times(held: mirror_bench.Bench) -> None:
    shown = held.volume.published("src")
    times = {path: (shown / path).stat().st_mtime for path in held.site.files}
    rot(shown / "p/0.rpm")
    (shown / "p/1.rpm").write_bytes(b"cut")
    (shown / "p/2.rpm").unlink()  # still in the pool: not fetched
    rot(shown / next(path for path in held.site.files if "primary" in path))
    assert len(check(held).findings) == 4
    assert all(one.is_mended for one in mend(held))
    assert check(held).is_whole
    assert held.published() == held.site.files
    assert {path: (shown / path).stat().st_mtime for path in times} == times
    assert sorted(path for path, _ in held.site.log if path in PACKAGES) == ["p/0.rpm", "p/1.rpm"]
    pooled = {path.stat().st_ino for path in (held.root / "pool/sha256").rglob("*") if path.is_file()}
    assert {(shown / path).stat().st_ino for path in PACKAGES} == pooled


def test_what_the_upstream_no_longer_has_stays_a_finding(held: mirror_bench.Bench) -> None:
    rot(held.volume.published("src") / "p/0.rpm")
    rot(held.volume.published("src") / "p/1.rpm")
    held.site.files["p/0.rpm"] = b"x" * 3000
    del held.site.files["p/1.rpm"]
    first, second = mend(held)
    assert "expected was" in first.problem
    assert "404" in second.problem
    assert {one.path for one in check(held).findings} == {"p/0.rpm", "p/1.rpm"}


def test_a_kill_during_repair_damages_nothing_more(held: mirror_bench.Bench) -> None:
    for number in range(40):
        rot(held.volume.published("src") / "p/0.rpm")
        try:
            mend(held, crashing_files.CrashingFiles(number))
        except crashing_files.CrashError:
            assert {one.path for one in check(held).findings} <= {"p/0.rpm"}
            shutil.rmtree(held.volume.control / "locks" / "src")  # its process, this one, is not gone
            continue
        break
    else:
        pytest.fail("the repair never came to its end")
    assert check(held).is_whole


def test_a_damaged_manifest_is_left_to_the_next_sync(held: mirror_bench.Bench) -> None:
    held.volume.manifest("src", held.sync().generation or "").write_bytes(b"{")
    (only,) = mend(held)
    assert "next sync" in only.problem
    assert held.sync().error is None
    assert check(held).is_whole


def test_what_only_the_pool_lost_costs_no_request(held: mirror_bench.Bench) -> None:
    shown = held.volume.published("src") / "p/0.rpm"
    digest = hashlib.sha256(shown.read_bytes()).hexdigest()
    pooled = held.volume.pool_path("sha256", digest)
    pooled.unlink()
    entry = next(one for one in entries(held) if one.p == "p/0.rpm")
    finding = inspection.Finding("src", generation_of(held), entry.p, inspection.Problem.MISSING, entry.d, "nothing")
    assert [one.problem for one in mend(held, findings=[finding])] == [""]
    assert pooled.stat().st_ino == shown.stat().st_ino
    assert held.site.log == []


def test_a_lost_overlay_comes_back_to_its_own_tree(make: Make) -> None:
    """A path with two contents: in the site lies the one of the other generation, which must keep it."""
    bench = make(simulated_upstream.Site(repositories.rpm_repository(PACKAGES)))
    former = bench.sync(publish_alone=False).generation or ""
    bench.site.files = repositories.rpm_repository({**PACKAGES, "p/0.rpm": b"other"}, timestamp=1_700_000_100)
    present = bench.sync(publish_alone=False).generation or ""
    overlay = bench.volume.tree("src", present) / "p/0.rpm"
    assert overlay.read_bytes() == b"other"
    overlay.unlink()
    assert [one.path for one in losses.find_losses(bench.volume, "src", present)] == ["p/0.rpm"]
    assert losses.find_losses(bench.volume, "src", former) == []
    assert [one.problem for one in mend(bench)] == [""]
    assert overlay.read_bytes() == b"other"
    assert (bench.volume.published("src") / "p/0.rpm").read_bytes() == PACKAGES["p/0.rpm"]
    assert check(bench).is_whole


@pytest.mark.parametrize("damage", ["missing", "cut", "rotten metadata"])
def test_a_quick_look_finds_what_clients_would(held: mirror_bench.Bench, damage: str) -> None:
    assert losses.find_losses(held.volume, "src", generation_of(held)) == []
    shown = held.volume.published("src")
    path = next(path for path in held.site.files if "primary" in path) if damage == "rotten metadata" else "p/1.rpm"
    if damage == "missing":
        (shown / path).unlink()
    elif damage == "cut":
        (shown / path).write_bytes(b"cut")
    else:
        rot(shown / path)
    assert [one.path for one in losses.find_losses(held.volume, "src", generation_of(held))] == [path]
    assert losses.find_losses(held.volume, "src", "f" * 32) == []


def generation_of(bench: mirror_bench.Bench) -> str:
    (only,) = catalog.list_generations(bench.volume, "src")
    return only.generation


def entries(bench: mirror_bench.Bench) -> list[manifest.Entry]:
    return list(manifest.read_entries(bench.volume.manifest("src", generation_of(bench))))
