"""What a group shows: tables of cases, and random groups that try to break I5 (ha-protocol R4-R9)."""

import dataclasses
import datetime
import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import candidates, leadership, protocol, rotation, visibility

LIMITS = rotation.Limits()
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
GENERATIONS = {
    f"g{index}": rotation.Generation(f"g{index}", START, START + datetime.timedelta(hours=index)) for index in range(5)
}
V = visibility.Verdict


def visible(number: int, generation: str) -> protocol.Visible:
    return protocol.Visible(source_id="s", number=number, generation=generation)


def station(name: str, *generations: str, **facts: Any) -> rotation.Station:
    held = frozenset(generations)
    return rotation.Station(id=name, **{"fetchable": held, "held": held, **facts})


def snapshot(shown: protocol.Visible | None, stations: Iterable[rotation.Station], **facts: Any) -> rotation.Snapshot:
    return rotation.Snapshot("s", shown, GENERATIONS, tuple(stations), **facts)


def decide(
    shown: protocol.Visible | None, *stations: rotation.Station, candidate: str | None = "g1", **facts: Any
) -> visibility.Decision:
    return visibility.decide(snapshot(shown, stations, candidate=candidate, **facts), LIMITS)


def led(holder: str = "a", token: int = 5) -> leadership.Lease:
    return leadership.Lease(token=token, holder=holder)


def test_the_candidate_becomes_visible_when_all_hold_it() -> None:
    decision = decide(None, station("a", "g1"), station("b", "g1"))
    assert (decision.verdict, decision.visible) == (V.ADVANCE, visible(1, "g1"))


@pytest.mark.parametrize(
    "b",
    [
        station("b", is_syncing=True),
        station("b", "g1", fetchable=frozenset()),
        station("b", "g0"),
        station("b", excluded_seconds=LIMITS.liveness),
    ],
    ids=["nothing yet", "whole but not fetchable", "something older", "told to leave a moment ago"],
)
def test_one_in_rotation_that_lacks_it_holds_the_group_back(b: rotation.Station) -> None:
    decision = decide(None, station("a", "g1"), b, since_sync_raised=0)
    assert decision.verdict is V.KEEP
    assert "b" in decision.reason


@pytest.mark.parametrize(
    "b",
    [
        station("b", silent_seconds=30),
        station("b", is_volume_usable=False),
        station("b", is_draining=True),
        station("b", excluded_seconds=LIMITS.liveness + 0.1),
    ],
    ids=["silent", "volume unusable", "draining", "left for lagging"],
)
def test_one_out_of_rotation_does_not(b: rotation.Station) -> None:
    decision = decide(visible(4, "g0"), station("a", "g0", "g1"), b)
    assert (decision.verdict, decision.visible) == (V.ADVANCE, visible(5, "g1"))


def test_all_of_none_is_no_consent() -> None:
    assert decide(visible(1, "g0"), station("a", "g0", "g1", is_draining=True)).verdict is V.KEEP
    assert decide(None).verdict is V.KEEP


def test_what_all_hold_and_nobody_brought_is_not_shown() -> None:
    both = station("a", "g0", "g2"), station("b", "g0", "g2")
    assert decide(visible(1, "g0"), *both, candidate=None).verdict is V.KEEP
    assert decide(visible(1, "g0"), *both, candidate="g1").verdict is V.KEEP


def test_the_upstream_may_go_back_and_the_leader_says_so() -> None:
    decision = decide(visible(2, "g2"), station("a", "g1", "g2"), station("b", "g1", "g2"))
    assert (decision.verdict, decision.visible) == (V.ADVANCE, visible(3, "g1"))


