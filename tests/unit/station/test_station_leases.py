"""Leases and copies: who may ask the upstream, for how long, and what is copied instead (ha-protocol R1, R5, R8)."""

from __future__ import annotations

import dataclasses
import datetime
import threading
from pathlib import Path

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from stationmaster.host import files
from stationmaster.model import protocol
from stationmaster.station import board, hub_link, memory, orders, peers, report, sources, steps, sync
from stationmaster.station import config as configs
from stationmaster.station import plan as plans
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import stations as make

A = make.A
AT = make.NOW_AT
PEERS = [
    protocol.Peer(station_id="b", display_name="B", addresses=["10.0.0.3"], ports=make.PORTS),
    protocol.Peer(station_id="c", display_name="C", addresses=["10.0.0.4"], ports=make.PORTS),
]


def answer(**changes: object) -> protocol.HeartbeatAnswer:
    values: dict[str, object] = {"time_received": make.NOW, "desired_digest": "d", "leases": [], **changes}
    return protocol.HeartbeatAnswer(**values)  # type: ignore[arg-type]


def lease(token: int, source_id: str = A) -> protocol.Lease:
    return protocol.Lease(source_id=source_id, token=token)


def copy(generation: str, *holders: str) -> protocol.Copy:
    return protocol.Copy(source_id=A, generation=generation, holders=list(holders))


def told(world: snapshots.Snapshot, said: protocol.HeartbeatAnswer, *, sent_at: float = AT) -> snapshots.Snapshot:
    """After an answer, with the tokens stored, as the daemon does before anything else."""
    following = hub_link.with_answer(world, said, snapshots.Contact(confirmed_at=sent_at))
    kept = dataclasses.replace(following.orders, stored_tokens=following.orders.tokens)
    return dataclasses.replace(following, orders=kept)


def station(**changes: object) -> snapshots.Snapshot:
    return make.snapshot(desired=make.desired(sources=[make.source(A, 1)], peers=PEERS), **changes)


def wanted(world: snapshots.Snapshot, at: float = AT) -> list[steps.Step]:
    found = plans.plan(world, make.HOST, {}, snapshots.Moment(at, make.NOW)).steps
    return [one for one in found if isinstance(one, steps.StartSync | steps.StartCopy | steps.Clean)]


def test_a_hub_without_leases_lets_everybody_sync() -> None:
    assert wanted(told(station(), answer(leases=None))) == [steps.StartSync(make.source(A, 1), 1, 0)]


def test_only_the_holder_of_a_lease_asks_the_upstream() -> None:
    assert wanted(told(station(), answer())) == []
    assert wanted(told(station(), answer(leases=[lease(4, make.B)]))) == []
    assert wanted(told(station(), answer(leases=[lease(4)]))) == [steps.StartSync(make.source(A, 1), 1, 4)]


def test_a_lease_ends_eight_seconds_after_its_heartbeat_was_sent() -> None:
    world = told(station(), answer(leases=[lease(4)]), sent_at=AT - 7.9)
    assert wanted(world)
    assert wanted(world, AT + 0.2) == []


def test_nothing_is_done_under_a_token_that_is_not_stored() -> None:
    """R8: a restart must know the highest token that was ever used."""
    world = hub_link.with_answer(station(), answer(leases=[lease(4)]), snapshots.Contact(confirmed_at=AT))
    found = plans.plan(world, make.HOST, {}, make.MOMENT).steps
    assert steps.KeepTokens(((A, 4),)) in found
    assert not [one for one in found if isinstance(one, steps.StartSync)]


def test_a_hub_that_went_back_in_time_gives_no_lease() -> None:
    world = told(told(station(), answer(leases=[lease(9)])), answer(leases=[lease(8)]))
    assert wanted(world) == []
    assert report.source_report(world, A).lease_token == 9
    assert wanted(told(world, answer(leases=[lease(10)])))


@hypothesis.given(st.lists(st.integers(1, 20) | st.none(), min_size=1, max_size=12))
def test_the_reported_token_never_falls(tokens: list[int | None]) -> None:
    world, highest = station(), 0
    for token in tokens:
        world = told(world, answer(leases=[] if token is None else [lease(token)]))
        highest = max(highest, token or 0)
        assert report.source_report(world, A).lease_token == highest
        may = orders.upstream_token(world.orders, A, AT)
        assert may == (highest if token == highest and token else None)


def test_what_the_hub_wants_here_is_copied_before_the_upstream_is_asked() -> None:
    world = told(station(), answer(leases=[lease(4)], copies=[copy("g2", "x", "c", "b")]))
    (step,) = wanted(world)
    assert isinstance(step, steps.StartCopy)
    assert [one.station_id for one in step.holders] == ["c", "b"]
    assert [one.url for one in peers.places_of(step.holders, A, "g2")] == [
        f"https://10.0.0.4:17443/g/{A}/g2/",
        f"https://10.0.0.3:17443/g/{A}/g2/",
    ]


