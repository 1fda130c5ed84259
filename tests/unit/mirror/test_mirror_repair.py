from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from stationmaster.host import files as host_files
from stationmaster.mirror import exchange, fetch, inspection, repair, retry
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


def mend(bench: mirror_bench.Bench, files: host_files.Files | None = None) -> list[repair.Repair]:
    http = simulated_upstream.MemoryHttp({mirror_bench.BASE: bench.site}, wait=bench.clock.sleep)
    files = files or crashing_files.CrashingFiles()
    policy = exchange.FetchPolicy(retry=retry.RetryPolicy(attempts=1))
    fetcher = fetch.Fetcher(files, http, bench.clock, jitter=random.Random(1), stop=threading.Event(), policy=policy)
    return repair.Repairer(files, bench.volume, fetcher).repair(check(bench).findings)


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