@pytest.mark.parametrize(
    ("shown", "facts", "asked"),
    [
        (None, {}, True),
        (visible(1, "g0"), {}, True),
        (visible(1, "g1"), {}, False),
        (visible(1, "g0"), {"candidate": "g1"}, False),
        (visible(1, "g0"), {"since_sync_raised": 14.0}, False),
        (visible(1, "g0"), {"sync_number": 4}, False),
        (visible(1, "g0"), {"lease": leadership.UNHELD}, False),
    ],
    ids=[
        "nothing is visible",
        "a volume holds something newer",
        "all is well",
        "a candidate is on its way",
        "it was asked a moment ago",
        "it has not yet answered",
        "nobody leads",
    ],
)
def test_a_leader_that_said_nothing_yet_is_asked(
    shown: protocol.Visible | None, facts: dict[str, Any], *, asked: bool
) -> None:
    stations = station("a", "g0", "g1", finished_sync=3), station("b", "g0")
    facts = {"candidate": None, "lease": led(), "sync_number": 3, **facts}
    decision = decide(shown, *stations, **facts)
    assert (decision.verdict is V.RESYNC) == asked


def test_what_a_leader_found_under_a_token_that_it_lost_is_looked_for_again() -> None:
    """Also when the upstream went back: nothing newer is there to wake anybody (found by the exploration)."""
    leader = station("a", "g0", "g1", finished_sync=3, sync_token=4, sync_generation="g0")
    facts = {"candidate": None, "sync_number": 3, "lease": led()}
    assert decide(visible(1, "g1"), leader, station("b", "g0", "g1"), **facts).verdict is V.RESYNC
    same = dataclasses.replace(leader, sync_generation="g1")
    assert decide(visible(1, "g1"), same, station("b", "g0", "g1"), **facts).verdict is V.KEEP


def test_a_leader_that_said_what_the_upstream_has_is_not_asked_again() -> None:
    leader = station("a", "g0", "g1", finished_sync=3, sync_token=5, sync_generation="g0")
    facts = {"candidate": None, "sync_number": 3}
    assert decide(visible(1, "g0"), leader, lease=led(), **facts).verdict is V.KEEP
    assert decide(visible(1, "g0"), leader, lease=led(token=6), **facts).verdict is V.RESYNC
    lost = dataclasses.replace(leader, sync_generation="g2")
    assert decide(visible(1, "g0"), lost, lease=led(), **facts).verdict is V.RESYNC


def test_one_of_the_first_release_is_asked_again_at_a_bounded_rate() -> None:
    leader, lagging = station("a", "g1", "g2"), station("b", "g1", finished_sync=3, is_led=False)
    facts: dict[str, Any] = {"candidate": "g2", "sync_number": 3}
    assert decide(visible(1, "g1"), leader, lagging, **facts).verdict is V.RESYNC
    assert decide(visible(1, "g1"), leader, lagging, since_sync_raised=3, **facts).verdict is V.KEEP
    failed = dataclasses.replace(lagging, has_failed=True)
    assert decide(visible(1, "g1"), leader, failed, since_sync_raised=30, **facts).verdict is V.KEEP
    assert decide(visible(1, "g1"), leader, failed, since_sync_raised=60, **facts).verdict is V.RESYNC
    assert decide(visible(1, "g1"), leader, dataclasses.replace(lagging, is_led=True), **facts).verdict is V.KEEP


def test_a_lagging_station_leaves_first_and_is_no_longer_waited_for_later() -> None:
    lagging = station("b", "g0", stalled_seconds=60.0, lagging_behind="g1")
    first = decide(visible(1, "g0"), station("a", "g0", "g1"), lagging, since_sync_raised=0)
    assert (first.verdict, first.excluded) == (V.KEEP, {"b"})
    gone = dataclasses.replace(lagging, excluded_seconds=10.1)
    then = decide(visible(1, "g0"), station("a", "g0", "g1"), gone)
    assert (then.verdict, then.excluded) == (V.ADVANCE, {"b"})


