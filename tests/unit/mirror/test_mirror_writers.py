"""Fencing on the volume (ha-protocol R1): a remover that was paused anywhere takes nothing that is needed later."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, failures, inspection, lock, outcome, owners, publish, retention, writers
from stationmaster.testing import crashing_files, mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

Make = Callable[..., mirror_bench.Bench]
LONG = "deep/" * 60 + "p.rpm"


def repository(packages: dict[str, bytes], stamp: int) -> dict[str, bytes]:
    return repositories.rpm_repository(packages, timestamp=1_700_000_000 + stamp)


def aged(make: Make, name: str) -> mirror_bench.Bench:
    """Four generations, of which two may go, with packages that only they name."""
    bench = make(simulated_upstream.Site(), name)
    for number in range(4):
        packages = {"keep.rpm": b"k", f"v{number}.rpm": b"%d" % number} | ({LONG: b"long"} if number == 0 else {})
        bench.site.files = repository(packages, number)
        assert bench.sync(publish_alone=False).state is outcome.State.SYNCED
        bench.clock.advance(2 * 86400)
    return bench


def back_again(bench: mirror_bench.Bench) -> None:
    """The upstream has again what the removed generations had."""
    packages = {"keep.rpm": b"k", "v0.rpm": b"0", "v1.rpm": b"1", LONG: b"long"}
    bench.site.files = repository(packages, 10)


def held(bench: mirror_bench.Bench) -> list[str]:
    return [one.generation for one in catalog.list_generations(bench.volume, "src")]


def begun(bench: mirror_bench.Bench, token: int, files: host_files.Files | None = None) -> writers.Writer:
    writer = writers.Writer(files or crashing_files.CrashingFiles(), bench.volume, token)
    writer.begin()
    return writer


def test_a_token_is_used_once(make: Make) -> None:
    bench = aged(make, "v")
    writer = begun(bench, 3)
    with pytest.raises(failures.LeaseLostError, match=r"closed|used"):
        begun(bench, 3)
    writer.end()
    with pytest.raises(failures.LeaseLostError):
        begun(bench, 3)
    assert (writers.highest_token(bench.volume), writers.needed_token(bench.volume)) == (3, 4)
    with pytest.raises(failures.LeaseLostError, match="higher"):
        begun(bench, 2)
    begun(bench, 5)
    assert (writers.open_tokens(bench.volume), writers.needed_token(bench.volume)) == ([5], 5)


def test_a_closed_writer_removes_nothing(make: Make) -> None:
    bench = aged(make, "v")
    target = bench.volume.published("src") / "keep.rpm"
    old = begun(bench, 1)
    begun(bench, 2)
    with pytest.raises(failures.LeaseLostError):
        old.remove(target)
    assert target.exists()


def test_the_clock_is_read_before_each_removal(make: Make) -> None:
    bench = aged(make, "v")
    allowed = [True]
    writer = writers.Writer(crashing_files.CrashingFiles(), bench.volume, 1, may_go_on=lambda: allowed[0])
    writer.begin()
    writer.remove(bench.volume.published("src") / "v0.rpm")
    allowed[0] = False
    with pytest.raises(failures.LeaseLostError):
        writer.remove(bench.volume.published("src") / "v1.rpm")
    assert not (bench.volume.published("src") / "v0.rpm").exists()
    assert (bench.volume.published("src") / "v1.rpm").exists()


@pytest.mark.parametrize("what", ["file", "long", "directory", "link"])
def test_what_lies_in_the_trash_is_put_back_where_it_was(make: Make, what: str) -> None:
    bench = aged(make, "v")
    link = bench.root / "pool" / "link"
    link.symlink_to("nowhere")
    targets = {
        "file": bench.volume.published("src") / "v0.rpm",
        "long": bench.volume.published("src") / LONG,
        "directory": bench.volume.generation("src", held(bench)[0]),
        "link": link,
    }
    target = targets[what]
    before = sorted(str(path) for path in target.rglob("*")) if target.is_dir() else target.lstat().st_size

    class Dying(crashing_files.CrashingFiles):
        def remove(self, _: Path) -> None:
            raise crashing_files.CrashError

        def rename(self, source: Path, target: Path) -> None:
            if source.name == "manifest.jsonl":
                raise crashing_files.CrashError
            super().rename(source, target)

    with pytest.raises(crashing_files.CrashError):
        begun(bench, 1, Dying()).remove(target)
    assert not target.exists()
    begun(bench, 2)
    after = sorted(str(path) for path in target.rglob("*")) if target.is_dir() else target.lstat().st_size
    assert after == before


def test_what_came_later_is_not_replaced(make: Make) -> None:
    bench = aged(make, "v")
    target = bench.volume.published("src") / "v0.rpm"

    class Dying(crashing_files.CrashingFiles):
        def remove(self, _: Path) -> None:
            raise crashing_files.CrashError

    with pytest.raises(crashing_files.CrashError):
        begun(bench, 1, Dying()).remove(target)
    target.write_bytes(b"other")
    writers.close_all(crashing_files.CrashingFiles(), bench.volume)
    assert target.read_bytes() == b"other"
    assert writers.open_tokens(bench.volume) == []


def test_a_cleaning_that_died_anywhere_is_ended_by_the_next(make: Make, tmp_path: Path) -> None:
    start = aged(make, "start")
    kept = held(start)[2:]

    def copy(files: host_files.Files) -> tuple[mirror_bench.Bench, retention.Cleaner]:
        shutil.rmtree(tmp_path / "crash", ignore_errors=True)
        shutil.copytree(tmp_path / "start", tmp_path / "crash", symlinks=True)
        bench = make(start.site, "crash", files=files)
        bench.clock.advance(8 * 86400)
        return bench, retention.Cleaner(files, bench.volume, bench.clock)

    counting = crashing_files.CrashingFiles()
    list(copy(counting)[1].clean())
    assert counting.count > 25
    for effects in range(counting.count):
        bench, cleaner = copy(crashing_files.CrashingFiles(effects))
        with pytest.raises(crashing_files.CrashError):
            list(cleaner.clean())
        shutil.rmtree(bench.volume.control / "locks")  # what the death of the process does
        (bench.volume.control / "locks").mkdir()
        again = make(start.site, "crash")
        again.clock.advance(8 * 86400)
        list(retention.Cleaner(crashing_files.CrashingFiles(), again.volume, again.clock).clean())
        assert held(again) == kept, effects
        assert sorted(one.name for one in again.volume.generations("src").iterdir()) == sorted(kept), effects
        assert all(catalog.is_held_whole(again.volume, "src", one) for one in kept), effects
        assert inspection.verify(again.volume, again.clock).is_whole
        assert writers.open_tokens(again.volume) == []


class Turns:
    """Lets two threads make their effects in a given order; whoever has ended leaves the turns to the other."""

    def __init__(self, order: Iterator[bool]) -> None:
        self._order = order
        self._changed = threading.Condition()
        self._alive = {True, False}
        self._next: bool | None = None

    def wait(self, who: bool) -> None:
        with self._changed:
            while True:
                if self._next is None or self._next not in self._alive:
                    self._next = next(self._order, True)
                if self._next is who or len(self._alive) == 1:
                    self._next = None
                    self._changed.notify_all()
                    return
                self._changed.wait(5)

    def end(self, who: bool) -> None:
        with self._changed:
            self._alive.discard(who)
            self._changed.notify_all()


class TurningFiles(crashing_files.CrashingFiles):
    """Waits for its turn before each effect."""

    def __init__(self, turns: Turns, *, who: bool) -> None:
        super().__init__()
        self._turns = turns
        self._who = who

    def spend(self) -> None:
        self._turns.wait(self._who)


def race(bench_of: Callable[[host_files.Files], mirror_bench.Bench], order: list[bool]) -> tuple[bool, bool, int]:
    """A cleaner and, with any interleaving, a sync that needs what the cleaner takes. Believed, whole, and removals."""
    turns = Turns(iter(order))
    old, new = (TurningFiles(turns, who=who) for who in (False, True))
    believed: list[bool] = []
    brought: list[str] = []
    removed: list[str] = []

    def clean() -> None:
        bench = bench_of(old)
        bench.clock.advance(8 * 86400)
        try:
            writer = writers.Writer(old, bench.volume, 1)
            writer.begin()
            found = retention.Cleaner(old, bench.volume, bench.clock, writer=writer).clean()
            removed.extend(one.what for one in found if one.is_removed)
        except failures.LeaseLostError:
            pass
        finally:
            turns.end(False)

    def publish() -> None:
        bench = bench_of(new)
        bench.clock.advance(8 * 86400)
        try:
            ended = bench.sync(publish_alone=False)
            while ended.generation is None or ended.error is not None:
                ended = bench.sync(publish_alone=False)
            writers.close_all(new, bench.volume)
            brought.append(ended.generation)
            believed.append(catalog.is_held_whole(bench.volume, "src", ended.generation))
        finally:
            turns.end(True)

    threads = [threading.Thread(target=run) for run in (clean, publish)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    volume = bench_of(crashing_files.CrashingFiles()).volume
    return believed[0], catalog.is_held_whole(volume, "src", brought[0]), len(removed)


@pytest.fixture
def lapsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks keep the two apart as long as both run; here one was frozen for longer than its lock is believed."""
    monkeypatch.setattr(lock, "require_no_cleaning", lambda *_: None)
    monkeypatch.setattr(lock, "live_locks", lambda _: [])


