"""What goes for want of room: never what somebody shows, shows next or could go back to; the oldest first (R12-R18)."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, failures, inspection, lock, outcome, pressure, retention, writers
from stationmaster.testing import mirror_bench, simulated_repositories, simulated_upstream

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def held(source: str, *hours: int) -> tuple[catalog.HeldGeneration, ...]:
    return tuple(
        catalog.HeldGeneration(
            source=source,
            generation=f"{source}{hour}",
            format="rpm",
            packages=1,
            unique_packages=1,
            total_bytes=1,
            root_time=NOW,
            held_since=NOW + datetime.timedelta(hours=hour),
        )
        for hour in hours
    )


def names(found: list[catalog.HeldGeneration]) -> list[str]:
    return [one.generation for one in found]


def test_the_oldest_goes_first_over_all_sources() -> None:
    world = [held("a", 1, 4, 9), held("b", 2, 3, 8)]
    assert names(pressure.going(world, {})) == ["a1", "b2", "b3", "a4"]


def test_what_is_pinned_and_the_newest_of_each_source_stay() -> None:
    world = [held("a", 1, 4, 9), held("b", 2)]
    assert names(pressure.going(world, {"a": frozenset({"a1"})})) == ["a4"]
    assert pressure.going(world, {"a": frozenset({"a1", "a4"})}) == []


@hypothesis.given(
    st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 99), unique=True, max_size=6).map(sorted)),
    st.sets(st.tuples(st.sampled_from("abc"), st.integers(0, 99))),
)
def test_nothing_that_must_stay_ever_goes(times: dict[str, list[int]], kept: set[tuple[str, int]]) -> None:
    world = [held(source, *hours) for source, hours in times.items()]
    pinned = {source: frozenset(f"{source}{hour}" for one, hour in kept if one == source) for source in times}
    found = pressure.going(world, pinned)
    assert not {one.generation for one in found} & {name for some in pinned.values() for name in some}
    assert not {one.generation for one in found} & {some[-1].generation for some in world if some}
    assert [one.held_since for one in found] == sorted(one.held_since for one in found)


class SmallDisk(host_files.Files):
    """A file system of 10,000 bytes, of which packages take their own size and nothing else takes any."""

    def space(self, path: Path) -> host_files.Space:
        taken = sum(one.stat().st_size for one in (path / "pool" / "sha256").rglob("*") if one.is_file())
        return host_files.Space(total_bytes=10_000, available_bytes=10_000 - taken)


@pytest.fixture
def bench(tmp_path: Path) -> mirror_bench.Bench:
    """Four generations; each has 2,000 bytes that no other has, and shares 1,000 with all."""
    made = mirror_bench.make_bench(tmp_path, simulated_upstream.Site())
    for number in range(4):
        packages = {"keep.rpm": b"k" * 1000, f"v{number}.rpm": bytes([number]) * 2000}
        made.site.files = simulated_repositories.rpm_repository(packages, timestamp=1_700_000_000 + number)
        made.sync(publish_alone=False, policy=outcome.SyncPolicy(reserve_bytes=0))
        made.clock.advance(60)
    return made


def relieve(bench: mirror_bench.Bench, room_bytes: int, *pinned: str) -> list[str]:
    place = dataclasses.replace(bench.volume, files=SmallDisk())
    cleaner = retention.Cleaner(host_files.Files(), place, bench.clock)
    relief = pressure.Relief(host_files.Files(), place, bench.clock, cleaner, lambda _: frozenset(pinned))
    return [one.what for _, one in relief.make_room(room_bytes)]


def generations(bench: mirror_bench.Bench) -> list[str]:
    return [one.generation for one in catalog.list_generations(bench.volume, "src")]


def test_no_more_goes_than_is_needed_and_what_is_kept_stays_whole(bench: mirror_bench.Bench) -> None:
    before = generations(bench)
    assert relieve(bench, 3000) == [f"generation src/{before[0]}"]
    assert generations(bench) == before[1:]
    assert inspection.verify(bench.volume, bench.clock).is_whole
    assert all(catalog.is_held_whole(bench.volume, "src", one) for one in before[1:])
    assert relieve(bench, 3000) == []


def test_when_nothing_more_may_go_it_ends(bench: mirror_bench.Bench) -> None:
    before = generations(bench)
    assert relieve(bench, 9999, before[0]) == [f"generation src/{before[1]}", f"generation src/{before[2]}"]
    assert generations(bench) == [before[0], before[3]]
    assert relieve(bench, 9999, before[0]) == []


def test_what_the_volumes_own_records_make_visible_stays_whatever_is_pinned(bench: mirror_bench.Bench) -> None:
    """R12: visible and predecessor of any group; a hub that knows less must not cost what is shown."""
    before = generations(bench)
    records = bench.volume.control / "seq" / "src"
    records.mkdir(parents=True)
    for number, generation in ((7, before[0]), (8, before[1])):
        (records / str(number)).write_text(f'{{"generation":"{generation}","number":{number}}}')
    assert relieve(bench, 9999) == [f"generation src/{before[2]}"]


def test_a_removal_is_fenced(bench: mirror_bench.Bench) -> None:
    """R1: a writer whose token was closed removes nothing, also for want of room."""
    before = generations(bench)
    place = dataclasses.replace(bench.volume, files=SmallDisk())
    writer = writers.Writer(host_files.Files(), place, 5)
    writer.begin()
    writers.close_all(host_files.Files(), place)
    cleaner = retention.Cleaner(host_files.Files(), place, bench.clock, writer=writer)
    relief = pressure.Relief(host_files.Files(), place, bench.clock, cleaner, lambda _: frozenset())
    with pytest.raises(failures.LeaseLostError):
        list(relief.make_room(9999))
    assert generations(bench) == before


def test_nothing_goes_while_somebody_syncs(bench: mirror_bench.Bench) -> None:
    """What a sync that runs is about to refer to is not known."""
    with lock.SourceLock(host_files.Files(), bench.volume.control, "other", watch=lock.Watch(bench.clock)):
        assert relieve(bench, 9999) == []
