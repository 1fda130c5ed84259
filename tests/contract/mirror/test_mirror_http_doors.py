"""The engine behaves alike before the twin in memory and before real sockets."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stationmaster.host import clock, files, http
from stationmaster.mirror import engine, exchange, outcome, retry, source, volume
from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories
from stationmaster.testing.simulated_upstream import Fault

PACKAGES = {f"p/{number}+~ü %.rpm": bytes([number]) * 9000 for number in range(12)}
ROOT = "repodata/repomd.xml"


class Stand:
    def __init__(self, site: simulated_upstream.Site, door: exchange.HttpDoor, url: str, root: Path) -> None:
        self.site, self.url = site, url
        self.volume = volume.init_volume(files.Files(), root, clock.SystemClock())
        policy = exchange.FetchPolicy(
            retry=retry.RetryPolicy(attempts=3, first_delay=0.01), window=0.3, floor=2000, read_timeout=0.5
        )
        self.engine = engine.Engine(
            files.Files(), door, clock.SystemClock(), jitter=random.Random(1), fetch_policy=policy
        )

    def sync(self, stop: threading.Event | None = None) -> outcome.SyncOutcome:
        return self.engine.sync(self.volume, source.RpmSource("src", self.url), stop=stop)

    def shown(self) -> dict[str, bytes]:
        return mirror_bench.tree_of(self.volume.published("src"))


@pytest.fixture(params=["memory", "socket"])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    site = simulated_upstream.Site(repositories.rpm_repository(PACKAGES))
    if request.param == "memory":
        import time

        base = "http://upstream.test/"
        yield Stand(site, simulated_upstream.MemoryHttp({base: site}, wait=time.sleep), base, tmp_path / "m")
        return
    door = http.Http()
    with simulated_upstream.SimulatedUpstream(site) as server:
        yield Stand(site, door, server.url, tmp_path / "m")
        door.close()


def test_odd_names_arrive(stand: Stand) -> None:
    assert stand.sync().error is None
    assert stand.shown() == stand.site.files
    assert stand.sync().requests == 2


def test_broken_transfers_are_resumed(stand: Stand) -> None:
    path = next(iter(PACKAGES))
    stand.site.strike(path, Fault(cut_after=5000), Fault(cut_after=1000), Fault())
    result = stand.sync()
    assert result.error is None
    assert stand.shown() == stand.site.files
    assert [status for asked, status in stand.site.log if asked == path] == [200, 206, 206]


def test_a_server_that_ignores_ranges_is_read_anew(stand: Stand) -> None:
    path = next(iter(PACKAGES))
    stand.site.strike(path, Fault(cut_after=5000), Fault(status=200, body=PACKAGES[path]))
    assert stand.sync().error is None
    assert stand.shown() == stand.site.files


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(status=404), "UpstreamUnavailable"),
        (Fault(status=500), "UpstreamUnavailable"),
        (Fault(refuse=True), "UpstreamUnavailable"),
        (Fault(cut_after=5), "UpstreamUnavailable"),
        (Fault(endless=True, piece=1 << 20), "MetadataTooLarge"),
        (Fault(pause=0.1, piece=8), "TooSlow"),
        (Fault(status=302, headers={"location": "file:///etc/passwd"}), "RedirectRefused"),
        (Fault(status=200, body=b"<html>x"), "HtmlInsteadOfMetadata"),
    ],
)
def test_faults_have_the_same_names(stand: Stand, fault: Fault, code: str) -> None:
    stand.site.always[ROOT] = fault
    result = stand.sync()
    assert result.error is not None
    assert result.error.code == code
    assert stand.shown() == {}
    assert result.requests == len(stand.site.log)


def test_a_stop_is_heard_in_the_middle_of_a_transfer(stand: Stand) -> None:
    stop = threading.Event()
    for path in PACKAGES:
        stand.site.always[path] = Fault(pause=0.05, piece=500)
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    result = stand.sync(stop)
    timer.join()
    assert result.error is not None
    assert result.error.code == "Stopped"
    stand.site.always.clear()
    assert stand.sync().error is None
