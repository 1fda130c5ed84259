from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stationmaster.testing import groups


@pytest.fixture(scope="module")
def stations() -> Iterator[groups.Stations]:
    with groups.two_stations() as made:
        yield made


@pytest.fixture
def group(stations: groups.Stations) -> Iterator[groups.Group]:
    """A HAProxy of our own in front of both, each in good health."""
    state = Path(tempfile.mkdtemp(prefix="sm-bal-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, state)
        stations.recover()
        yield stack.enter_context(groups.balanced(stations, state))
