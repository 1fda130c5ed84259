from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stationmaster.host import files as host_files
from stationmaster.testing import mirror_bench, simulated_upstream


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