def test_one_that_left_returns_when_it_holds_what_is_visible() -> None:
    back = station("b", "g1", excluded_seconds=100.0)
    assert decide(visible(2, "g1"), station("a", "g1"), back, candidate=None).excluded == frozenset()
    assert decide(visible(2, "g1"), station("a", "g1", "g2"), back, candidate="g2").excluded == frozenset()
    empty = station("b", excluded_seconds=100.0)
    assert decide(visible(2, "g1"), station("a", "g1"), empty, candidate=None).excluded == {"b"}


def test_one_that_left_for_a_candidate_stays_out_while_it_is_the_candidate() -> None:
    out = station("b", "g1", excluded_seconds=100.0, lagging_behind="g2")
    assert decide(visible(2, "g1"), station("a", "g1", "g2"), out, candidate="g2").excluded == {"b"}
    assert decide(visible(2, "g1"), station("a", "g1", "g3"), out, candidate="g3").excluded == frozenset()


def test_a_progressing_station_is_waited_for_up_to_three_times_the_staging_time() -> None:
    holder, slow = station("a", "g1"), station("b", behind_seconds=899.0, lagging_behind="g1")
    assert decide(None, holder, slow, staging_seconds=300).excluded == frozenset()
    slower = dataclasses.replace(slow, behind_seconds=900.0)
    assert decide(None, holder, slower, staging_seconds=300).excluded == {"b"}


def test_leaving_fewer_than_half_takes_ten_times_as_long() -> None:
    holder = station("a", "g0", "g1")
    others = [station(name, "g0", stalled_seconds=61.0, lagging_behind="g1") for name in "bcd"]
    assert decide(visible(1, "g0"), holder, *others).excluded == {"b", "c"}
    stuck = [dataclasses.replace(one, stalled_seconds=600.0) for one in others]
    assert decide(visible(1, "g0"), holder, *stuck).excluded == {"b", "c", "d"}


def test_the_last_station_does_not_leave_for_one_source() -> None:
    stuck = station("b", "g0", stalled_seconds=1e6, is_last=True, lagging_behind="g1")
    assert decide(visible(1, "g0"), station("a", "g0", "g1"), stuck).excluded == frozenset()


def test_back_to_the_newest_whole_one_only_when_nobody_in_touch_holds_the_visible() -> None:
    shown = visible(7, "g3")
    dead = station("a", "g3", silent_seconds=60)
    survivor = station("b", "g1", "g2")
    assert decide(shown, dead, survivor, orphaned_seconds=5, candidate=None).verdict is V.KEEP
    decision = decide(shown, dead, survivor, orphaned_seconds=10, candidate=None)
    assert (decision.verdict, decision.visible) == (V.RESTORE, visible(8, "g2"))
    restarting = station("a", "g3", fetchable=frozenset())
    assert decide(shown, restarting, survivor, orphaned_seconds=60, candidate=None).verdict is V.KEEP


def test_a_step_forward_needs_nobody_to_hold_the_old_one() -> None:
    decision = decide(visible(1, "g0"), station("a", "g1"), station("b", "g1"))
    assert (decision.verdict, decision.visible) == (V.ADVANCE, visible(2, "g1"))


def test_a_hub_that_went_back_in_time_believes_the_volumes() -> None:
    a, b = station("a", "g1", "g3", shown=visible(9, "g3")), station("b", "g1", "g3", shown=visible(8, "g1"))
    decision = decide(visible(2, "g1"), a, b)
    assert (decision.verdict, decision.visible, decision.unknown) == (V.ADOPT, visible(9, "g3"), None)


def test_a_volume_from_another_group_lifts_the_number_only() -> None:
    newcomer = station("c", "g3", shown=visible(9, "g3"))
    decision = decide(visible(2, "g1"), station("a", "g1"), station("b", "g1"), newcomer)
    assert (decision.verdict, decision.visible) == (V.ADOPT, visible(10, "g1"))
    assert decision.unknown == visible(9, "g3"), "clients were told of it: it is kept as any number that was visible"


