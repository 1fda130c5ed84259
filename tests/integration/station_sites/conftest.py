from __future__ import annotations

from collections.abc import Iterator

import pytest

from stationmaster.host import engine_process
from stationmaster.testing import sites


@pytest.fixture
def doors() -> engine_process.Doors:
    return engine_process.real_doors()


@pytest.fixture
def place() -> Iterator[sites.Place]:
    with sites.station_place() as made:
        yield made
