"""Files that a held generation lost: told, fetched again, from peers first, and proved anew (R4, I8)."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from stationmaster.mirror import inspection, losses, outcome
from stationmaster.model import protocol
from stationmaster.station import board as boards
from stationmaster.station import config as configs
from stationmaster.station import lost_files, memory, mending, plan, readiness, report, sources, steps, sync
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import manual_clock, mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories
from stationmaster.testing import stations as make

A = make.A
PACKAGES = {f"p/{name}.rpm": name.encode() * 300 for name in "abc"}
PEER = protocol.Peer(station_id="b", display_name="b", addresses=["10.0.0.3"], ports=make.PORTS)
FULL = protocol.Problem(code="VolumeFull", message="")
LEASED = snapshots.Orders(
    leases=snapshots.frozen_map({A: snapshots.LeaseView(7, float("inf"))}),
    stored_tokens=snapshots.frozen_map({A: 7}),
)
UNLEASED = snapshots.Orders(leases=snapshots.frozen_map())


@dataclasses.dataclass
class World:
    """A station that holds and shows one generation; a peer has all of it, the upstream as well."""

    bench: mirror_bench.Bench
    generation: str
    peer: simulated_upstream.Site
    board: boards.Board
    kept: memory.Memory
    mending: mending.Mending

    @property
    def key(self) -> tuple[str, str]:
        return A, self.generation

    def served(self, path: str) -> Path:
        return self.bench.volume.published(A) / path

    def metadata(self, word: str) -> Path:
        tree = self.bench.volume.tree(A, self.generation)
        return next(path for path in tree.rglob("*") if word in path.name)

    def lose(self, *paths: Path) -> None:
        """From the pool as well, or it would cost nothing to have them back."""
        gone = {path.stat().st_ino for path in paths}
        for path in self.bench.root.rglob("*"):
            if path.is_file() and path.stat().st_ino in gone:
                path.unlink()

    def mend(self) -> None:
        self.mending.take(steps.Mend(make.source(A), self.generation))

    def due(self) -> list[str]:
        return [one.generation for one in lost_files.due(self.board.read(), make.source(A), self.moment())]

    def moment(self) -> snapshots.Moment:
        return snapshots.Moment(self.bench.clock.monotonic(), make.NOW)

    def asked(self, site: simulated_upstream.Site) -> list[str]:
        return sorted(path for path, _ in site.log if path in PACKAGES)

    def is_whole(self) -> bool:
        return inspection.verify(self.bench.volume, self.bench.clock).is_whole


@pytest.fixture
def world(tmp_path: Path) -> World:
    bench = mirror_bench.make_bench(tmp_path / "mirror", simulated_upstream.Site(repositories.rpm_repository(PACKAGES)))
    ended = bench.sync(A, publish_alone=False)
    assert ended.state is outcome.State.SYNCED
    generation = ended.generation or ""
    bench.site.log.clear()
    peer = simulated_upstream.Site(dict(bench.site.files))
    url = f"https://10.0.0.3:17443/g/{A}/{generation}/"
    visible = make.visible(A, 1, generation)
    board = boards.Board(
        make.snapshot(
            desired=make.desired(peers=[PEER]),
            told=(visible,),
            shown=(visible,),
            volume=make.volume({A: (generation,)}, records=snapshots.frozen_map({A: visible})),
            fetch=snapshots.frozen_map({(A, generation): snapshots.FetchView(is_fetchable=True)}),
            orders=UNLEASED,
        )
    )
    upstream = cast("Any", simulated_upstream.MemoryHttp({mirror_bench.BASE: bench.site}, wait=bench.clock.sleep))
    doors = sync.SyncDoors(
        files=bench.volume.files,
        clock=bench.clock,
        verified=upstream,
        unverified=upstream,
        open_volume=lambda: bench.volume,
        peers=simulated_upstream.MemoryHttp({url: peer}, wait=bench.clock.sleep),
    )
    state = configs.StateDirectory(tmp_path / "state")
    state.root.mkdir()
    kept = memory.Memory(state, bench.volume.files)
    return World(bench, generation, peer, board, kept, mending.Mending(board, kept, doors, threading.Event()))


def test_what_was_lost_comes_from_a_peer_and_is_proved_anew(world: World) -> None:
    world.lose(world.served("p/a.rpm"), world.metadata("primary"))
    world.served("p/b.rpm").unlink()  # still in the pool
    world.board.change(lambda present: lost_files.suspected(present, *world.key))
    assert world.due() == [world.generation]
    world.mend()
    assert world.is_whole()
    assert world.asked(world.peer) == ["p/a.rpm"]
    assert world.bench.site.log == []
    present = world.board.read()
    assert world.key not in present.fetch, "it was found wanting, so it is asked for at the client's address again"
    assert world.due() == []
    assert [type(one) for one in sources.plan_source(present, make.source(A), world.moment())] == [steps.ProbeFetchable]


def test_a_loss_is_told_before_it_is_mended_also_to_the_next_daemon(world: World) -> None:
    world.kept.keep_proofs("v", "", world.board.read().fetch)
    world.lose(world.served("p/a.rpm"))
    seen: list[readiness.Verdict] = []
    proved: list[object] = []

    def look(_: str) -> None:
        seen.append(readiness.judge(world.board.read(), make.NOW_AT, make.NOW))
        proved.append(dict(world.kept.proofs("v")[1]))

    world.peer.on_request = look
    world.mend()
    assert [one.readiness for one in seen] == [protocol.Readiness.LAST_RESORT]
    assert [reason.code for reason in seen[0].reasons] == ["FilesLost"]
    assert "p/a.rpm (missing)" in seen[0].reasons[0].message
    assert proved == [{}]


@pytest.mark.parametrize("orders", [UNLEASED, LEASED])
def test_the_upstream_is_asked_last_and_under_the_lease_alone(world: World, orders: snapshots.Orders) -> None:
    world.lose(world.served("p/a.rpm"), world.served("p/c.rpm"))
    del world.peer.files["p/a.rpm"]
    world.peer.files["p/c.rpm"] = b"x" * 300
    world.board.update(orders=orders)
    world.mend()
    is_led = orders is LEASED
    assert world.asked(world.bench.site) == (["p/a.rpm", "p/c.rpm"] if is_led else [])
    assert world.is_whole() is is_led
    problem = world.board.read().fetch.get(world.key, snapshots.FetchView(is_fetchable=True)).problem
    assert (problem is None) is is_led
    if problem is not None:
        assert "could not be fetched again yet" in problem.message
        assert "404" in problem.message


def test_what_nobody_has_is_tried_again_with_longer_and_longer_pauses(world: World) -> None:
    world.lose(world.served("p/a.rpm"))
    del world.peer.files["p/a.rpm"]
    pauses = []
    for _ in range(7):
        world.mend()
        began = world.bench.clock.monotonic()
        while not world.due():
            world.bench.clock.advance(1)
        pauses.append(world.bench.clock.monotonic() - began)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (2, 60)
    told = report.problems_of(world.board.read(), plan.Plan(), make.NOW)
    assert "FilesLost" in [one.code for one in told]
    world.peer.files["p/a.rpm"] = PACKAGES["p/a.rpm"]
    world.mend()
    assert world.is_whole()
    assert world.due() == []


def test_a_suspicion_without_a_loss_changes_nothing_and_rests_for_a_while(world: World) -> None:
    before = world.board.read()
    world.board.change(lambda present: lost_files.suspected(present, *world.key))
    world.mend()
    assert world.board.read().fetch == before.fetch
    assert (world.peer.log, world.bench.site.log) == ([], [])
    world.board.change(lambda present: lost_files.suspected(present, *world.key))
    assert world.due() == []
    world.bench.clock.advance(30)
    assert world.due() == [world.generation]


def test_what_a_mate_mended_on_the_same_volume_is_proved_anew(world: World) -> None:
    lost = losses.find_losses(world.bench.volume, *world.key)
    assert lost == []
    finding = inspection.Finding(A, world.generation, "p/a.rpm", inspection.Problem.MISSING, "", "")
    world.board.change(lambda present: lost_files.found(present, world.key, [finding]))
    planned = list(sources.plan_source(world.board.read(), make.source(A), world.moment()))
    assert [type(one) for one in planned] == [steps.Mend]
    world.mend()
    planned = list(sources.plan_source(world.board.read(), make.source(A), world.moment()))
    assert [type(one) for one in planned] == [steps.ProbeFetchable]


def test_nothing_is_mended_on_a_volume_that_refuses_writes(world: World) -> None:
    world.board.change(lambda present: lost_files.suspected(present, *world.key))
    world.board.update(volume=make.volume({A: (world.generation,)}, write_problem=FULL))
    assert list(sources.plan_source(world.board.read(), make.source(A), world.moment())) == []


def test_a_round_over_all_finds_what_nobody_missed(world: World) -> None:
    world.lose(world.served("p/c.rpm"))
    world.mending.take(steps.CheckHoldings())
    assert world.due() == [world.generation]
    assert world.board.read().check_at == world.bench.clock.monotonic() + mending.CHECK_SECONDS


def test_a_round_over_all_is_slow(tmp_path: Path) -> None:
    many = {f"p/{number}.rpm": b"x" for number in range(1000)}
    bench = mirror_bench.make_bench(tmp_path / "mirror", simulated_upstream.Site(repositories.rpm_repository(many)))
    generation = bench.sync(A, publish_alone=False).generation or ""
    looks: list[int] = []
    assert losses.find_losses(bench.volume, A, generation, pause=looks.append) == []
    assert sum(looks) >= 768


def test_a_round_is_due_by_time_and_on_a_volume_that_is_there() -> None:
    def is_planned(**changes: object) -> bool:
        world = make.snapshot(check_at=make.NOW_AT, **changes)
        return steps.CheckHoldings() in plan.plan(world, make.HOST, {}, make.MOMENT).steps

    assert is_planned()
    assert not is_planned(volume=make.volume(problem=FULL))
    assert steps.CheckHoldings() not in plan.plan(make.snapshot(), make.HOST, {}, make.MOMENT).steps


def test_what_clients_are_told_of_is_mended_first() -> None:
    clock = manual_clock.ManualClock()
    world = make.snapshot(volume=make.volume({A: ("g0", "g1", "g2")}), shown=(make.visible(A, 1, "g1"),))
    for one in ("g0", "g1", "g2"):
        world = lost_files.suspected(world, A, one)
    moment = snapshots.Moment(clock.monotonic(), make.NOW)
    assert [one.generation for one in lost_files.due(world, make.source(A), moment)] == ["g1", "g0", "g2"]


@pytest.mark.parametrize(("code", "is_due"), [("NotFetchable", True), ("DigestMismatch", True), ("PeerAway", False)])
def test_a_proof_that_failed_for_a_file_is_a_suspicion(code: str, is_due: bool) -> None:
    view = snapshots.FetchView(is_fetchable=False, problem=protocol.Problem(code=code, message=""))
    world = make.snapshot(fetch=snapshots.frozen_map({(A, "g1"): view}))
    assert bool(lost_files.due(world, make.source(A), make.MOMENT)) is is_due
