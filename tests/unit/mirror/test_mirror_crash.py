"""After any prefix of a sync's effects clients see one whole generation or none, and the next run reaches the end."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stationmaster.mirror import catalog, inspection, outcome
from stationmaster.testing import crashing_files, mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

Make = Callable[..., mirror_bench.Bench]

FIRST = {"Packages/a.rpm": b"a" * 300, "Packages/b.rpm": b"b", "sub/c.rpm": b"c" * 70}
ADDED = {**FIRST, "Packages/d.rpm": b"d" * 200}
REMOVED = {"Packages/b.rpm": b"b", "new/e.rpm": b"e"}
COLLIDING = {**FIRST, "Packages/a.rpm": b"A" * 300}
IN_METADATA = {"repodata/x.rpm": b"x", "Packages/a.rpm": b"a" * 300}


def repository(packages: dict[str, bytes], stamp: int) -> dict[str, bytes]:
    return repositories.rpm_repository(packages, timestamp=1_700_000_000 + stamp, further={"updateinfo": b"<u/>"})


def names_only_what_it_has(shown: dict[str, bytes], generations: list[dict[str, bytes]]) -> bool:
    """I4: nothing is shown, or a root with everything it names."""
    root = shown.get("repodata/repomd.xml")
    if root is None:
        return True
    (meant,) = (one for one in generations if one["repodata/repomd.xml"] == root)
    return all(shown.get(path) == content for path, content in meant.items())


@pytest.mark.parametrize("present", [ADDED, REMOVED, COLLIDING, IN_METADATA], ids=["add", "drop", "collide", "inside"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_every_prefix_of_a_publish_is_safe_and_resumes(
    make: Make, tmp_path: Path, present: dict[str, bytes], *, is_first: bool
) -> None:
    former, target = repository(FIRST, 0), repository(present, 100)
    site = simulated_upstream.Site()
    start = make(site, "start")
    if not is_first:
        site.files = former
        assert start.sync().state is outcome.State.SYNCED
    site.files = target

    def copy(name: str, files: crashing_files.CrashingFiles) -> mirror_bench.Bench:
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        shutil.copytree(tmp_path / "start", tmp_path / name, symlinks=True)
        return make(site, name, files=files)

    counting = crashing_files.CrashingFiles()
    assert copy("whole", counting).sync().state is outcome.State.SYNCED
    assert counting.count > 20
    for effects in range(counting.count):
        bench = copy("crash", crashing_files.CrashingFiles(effects))
        with pytest.raises(crashing_files.CrashError):
            bench.sync()
        assert names_only_what_it_has(bench.published(), [former, target]), effects
        shutil.rmtree(bench.volume.control / "locks")  # what the death of the process does
        (bench.volume.control / "locks").mkdir()
        again = make(site, "crash")
        result = again.sync()
        assert result.error is None, (effects, result)
        assert {**again.published(), **target} == again.published(), effects
        assert inspection.verify(again.volume, again.clock).is_whole


def test_a_killed_download_is_taken_up_where_it_ended(make: Make) -> None:
    body = bytes(range(256)) * 4000
    site = simulated_upstream.Site(repository({"Packages/big.rpm": body}, 0))
    site.strike("Packages/big.rpm", *[simulated_upstream.Fault(cut_after=400_000)] * 3)
    bench = make(site)
    assert bench.sync().state is outcome.State.FAILED
    cut_bytes = sum(path.stat().st_size for path in (bench.volume.incoming("src")).glob("*.part"))
    assert cut_bytes >= 400_000
    result = bench.sync()
    assert result.state is outcome.State.SYNCED
    assert result.bytes_downloaded < len(body) - cut_bytes + 5000
    assert bench.published()["Packages/big.rpm"] == body


def test_what_a_power_cut_left_of_a_download_is_not_believed(make: Make) -> None:
    body = b"honest" * 100
    bench = make(simulated_upstream.Site(repository({"a.rpm": body}, 0)))
    incoming = bench.volume.incoming("src")
    incoming.mkdir()
    (incoming / f"{hashlib.sha256(body).hexdigest()}.part").write_bytes(bytes(300))
    pooled = bench.volume.pool_path("sha256", hashlib.sha256(b"other").hexdigest())
    pooled.parent.mkdir()
    pooled.write_bytes(b"")
    bench.site.files = repository({"a.rpm": body, "b.rpm": b"other"}, 0)
    assert bench.sync().state is outcome.State.SYNCED
    assert bench.published()["a.rpm"] == body
    assert bench.published()["b.rpm"] == b"other"


def test_a_station_holds_a_generation_without_showing_it(make: Make) -> None:
    site = simulated_upstream.Site(repository(FIRST, 0))
    bench = make(site)
    first = bench.sync(publish_alone=False)
    site.files = repository(COLLIDING, 9)
    second = bench.sync(publish_alone=False)
    assert [first.state, second.state] == [outcome.State.SYNCED] * 2
    assert "repodata/repomd.xml" not in bench.published()
    for generation, packages in ((first.generation, FIRST), (second.generation, COLLIDING)):
        assert generation is not None
        assert catalog.is_held_whole(bench.volume, "src", generation)
        tree = bench.volume.tree("src", generation)
        for path, content in packages.items():  # as nginx looks: the tree first, then what generations share
            found = tree / path if (tree / path).exists() else bench.volume.published("src") / path
            assert found.read_bytes() == content
    assert [held.generation for held in catalog.list_generations(bench.volume, "src")] == [
        first.generation,
        second.generation,
    ]