def test_one_number_with_two_meanings_is_settled_by_a_new_one() -> None:
    a, b = station("a", "g1", "g2", shown=visible(5, "g2")), station("b", "g1", shown=visible(5, "g1"))
    assert decide(None, a, b).visible == visible(6, "g2")


def test_a_hub_in_doubt_tells_nobody_to_leave_and_takes_nobody_back() -> None:
    """R8: no exclusions. R9: three of five fell silent within one liveness period, so the hub suspects itself."""
    lagging = station("a", "g1", stalled_seconds=999.0, behind_seconds=999.0, lagging_behind="g2")
    left = station("b", "g1", "g2", excluded_seconds=30.0)
    shown = visible(1, "g1")
    assert decide(shown, lagging, left, candidate="g2").excluded == {"a"}
    assert decide(shown, lagging, left, candidate="g2", is_settled=False).excluded == {"b"}
    silent = [station(name, "g1", silent_seconds=12.0) for name in ("x", "y", "z")]
    assert decide(shown, lagging, left, *silent, candidate="g2").excluded == {"b"}


def test_a_fresh_or_deaf_hub_decides_nothing() -> None:
    assert decide(None, station("a", "g1"), is_settled=False).verdict is V.KEEP
    silent = [station(name, silent_seconds=12.0) for name in "bc"]
    assert decide(visible(1, "g0"), station("a", "g1"), *silent).verdict is V.KEEP


def test_what_goes_with_a_station_is_what_it_alone_could_give() -> None:
    a, b = station("a", "g0", "g1", "g2"), station("b", "g0")
    facts = snapshot(visible(1, "g1"), [a, b], candidate="g2")
    assert rotation.held_alone(facts, "a", LIMITS) == ["g1", "g2"]
    assert rotation.held_alone(facts, "b", LIMITS) == []
    full = dataclasses.replace(b, is_writable=False)
    assert rotation.held_alone(snapshot(visible(1, "g1"), [a, full], candidate="g2"), "a", LIMITS) == []
    gone = dataclasses.replace(b, held=frozenset({"g1"}), silent_seconds=12.0)
    assert rotation.held_alone(snapshot(visible(1, "g1"), [a, gone], candidate="g1"), "a", LIMITS) == []


generations = st.none() | st.sampled_from(sorted(GENERATIONS))
ids = st.frozensets(st.sampled_from(sorted(GENERATIONS)))


