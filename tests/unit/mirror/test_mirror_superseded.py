"""A client that read the root before a switch goes on: what former generations name stays fetchable."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from stationmaster.host import files as host_files
from stationmaster.mirror import inspection, outcome, retention
from stationmaster.testing import crashing_files, mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

Bench = mirror_bench.Bench


def state(number: int, *extra: str, removed: str = "") -> dict[str, bytes]:
    """The number-th state of a repository: each has a primary of its own."""
    packages = {f"p/{name}.rpm": name.encode() for name in ("a", "b", f"only{number}", *extra) if name != removed}
    return repositories.rpm_repository(packages, timestamp=1_700_000_000 + number)


def advance(bench: Bench, files: dict[str, bytes], *, hours: float = 1) -> outcome.SyncOutcome:
    bench.clock.advance(hours * 3600)
    bench.site.files = files
    return bench.sync()


def clean(bench: Bench) -> list[retention.Verdict]:
    return list(retention.Cleaner(host_files.Files(), bench.volume, bench.clock).clean())


def missing(bench: Bench, files: dict[str, bytes]) -> set[str]:
    """What of a former state a client would not get with its bytes, the root left out."""
    shown = bench.published()
    return {path for path, content in files.items() if not path.endswith("repomd.xml") and shown.get(path) != content}


def test_what_the_former_root_names_stays_below_the_published_tree(bench: Bench) -> None:
    states = [state(number) for number in range(4)]
    for files in states:
        assert advance(bench, files).state is outcome.State.SYNCED
    assert [missing(bench, files) for files in states] == [set(), set(), set(), set()]
    assert bench.published()["repodata/repomd.xml"] == states[-1]["repodata/repomd.xml"]
    assert inspection.verify(bench.volume, bench.clock).is_whole


def test_by_hash_files_of_the_former_release_stay(bench: Bench) -> None:
    first = repositories.deb_archive({"pool/a_1.deb": b"a"})
    second = repositories.deb_archive({"pool/a_1.deb": b"a", "pool/b_1.deb": b"b"})
    for files in (first, second):
        bench.clock.advance(3600)
        bench.site.files = files
        before = {path for path in bench.published() if "/by-hash/" in path}
        assert bench.sync_deb().state is outcome.State.SYNCED
        assert before <= {path for path in bench.published() if "/by-hash/" in path}
    assert before


def test_cleaning_takes_it_away_with_its_generation(bench: Bench) -> None:
    states = [state(number) for number in range(3)]
    for files in states:
        advance(bench, files)
    assert not any(verdict.is_removed for verdict in clean(bench))
    bench.clock.advance(73 * 3600)
    reasons = [verdict.reason for verdict in clean(bench) if verdict.is_removed]
    assert reasons[0] == "superseded 3 days ago"
    assert {path for path in missing(bench, states[0]) if "primary" in path or "only0" in path} == missing(
        bench, states[0]
    )
    assert missing(bench, states[0])
    assert missing(bench, states[1]) == missing(bench, states[2]) == set()


def test_a_state_that_comes_back_carries_the_one_between(bench: Bench) -> None:
    one, two = state(1), state(2)
    advance(bench, one)
    advance(bench, two)
    bench.clock.advance(3600)
    bench.site.files = one
    assert bench.sync(policy=outcome.SyncPolicy(allow_rollback=True)).state is outcome.State.SYNCED
    assert missing(bench, one) == missing(bench, two) == set()


def test_a_path_with_other_bytes_does_not_cost_former_packages_their_place(bench: Bench) -> None:
    """The engine alone builds a fresh site then."""
    one = state(1)
    advance(bench, one)
    site = bench.volume.published("src").readlink()
    changed = repositories.rpm_repository({"p/a.rpm": b"other bytes", "p/b.rpm": b"b"}, timestamp=1_700_000_009)
    advance(bench, changed)
    assert bench.volume.published("src").readlink() != site
    assert missing(bench, changed) == set()
    assert missing(bench, one) == {"p/a.rpm"}


def test_a_publish_costs_no_more_for_what_is_carried_along(make: Callable[..., Bench]) -> None:
    site_files = [state(number, *(f"x{one}" for one in range(200))) for number in range(9)]
    bench = make(simulated_upstream.Site(site_files[0]))
    bench.sync()
    costs = []
    for files in site_files[1:]:
        counting = crashing_files.CrashingFiles()
        again = make(bench.site, files=counting)
        again.clock.advance(3600)
        again.site.files = files
        assert again.sync().state is outcome.State.SYNCED
        costs.append(counting.count)
    assert costs[-1] - costs[0] <= len(site_files)  # a link per generation that is kept, none per package


def test_a_station_keeps_trees_as_they_are(bench: Bench) -> None:
    """It serves each generation by itself, so that nothing need be carried."""
    for number in range(2):
        bench.site.files = state(number)
        generation = bench.sync(publish_alone=False).generation
        assert generation is not None
    names = {path.name for path in (bench.volume.tree("src", generation) / "repodata").iterdir()}
    assert len(names) == 2


def test_ages_are_whole_even_when_a_dry_run_says_so_first(bench: Bench) -> None:
    for number in range(3):
        advance(bench, state(number))
    bench.clock.advance(datetime.timedelta(days=5).total_seconds())
    dry = list(retention.Cleaner(host_files.Files(), bench.volume, bench.clock, is_dry=True).clean())
    assert [(one.what, one.reason) for one in dry] == [(one.what, one.reason) for one in clean(bench)]