@pytest.mark.usefixtures("lapsed")
@hypothesis.settings(
    max_examples=40, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=12))
def test_what_is_believed_to_be_there_stays(make: Make, tmp_path: Path, runs: list[tuple[bool, int]]) -> None:
    start = tmp_path / "start"
    if not start.exists():
        aged(make, "start")
    shutil.rmtree(tmp_path / "race", ignore_errors=True)
    shutil.copytree(start, tmp_path / "race", symlinks=True)
    site = simulated_upstream.Site()

    def bench_of(files: host_files.Files) -> mirror_bench.Bench:
        bench = make(site, "race", files=files)
        back_again(bench)
        return bench

    believed, is_whole, _ = race(bench_of, [who for who, count in runs for _ in range(count)])
    assert is_whole or not believed


def taken_over(make: Make, *, token: int) -> tuple[mirror_bench.Bench, bytes, Path]:
    """A writer of another host, under lease 4, is in the middle of a package; nobody knows whether it lives."""
    body = bytes(range(256)) * 4000
    bench = make(simulated_upstream.Site(repository({"big.rpm": body}, 0)))
    part = bench.volume.incoming("src") / f"{hashlib.sha256(body).hexdigest()}.part"
    part.parent.mkdir()
    part.write_bytes(body[:700_000])
    owner = msgspec.structs.replace(owners.myself(), boot="another", host="elsewhere", token=token)
    (bench.volume.control / "locks" / "src").mkdir()
    (bench.volume.control / "locks" / "src" / "7").write_bytes(msgspec.json.encode(owner))
    return bench, body, part


