"""A station's sync from an upstream that wants a password: the source's own door, and nothing of it in what is told."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import volume
from stationmaster.model import protocol
from stationmaster.station import board, config, memory, snapshot, steps, sync
from stationmaster.testing import simulated_repositories as repositories
from stationmaster.testing import simulated_upstream

BASIC = "Basic bWU6czNjcmV0"


class Closed:
    """An upstream that knows one password."""

    def __init__(self) -> None:
        site = simulated_upstream.Site(repositories.rpm_repository({"a.rpm": b"a"}))
        self._open = simulated_upstream.MemoryHttp({"http://closed.lab/": site})
        self._refusal = simulated_upstream.Site()
        self._refusal.always["repodata/repomd.xml"] = simulated_upstream.Fault(status=401)
        self._shut = simulated_upstream.MemoryHttp({"http://closed.lab/": self._refusal})

    @contextlib.contextmanager
    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], connect_timeout: float, read_timeout: float
    ) -> Iterator[Any]:
        door = self._open if headers.get("Authorization") == BASIC else self._shut
        with door.stream(
            method, url, headers=headers, connect_timeout=connect_timeout, read_timeout=read_timeout
        ) as answer:
            yield answer


def synced(root: Path, access: protocol.UpstreamAccess | None) -> protocol.SyncReport:
    files, clock = host_files.Files(), clocks.SystemClock()
    volume.init_volume(files, root / "mirror", clock)
    state = config.StateDirectory(root)
    present = board.Board(snapshot.Snapshot(station_id="s", volume_id="v", address="127.0.0.1"))
    http = cast("Any", Closed())
    doors = sync.SyncDoors(files, clock, http, http, lambda: volume.open_volume(files, root / "mirror"), http)
    syncs = sync.Syncs(present, memory.Memory(state, files), doors, 1, threading.Event())
    source = protocol.MirrorSource(
        source_id="one", name="one", format=protocol.SourceFormat.RPM, url="http://closed.lab/", access=access
    )
    syncs.start(steps.StartSync(source, 1))
    try:
        for _ in range(400):
            report = present.read().syncs["one"].report
            if report is not None and not report.is_running:
                return report
            time.sleep(0.05)
    finally:
        syncs.close()
    raise AssertionError("the sync did not end")


def test_with_the_password_it_syncs_and_without_it_says_what_is_wanted(tmp_path: Path) -> None:
    given = protocol.UpstreamAccess(username="me", password="s3cret")
    report = synced(tmp_path, given)
    assert report.problem is None
    assert report.generation
    assert "in clear" in report.log
    (tmp_path / "other").mkdir()
    refused = synced(tmp_path / "other", None)
    assert refused.problem is not None
    assert "credentials" in refused.problem.message
    for place in (tmp_path / "syncs.json", *(tmp_path / "mirror/.stationmaster").rglob("*.json")):
        assert b"s3cret" not in place.read_bytes()
    assert "s3cret" not in report.log + refused.log


@pytest.mark.parametrize(
    ("access", "named"),
    [
        (protocol.UpstreamAccess(client_certificate="/nowhere/cert.pem"), "/nowhere/cert.pem"),
        (protocol.UpstreamAccess(is_each_package_checked=True), "mirror_gpgcheck"),
    ],
)
def test_what_cannot_be_done_is_told_as_the_syncs_problem(
    tmp_path: Path, access: protocol.UpstreamAccess, named: str
) -> None:
    report = synced(tmp_path, access)
    assert report.problem is not None
    assert named in report.problem.message
