from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stationmaster.host import files as host_files
from stationmaster.mirror import lock
from stationmaster.testing import mirror_bench, simulated_upstream


@pytest.fixture(autouse=True)
def _unrenewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process dies at an effect: on a busy machine a lock's own thread would meet it instead of the sync."""
    monkeypatch.setattr(lock, "_RENEWAL_SECONDS", 3600)


@pytest.fixture
def bench(tmp_path: Path) -> mirror_bench.Bench:
    return mirror_bench.make_bench(tmp_path / "mirror", simulated_upstream.Site())


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., mirror_bench.Bench]:
    def build(
        site: simulated_upstream.Site, name: str = "mirror", files: host_files.Files | None = None
    ) -> mirror_bench.Bench:
        return mirror_bench.make_bench(tmp_path / name, site, files=files)

    return build