def test_a_higher_lease_takes_over_at_once_and_resumes(make: Make) -> None:
    bench, body, part = taken_over(make, token=4)
    late = part.open("ab", buffering=0)
    before = bench.clock.monotonic()
    ended = bench.sync(publish_alone=False, policy=outcome.SyncPolicy(token=5))
    assert ended.state is outcome.State.SYNCED
    assert bench.clock.monotonic() - before < 15
    assert ended.bytes_downloaded < len(body) - 700_000 + 5000
    late.write(b"a late byte")  # of the one that was frozen
    late.close()
    assert ended.generation is not None
    assert (bench.volume.published("src") / "big.rpm").read_bytes() == body
    assert sorted((bench.volume.control / "incoming").iterdir()) == []


@pytest.mark.parametrize("token", [0, 4])
def test_an_equal_or_no_lease_waits_until_the_other_is_surely_gone(make: Make, token: int) -> None:
    bench, body, _ = taken_over(make, token=4)
    before = bench.clock.monotonic()
    ended = bench.sync(publish_alone=False, policy=outcome.SyncPolicy(token=token))
    assert ended.state is outcome.State.SYNCED
    assert bench.clock.monotonic() - before >= lock.LAPSE_SECONDS
    assert (bench.volume.published("src") / "big.rpm").read_bytes() == body


def test_two_first_writers_agree_on_one_site(make: Make) -> None:
    """R1: in a station the site is shown once; a late writer's goes unused."""
    site = simulated_upstream.Site(repository({"a.rpm": b"a"}, 0))
    first = make(site)
    assert first.sync(publish_alone=False).state is outcome.State.SYNCED
    shown = first.volume.published("src").readlink()
    late = publish.Publisher(crashing_files.CrashingFiles(), first.volume, first.clock, "src")
    assert late._first_shown(first.volume.sites("src") / "9") == first.volume.sites("src") / shown.name
    assert first.volume.published("src").readlink() == shown
