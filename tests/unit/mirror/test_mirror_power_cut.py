"""What survives a power cut: a file system that forgets what was not flushed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stationmaster.mirror import outcome, owners
from stationmaster.testing import crashing_files, mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

Make = Callable[..., mirror_bench.Bench]
PACKAGES = {f"p/{number}.rpm": bytes([65 + number]) * 3000 for number in range(6)}


class _Recording(crashing_files.CrashingFiles):
    def __init__(self) -> None:
        super().__init__()
        self.effects: list[tuple[str, str]] = []

    def sync_file_system(self, path: Path) -> None:
        self.effects.append(("sync", str(path)))

    def link(self, source: Path, target: Path) -> bool:
        self.effects.append(("link", str(target)))
        return super().link(source, target)

    def rename(self, source: Path, target: Path) -> None:
        self.effects.append(("rename", str(target)))
        super().rename(source, target)

    def replace_symlink(self, link: Path, target: str) -> None:
        self.effects.append(("switch", str(link)))
        super().replace_symlink(link, target)


def test_everything_is_on_the_disk_before_anything_shows_it(make: Make) -> None:
    files = _Recording()
    bench = make(simulated_upstream.Site(repositories.rpm_repository(PACKAGES)), files=files)
    assert bench.sync().error is None
    at = files.effects.index(("sync", str(bench.root)))
    before, after = files.effects[:at], files.effects[at + 1 :]
    assert [kind for kind, target in before if kind == "link" and target.endswith(".rpm")] == ["link"] * 6
    assert any("/pool/" in target for kind, target in before if kind == "rename")
    assert not any("/generations/" in target for kind, target in before if kind == "rename")
    placed = [(kind, target) for kind, target in after if "/incoming/" not in target]
    assert [kind for kind, _ in placed if kind in ("link", "rename")] == ["rename"]
    assert {Path(target).name for kind, target in after if kind == "switch"} == {".metadata", "src"}


@pytest.mark.parametrize("other_source", [False, True])
def test_content_of_a_sync_that_lost_its_power_is_digested_before_it_is_believed(
    make: Make, other_source: bool
) -> None:
    site = simulated_upstream.Site(repositories.rpm_repository(PACKAGES))
    bench = make(site)
    victim = list(PACKAGES)[-1]
    site.always[victim] = simulated_upstream.Fault(status=404)
    assert bench.sync().state is outcome.State.FAILED
    pooled = [path for path in (bench.root / "pool/sha256").rglob("*") if path.is_file()]
    assert len(pooled) == 5
    pooled[0].write_bytes(b"\0" * 3000)  # the pages never reached the disk
    mark = bench.volume.incoming("src") / "unsettled"
    assert mark.read_text() == owners.boot_id()
    mark.write_text("the boot before")
    site.always.clear()
    site.log.clear()
    name = "other" if other_source else "src"
    assert bench.sync(name).error is None
    assert bench.published(name) == site.files
    assert len([path for path, _ in site.log if path in PACKAGES]) == 2
    assert mark.exists() == other_source


def test_without_a_power_cut_nothing_is_read_again(make: Make) -> None:
    site = simulated_upstream.Site(repositories.rpm_repository(PACKAGES))
    bench = make(site)
    site.always[list(PACKAGES)[-1]] = simulated_upstream.Fault(status=404)
    bench.sync()
    site.always.clear()
    site.log.clear()
    assert bench.sync().error is None
    assert len([path for path, _ in site.log if path in PACKAGES]) == 1