def test_a_copy_is_left_out_when_it_is_here_or_nobody_has_it() -> None:
    assert wanted(told(station(), answer(copies=[copy("g1", "b")]))) == []
    assert wanted(told(station(), answer(copies=[copy("g2", "x")]))) == []
    # With a lease the upstream is the last that can be asked.
    assert wanted(told(station(), answer(copies=[copy("g2", "x")], leases=[lease(4)])))


def test_a_copy_that_failed_waits_and_lets_the_upstream_be_asked() -> None:
    failed = snapshots.frozen_map({A: snapshots.SyncView(copy_failures=1, copy_retry_at=AT + 2)})
    world = told(station(syncs=failed), answer(copies=[copy("g2", "b")], leases=[lease(4)]))
    assert [type(one) for one in wanted(world)] == [steps.StartSync]
    assert [type(one) for one in wanted(world, AT + 3)] == [steps.StartCopy]


def test_another_lease_is_another_try() -> None:
    last = protocol.SyncReport(number=1, is_running=False, lease_token=4)
    failed = snapshots.SyncView(number=1, failures=3, retry_at=AT + 100, report=last)
    world = station(syncs=snapshots.frozen_map({A: failed}))
    assert wanted(told(world, answer(leases=[lease(4)]))) == []
    assert wanted(told(world, answer(leases=[lease(6)])))


def test_a_refused_volume_is_not_written() -> None:
    """R10: a copied volume id."""
    problem = protocol.Problem(code="VolumeCopied", message="Two volumes carry this id.")
    target = make.visible(A, 2, "g1")
    said = answer(leases=[lease(4)], copies=[copy("g2", "b")], volume_problem=problem, visible=[target])
    world = told(dataclasses.replace(station(), clean_at=0.0), said)
    found = plans.plan(world, make.HOST, {}, make.MOMENT).steps
    writing = steps.StartSync | steps.StartCopy | steps.Clean | steps.RecordVisible
    assert not [one for one in found if isinstance(one, writing)]


def test_removal_needs_the_lease_of_this_volume() -> None:
    world = dataclasses.replace(station(syncs=snapshots.frozen_map({A: snapshots.SyncView(number=1)})), clean_at=0.0)
    assert wanted(told(world, answer())) == []
    assert wanted(told(world, answer(volume_lease=protocol.VolumeLease(volume_id="other", token=3)))) == []
    own = answer(volume_lease=protocol.VolumeLease(volume_id="v", token=3))
    assert [type(one) for one in wanted(told(world, own))] == [steps.Clean]
    assert wanted(told(world, own, sent_at=AT - 9)) == []


def test_the_work_stops_when_its_lease_does() -> None:
    end = threading.Event()
    present = board.Board(told(station(), answer(leases=[lease(4)])))
    now = [AT]
    may = sync.Permission(end, lambda: orders.is_still_allowed(present.read().orders, A, 4, now[0]))
    assert not may.is_set()
    now[0] = AT + 8
    assert may.is_set()
    now[0] = AT
    present.change(lambda world: told(world, answer(leases=[lease(5)])))
    assert may.is_set(), "another token is another lease"
    present.change(lambda world: told(world, answer(leases=None)))
    assert may.is_set()


@pytest.mark.parametrize("state", ["failed", "brought"])
def test_a_failure_is_over_when_another_station_brought_a_later_generation(state: str) -> None:
    """I7: on shared storage the one that failed says SYNCED as well."""
    problem = protocol.Problem(code="UpstreamUnavailable", message="It is away.")
    finished = make.NOW - datetime.timedelta(minutes=1)
    last = protocol.SyncReport(number=1, is_running=False, problem=problem, time_finished=finished)
    held = snapshots.HeldView("g1", time_held=make.NOW if state == "brought" else finished)
    world = station(
        syncs=snapshots.frozen_map({A: snapshots.SyncView(number=1, failures=1, report=last)}),
    )
    assert world.volume is not None
    volume = dataclasses.replace(world.volume, held=snapshots.frozen_map({A: (held,)}))
    world = dataclasses.replace(world, volume=volume)
    shown = report.source_report(world, A)
    assert shown.state is protocol.MirrorState.SYNCED
    assert shown.sync is not None
    assert (shown.sync.problem is None) is (state == "brought")


def test_tokens_are_remembered(tmp_path: Path) -> None:
    kept = memory.Memory(configs.StateDirectory(tmp_path), files.Files())
    assert kept.tokens() == {}
    kept.keep_tokens({A: 7})
    assert kept.tokens() == {A: 7}


def test_unknown_fields_of_a_lease_are_let_pass() -> None:
    """Hub and stations are upgraded one by one."""
    sent = msgspec.json.decode(msgspec.json.encode(answer(leases=[lease(4)])))
    sent["leases"][0]["novel"] = 1
    assert msgspec.convert(sent, protocol.HeartbeatAnswer).leases == [lease(4)]
    assert sources.next_copy(station(), make.source(A, 1)) is None