@st.composite
def stations(draw: st.DrawFn, name: str) -> rotation.Station:
    held = draw(ids)
    return rotation.Station(
        id=name,
        silent_seconds=draw(st.sampled_from([0.0, 9.0, 10.0, 11.0, 25.0, math.inf])),
        is_volume_usable=draw(st.booleans()),
        is_draining=draw(st.booleans()),
        held=held,
        fetchable=held & draw(ids),
        shown=draw(st.none() | st.builds(visible, st.integers(1, 6), st.sampled_from(sorted(GENERATIONS)))),
        stalled_seconds=draw(st.sampled_from([0.0, 59.0, 60.0, 600.0])),
        behind_seconds=draw(st.sampled_from([0.0, 60.0, 900.0])),
        excluded_seconds=draw(st.sampled_from([None, 0.0, 9.9, 10.0, 10.1, 99.0])),
        finished_sync=draw(st.integers(0, 3)),
        is_syncing=draw(st.booleans()),
        has_failed=draw(st.booleans()),
        lagging_behind=draw(generations),
        sync_token=draw(st.integers(0, 2)),
        sync_generation=draw(generations),
        is_led=draw(st.booleans()),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> rotation.Snapshot:
    names = "abc"[: draw(st.integers(0, 3))]
    return snapshot(
        draw(st.none() | st.builds(visible, st.integers(1, 6), st.sampled_from(sorted(GENERATIONS)))),
        [draw(stations(name)) for name in names],
        candidate=draw(generations),
        candidate_seconds=draw(st.sampled_from([0.0, 1000.0])),
        lost_seconds=draw(st.sampled_from([0.0, 10.0])),
        lease=leadership.Lease(token=draw(st.integers(0, 2)), holder=draw(st.sampled_from([None, "a", "b"]))),
        sync_number=draw(st.integers(0, 3)),
        since_sync_raised=draw(st.sampled_from([0.0, 15.0, 60.0])),
        orphaned_seconds=draw(st.sampled_from([0.0, 10.0])),
        staging_seconds=draw(st.sampled_from([0.0, 100.0])),
        is_settled=draw(st.booleans()),
    )


def members_by_hand(facts: rotation.Snapshot) -> list[rotation.Station]:
    return [
        one
        for one in facts.stations
        if one.silent_seconds <= 10
        and one.is_volume_usable
        and not one.is_draining
        and (one.excluded_seconds is None or one.excluded_seconds <= 10)
    ]


@given(snapshots())
def test_i5_no_advance_that_a_station_in_rotation_cannot_serve(facts: rotation.Snapshot) -> None:
    decision = visibility.decide(facts, LIMITS)
    if decision.verdict is not V.ADVANCE:
        return
    assert decision.visible is not None
    members = members_by_hand(facts)
    assert members
    assert all(decision.visible.generation in one.fetchable for one in members)
    assert decision.visible.generation == facts.candidate


@given(snapshots())
def test_numbers_only_rise_and_only_a_decision_changes_what_is_visible(facts: rotation.Snapshot) -> None:
    decision = visibility.decide(facts, LIMITS)
    if decision.verdict in {V.KEEP, V.RESYNC}:
        assert decision.visible == facts.visible
    else:
        assert decision.visible is not None
        assert decision.visible.number > (facts.visible.number if facts.visible else 0)
        assert facts.is_settled


@given(snapshots())
def test_going_back_takes_nothing_from_anybody_in_touch(facts: rotation.Snapshot) -> None:
    decision = visibility.decide(facts, LIMITS)
    if decision.verdict is V.RESTORE:
        assert facts.visible is not None
        assert decision.visible is not None
        touched = [one for one in facts.stations if one.silent_seconds <= 10]
        assert not any(facts.visible.generation in one.held for one in touched)
        assert any(decision.visible.generation in one.fetchable for one in touched)


@given(snapshots())
def test_nobody_leaves_who_holds_all_it_should(facts: rotation.Snapshot) -> None:
    decision = visibility.decide(facts, LIMITS)
    is_doubtful = decision.reason.startswith(("The hub started", "Most stations"))
    for name in decision.excluded:
        (one,) = [each for each in facts.stations if each.id == name]
        is_out_already = one.excluded_seconds is not None
        assert is_out_already if is_doubtful else rotation.lacks(facts, one), "a hub in doubt changes nothing"


@given(snapshots())
def test_r7_a_candidate_is_fixed_until_visible_or_lost(facts: rotation.Snapshot) -> None:
    ruling = candidates.rule(facts, LIMITS)
    shown = facts.visible.generation if facts.visible else None
    if facts.candidate not in (None, shown) and ruling.generation != facts.candidate:
        assert ruling.verdict is candidates.Verdict.WITHDRAW
        assert not any(facts.candidate in one.fetchable for one in facts.stations if one.silent_seconds <= 10)
    if ruling.verdict is candidates.Verdict.SET:
        assert any(ruling.generation in one.held for one in facts.stations if one.silent_seconds <= 10)
        assert ruling.generation != shown


def test_a_station_that_just_left_is_waited_for_until_balancers_saw_it_go() -> None:
    both = station("a", "g0", "g1"), station("b", "g0", "g1")
    assert decide(visible(1, "g0"), *both, parted_seconds=10.0).verdict is V.KEEP
    assert decide(visible(1, "g0"), *both, parted_seconds=10.1).verdict is V.ADVANCE
