"""A miss (ha-protocol R11): 404 only by a manifest, else filled from a peer and checked, else 503 for a retry."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from stationmaster.host import local_server
from stationmaster.mirror import failures, fileref, lookup, manifest
from stationmaster.model import protocol
from stationmaster.station import board, miss_rules, misses
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import crashing_files, mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories
from stationmaster.testing import stations as make

A = make.A
BIG = bytes(range(256)) * 40_000  # ten megabytes: streamed
PACKAGES = {"Packages/c++-1.0~a.rpm": b"package" * 50, "Packages/big.rpm": BIG}
PEERS = [
    protocol.Peer(station_id=name, display_name=name, addresses=[f"10.0.0.{number}"], ports=make.PORTS)
    for number, name in ((3, "b"), (4, "c"))
]


@dataclasses.dataclass
class World:
    """A station that holds two generations of A, and peers in memory that hold what a test gives them."""

    bench: mirror_bench.Bench
    generations: list[str]
    sites: dict[str, simulated_upstream.Site]
    misses: misses.Misses
    present: board.Board

    def ask(self, path: str, *, generation: str = "", kind: str = misses.FILL) -> local_server.LocalAnswer:
        return self.misses.answer(f"{kind}{A}/{generation or self.generations[-1]}/{path}")

    def ask_unpinned(self, path: str) -> local_server.LocalAnswer:
        return self.misses.answer(f"{misses.UNION}{A}/{path}")

    def peer_has(self, number: int, path: str, content: bytes) -> simulated_upstream.Site:
        site = next(site for base, site in self.sites.items() if base.startswith(f"https://10.0.0.{number}:"))
        site.files = {**site.files, path: content}
        return site


@pytest.fixture
def world(tmp_path: Path) -> World:
    bench = mirror_bench.make_bench(tmp_path / "mirror", simulated_upstream.Site())
    generations = []
    for stamp, packages in ((0, {**PACKAGES, "Packages/old.rpm": b"old"}), (9, PACKAGES)):
        bench.site.files = repositories.rpm_repository(packages, timestamp=1_700_000_000 + stamp)
        ended = bench.sync(A, publish_alone=False)
        assert ended.generation is not None
        generations.append(ended.generation)
    sites = {
        f"https://10.0.0.{number}:17443/g/{A}/{one}/": simulated_upstream.Site()
        for number in (3, 4)
        for one in generations[-1:]
    }
    http = simulated_upstream.MemoryHttp(sites, wait=bench.clock.sleep)
    shown = board.Board(
        make.snapshot(
            desired=make.desired(peers=PEERS),
            told=(make.visible(A, 3, "e" * 32),),
            shown=(make.visible(A, 2, generations[-1]),),
        )
    )
    return World(bench, generations, sites, misses.Misses(shown, lambda: bench.volume, http, bench.clock), shown)


def code(answer: local_server.LocalAnswer) -> tuple[int, str]:
    return answer.status, answer.headers["X-Stationmaster-Miss"]


def read(answer: local_server.LocalAnswer) -> bytes:
    if isinstance(answer.body, bytes):
        return answer.body
    try:
        return b"".join(answer.body)
    finally:
        answer.body.close()  # type: ignore[attr-defined]


def test_what_no_manifest_has_never_existed(world: World) -> None:
    answer = world.ask("repodata/repomd.xml.asc")
    assert code(answer) == (404, "NeverExisted")
    assert "repomd.xml.asc" in msgspec.json.decode(answer.body)["message"]  # type: ignore[arg-type]


def test_what_another_generation_has_was_replaced(world: World) -> None:
    answer = world.ask("Packages/old.rpm")
    assert code(answer) == (404, "Replaced")
    assert world.generations[0] in msgspec.json.decode(answer.body)["message"]  # type: ignore[arg-type]


def test_a_dropped_generation_sends_clients_back_to_the_list(world: World) -> None:
    assert code(world.ask("repodata/repomd.xml", generation="d" * 32)) == (404, "Dropped")


def test_a_generation_that_is_still_to_come_is_asked_for_again(world: World) -> None:
    answer = world.ask("repodata/repomd.xml", generation="e" * 32)
    assert code(answer) == (503, "NotHere")
    assert answer.headers["Retry-After"] == "1"


def metadata_of(world: World, generation: str) -> set[str]:
    directory = world.bench.volume.tree(A, generation) / "repodata"
    return {f"repodata/{path.name}" for path in directory.iterdir() if path.name != "repomd.xml"}


def test_the_unpinned_tree_has_hashed_metadata_of_all_that_is_kept_and_plain_names_of_none_but_the_visible(
    world: World,
) -> None:
    former, visible = world.generations
    only_former = metadata_of(world, former) - metadata_of(world, visible)
    assert only_former
    for path in only_former:
        answer = world.ask_unpinned(path)
        assert answer == (200, {"X-Accel-Redirect": f"/.held/{A}/{former}/tree/{path}"}, b"")
    plain = world.bench.volume.tree(A, former) / "repodata" / "plain.xml"
    plain.write_text("of another root")
    for path in ("repodata/plain.xml", "repodata/repomd.xml.asc", "repodata/", "../../x"):
        assert code(world.ask_unpinned(path)) == (404, "NeverExisted")


def test_a_lost_package_of_the_unpinned_tree_is_filled_by_the_visible_manifest_first(world: World) -> None:
    world.peer_has(3, "Packages/big.rpm", BIG)
    assert read(world.ask_unpinned("Packages/big.rpm")) == BIG
    assert code(world.ask_unpinned("Packages/old.rpm")) == (503, "NotFilled"), "no peer of these has it"
    (world.bench.volume.tree(A, world.generations[1]) / "repodata/repomd.xml").unlink()
    assert code(world.ask_unpinned("repodata/repomd.xml")) == (404, "NeverExisted"), "a generation without its root"


def test_nothing_is_unpinned_of_a_source_that_is_not_shown(world: World) -> None:
    assert code(world.misses.answer(f"{misses.UNION}other/Packages/big.rpm")) == (404, "NeverExisted")  # type: ignore[arg-type]
    assert code(world.misses.answer(f"{misses.UNION}{A}/")) == (404, "NotFound")


@pytest.mark.parametrize("path", PACKAGES)
def test_a_lost_file_is_filled_from_the_first_peer_that_has_it(world: World, path: str) -> None:
    world.peer_has(4, path, PACKAGES[path])
    answer = world.ask(path.replace("+", "%2B").replace("~", "%7E"))
    assert code(answer) == (200, "Filled")
    assert int(answer.headers["Content-Length"]) == len(PACKAGES[path])
    assert read(answer) == PACKAGES[path]


@pytest.mark.parametrize("kind", [misses.FILL, misses.LACK])
def test_what_nginx_did_not_find_is_looked_for(world: World, kind: str) -> None:
    """Mended beside it (``mending``); what no manifest has is no loss."""
    world.ask("Packages/never.rpm", kind=kind)
    assert world.present.read().losses == {}
    world.ask("Packages/c++-1.0~a.rpm", kind=kind)
    suspected = {key for key, view in world.present.read().losses.items() if view.is_suspected}
    assert suspected == {(A, world.generations[-1])}


def test_a_small_file_is_checked_before_its_first_byte(world: World) -> None:
    path = "Packages/c++-1.0~a.rpm"
    world.peer_has(3, path, b"Package" * 50)
    assert code(world.ask(path)) == (503, "NotFilled")
    world.peer_has(4, path, PACKAGES[path])
    assert read(world.ask(path)) == PACKAGES[path], "the other peer is asked"


@pytest.mark.parametrize("wrong", [BIG[:-1] + b"x", BIG[:-1], BIG + b"x"], ids=["other", "short", "long"])
def test_a_large_file_with_other_bytes_never_ends_well(world: World, wrong: bytes) -> None:
    world.peer_has(3, "Packages/big.rpm", wrong)
    answer = world.ask("Packages/big.rpm")
    assert answer.status == 200
    received: list[bytes] = []
    with pytest.raises(failures.DigestMismatchError):
        received.extend(answer.body)  # type: ignore[arg-type]
    assert sum(map(len, received)) < len(BIG), "the last block is held back"
    answer.body.close()  # type: ignore[union-attr]


def test_a_peers_request_goes_no_further(world: World) -> None:
    site = world.peer_has(3, "Packages/big.rpm", BIG)
    assert code(world.ask("Packages/big.rpm", kind=misses.LACK)) == (503, "Lacking")
    assert code(world.ask("Packages/big.rpm", kind=misses.LACK, generation="d" * 32)) == (503, "NotHere")
    assert code(world.ask("none", kind=misses.LACK)) == (404, "NeverExisted")
    assert site.log == []


def test_nothing_is_written(world: World) -> None:
    world.peer_has(3, "Packages/big.rpm", BIG)
    before = sorted(str(path) for path in world.bench.root.rglob("*"))
    read(world.ask("Packages/big.rpm"))
    assert sorted(str(path) for path in world.bench.root.rglob("*")) == before


def test_few_are_filled_at_a_time_and_places_come_back(world: World) -> None:
    world.peer_has(3, "Packages/big.rpm", BIG)
    bodies = [world.ask("Packages/big.rpm") for _ in range(8)]
    assert code(world.ask("Packages/big.rpm")) == (503, "Busy")
    for one in bodies:
        one.body.close()  # type: ignore[union-attr]
    for _ in range(20):
        assert world.ask("none").status == 404
    assert read(world.ask("Packages/big.rpm")) == BIG


def test_a_volume_that_went_away_proves_nothing_and_is_told_before_the_next_look(world: World) -> None:
    world.present.update(volume=make.volume({A: (world.generations[-1],)}))
    (world.bench.root / ".stationmaster" / "volume.json").unlink()

    def gone() -> None:
        raise failures.NotAVolumeError("It is not mounted.")

    world.misses._open_volume = gone  # type: ignore[assignment]
    assert code(world.ask("none")) == (503, "Unknown")
    seen = world.present.read().volume
    assert seen is not None
    assert seen.problem is not None
    assert seen.problem.code == failures.NotAVolumeError.code
    assert not seen.holds(A, world.generations[-1])


def test_a_damaged_manifest_proves_nothing(world: World) -> None:
    path = world.bench.volume.manifest(A, world.generations[-1])
    path.write_bytes(path.read_bytes()[:-20])
    assert world.ask("zzz").status == 503


@hypothesis.given(st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=40), st.data())
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture], deadline=None)
def test_every_path_of_a_manifest_is_found_and_no_other(tmp_path: Path, paths: set[str], data: st.DataObject) -> None:
    header = manifest.Header(
        format_version=1, source="s", generation="g", format="rpm", timestamp=1, roots=(), tops=(),
        packages=0, unique_packages=0, files=len(paths), bytes=0,
    )  # fmt: skip

    def entries() -> Iterator[manifest.Entry]:
        for path in sorted(paths):
            yield manifest.Entry(path, 1, "d", fileref.Kind.PACKAGE.value)

    manifest.write_lines(crashing_files.CrashingFiles(), tmp_path / "m", header, entries())
    for path in paths:
        found = lookup.find_entry(tmp_path / "m", path)
        assert found is not None
        assert found.p == path
    other = data.draw(st.text(st.characters(exclude_categories=["Cs"])))
    assert (lookup.find_entry(tmp_path / "m", other) is not None) is (other in paths)


NOW = make.NOW_AT
AWAY = {
    "cut off": snapshots.Contact(confirmed_at=NOW - 6.1),
    "just started": snapshots.Contact(confirmed_at=None),
    "out of rotation": snapshots.Contact(confirmed_at=NOW, is_in_rotation=False),
    "deleted": snapshots.Contact(confirmed_at=NOW, is_gone=True),
}


def judged(world: snapshots.Snapshot, generation: str) -> miss_rules.Verdict:
    asked = miss_rules.Asked(A, generation, "p", is_hop=False)
    return miss_rules.judge(world, asked, NOW, has_manifest=False, has_path=False)


def test_what_is_expected_is_what_the_hub_speaks_of() -> None:
    copy = protocol.Copy(source_id=A, generation="copied", holders=[])
    orders = snapshots.Orders(copies=(copy,), retained=snapshots.frozen_map({A: frozenset({"kept"})}))
    world = make.snapshot(orders=orders, told=(make.visible(A, 3, "visible"),))
    for generation in ("copied", "kept", "visible"):
        assert judged(world, generation) is miss_rules.Verdict.NOT_HERE
    assert judged(world, "other") is miss_rules.Verdict.DROPPED


@pytest.mark.parametrize("contact", AWAY.values(), ids=AWAY)
def test_who_is_not_counted_on_cannot_know_what_was_dropped(contact: snapshots.Contact) -> None:
    """Its peers may have shown the generation since (found by the exploration)."""
    assert judged(make.snapshot(contact=contact), "other") is miss_rules.Verdict.NOT_HERE
