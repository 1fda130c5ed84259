"""The byte ledger: known before a sync, shared by the syncs of a process, refused when it does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stationmaster.host import files as host_files
from stationmaster.mirror import ledger, outcome, source
from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

Bench = mirror_bench.Bench
PACKAGES = {f"p/{number}.rpm": b"%04d" % number * 250 for number in range(20)}  # a thousand bytes each


class _Room(host_files.Files):
    """A file system with a stated free room."""

    def __init__(self, free_bytes: int) -> None:
        self.free_bytes = free_bytes

    def space(self, path: Path) -> host_files.Space:
        del path
        return host_files.Space(1 << 40, self.free_bytes)


@pytest.fixture
def site() -> simulated_upstream.Site:
    return simulated_upstream.Site(repositories.rpm_repository(PACKAGES))


def test_a_dry_run_says_what_it_would_cost_and_brings_no_package(
    make: Callable[..., Bench], site: simulated_upstream.Site
) -> None:
    bench = make(site)
    result = bench.sync(policy=outcome.SyncPolicy(is_dry=True))
    assert result.state is outcome.State.PENDING
    assert result.error is None
    assert result.ledger is not None
    assert (result.ledger.needed_files, result.ledger.needed_bytes) == (20, 20_000)
    assert bench.published() == {}
    assert not any(path.endswith(".rpm") for path, _ in site.log)
    assert bench.sync().state is outcome.State.SYNCED
    assert bench.sync(policy=outcome.SyncPolicy(is_dry=True)).state is outcome.State.UNCHANGED


def test_what_is_here_already_need_not_come(make: Callable[..., Bench], site: simulated_upstream.Site) -> None:
    bench = make(site)
    bench.sync()
    site.files = repositories.rpm_repository({**PACKAGES, "p/new.rpm": b"new"}, timestamp=1_700_000_009)
    found = bench.sync(policy=outcome.SyncPolicy(is_dry=True)).ledger
    assert found is not None
    assert (found.needed_files, found.needed_bytes) == (1, 3)
    assert found.held_bytes > 20_000


@pytest.mark.parametrize(("free_bytes", "is_enough"), [(24_999, False), (25_000, True)])
def test_the_reserve_stays_free(
    make: Callable[..., Bench], site: simulated_upstream.Site, free_bytes: int, *, is_enough: bool
) -> None:
    bench = make(site, files=_Room(free_bytes))
    result = bench.sync(policy=outcome.SyncPolicy(reserve_bytes=5000))
    if is_enough:
        assert result.state is outcome.State.SYNCED
        return
    assert result.error is not None
    assert result.error.code == "WouldNotFit"
    assert "1 are lacking" in result.error.message
    assert result.ledger is not None
    assert result.ledger.short_bytes == 1
    assert not any(path.endswith(".rpm") for path, _ in site.log)


def test_what_one_sync_was_granted_is_not_free_for_another(bench: Bench) -> None:
    place = bench.volume
    room = ledger.Grants()
    free = place.space().available_bytes
    asked = ledger.Ledger(1, free * 2 // 3, 0, 0, 0, 0)
    assert not room.claim(place, "one", asked).short_bytes
    refused = room.claim(place, "other", asked)
    assert refused.short_bytes
    assert "granted to other syncs" in ledger.refusal(place, refused).message
    room.spend(place, "one", free * 2 // 3)
    assert not room.claim(place, "other", asked).short_bytes
    room.release(place, "other")
    assert room.claim(place, "other", asked).granted_bytes == 0


def test_a_sync_that_failed_gives_back_what_it_was_granted(
    make: Callable[..., Bench], site: simulated_upstream.Site
) -> None:
    bench = make(site)
    del site.files["p/7.rpm"]
    assert bench.sync().error is not None
    site.files = repositories.rpm_repository({"x.rpm": b"x"})
    seen: list[ledger.Ledger] = []

    def listen(progress: outcome.Progress) -> None:
        seen.extend([progress.ledger] if progress.ledger else [])

    bench.engine.sync(bench.volume, source.RpmSource("other", mirror_bench.BASE), progress=listen)
    assert [one.granted_bytes for one in seen] == [0, 0]


def test_nothing_to_bring_needs_no_room(make: Callable[..., Bench]) -> None:
    lack = ledger.Ledger(0, 0, 10, free_bytes=0, granted_bytes=5, reserve_bytes=1 << 30)
    assert lack.short_bytes == 0
    assert make(simulated_upstream.Site()).volume.id
