"""What a group shows: tables of cases, and random groups that try to break I5 (ha-protocol R4-R9)."""

import dataclasses
import datetime
import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import protocol, rotation, visibility

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


def decide(shown: protocol.Visible | None, *stations: rotation.Station, **facts: Any) -> visibility.Decision:
    return visibility.decide(snapshot(shown, stations, **facts), LIMITS)


def test_the_first_generation_becomes_visible_when_all_hold_it() -> None:
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


def test_the_newest_common_one_wins_over_a_newer_partial_one() -> None:
    decision = decide(visible(1, "g0"), station("a", "g0", "g1", "g2"), station("b", "g0", "g1"))
    assert decision.visible == visible(2, "g1")


def test_the_group_never_goes_back_by_itself() -> None:
    assert decide(visible(2, "g2"), station("a", "g1", "g2"), station("b", "g1")).verdict is not V.ADVANCE


def test_who_finished_with_something_older_is_asked_again_at_a_bounded_rate() -> None:
    stations = station("a", "g2"), station("b", "g1", finished_sync=3)
    assert decide(visible(1, "g0"), *stations, station("c", "g0"), sync_number=3).verdict is V.RESYNC
    assert decide(visible(1, "g0"), *stations, station("c", "g0"), sync_number=3, since_sync_raised=3).verdict is V.KEEP
    failed = dataclasses.replace(stations[1], has_failed=True)
    assert decide(None, stations[0], failed, sync_number=3, since_sync_raised=30).verdict is V.KEEP
    assert decide(None, stations[0], failed, sync_number=3, since_sync_raised=60).verdict is V.RESYNC


def test_a_lagging_station_leaves_first_and_is_no_longer_waited_for_later() -> None:
    lagging = station("b", "g0", stalled_seconds=60.0)
    first = decide(visible(1, "g0"), station("a", "g0", "g1"), lagging, since_sync_raised=0)
    assert (first.verdict, first.excluded) == (V.KEEP, {"b"})
    gone = dataclasses.replace(lagging, excluded_seconds=10.1)
    then = decide(visible(1, "g0"), station("a", "g0", "g1"), gone)
    assert (then.verdict, then.excluded) == (V.ADVANCE, {"b"})


def test_one_that_left_returns_when_it_holds_the_newest() -> None:
    back = station("b", "g1", excluded_seconds=100.0)
    assert decide(visible(2, "g1"), station("a", "g1"), back).excluded == frozenset()


def test_a_progressing_station_is_waited_for_up_to_three_times_the_staging_time() -> None:
    holder, slow = station("a", "g1"), station("b", behind_seconds=899.0)
    assert decide(None, holder, slow, staging_seconds=300).excluded == frozenset()
    slower = dataclasses.replace(slow, behind_seconds=900.0)
    assert decide(None, holder, slower, staging_seconds=300).excluded == {"b"}


def test_leaving_fewer_than_half_takes_ten_times_as_long() -> None:
    holder = station("a", "g0", "g1")
    others = [station(name, "g0", stalled_seconds=61.0) for name in "bcd"]
    assert decide(visible(1, "g0"), holder, *others).excluded == {"b", "c"}
    stuck = [dataclasses.replace(one, stalled_seconds=600.0) for one in others]
    assert decide(visible(1, "g0"), holder, *stuck).excluded == {"b", "c", "d"}


def test_the_last_station_does_not_leave_for_one_source() -> None:
    stuck = station("b", "g0", stalled_seconds=1e6, is_last=True)
    assert decide(visible(1, "g0"), station("a", "g0", "g1"), stuck).excluded == frozenset()


def test_back_to_the_newest_whole_one_only_when_nobody_in_touch_holds_the_visible() -> None:
    shown = visible(7, "g3")
    dead = station("a", "g3", silent_seconds=60)
    survivor = station("b", "g1", "g2")
    assert decide(shown, dead, survivor, orphaned_seconds=5).verdict is V.KEEP
    decision = decide(shown, dead, survivor, orphaned_seconds=10)
    assert (decision.verdict, decision.visible) == (V.RESTORE, visible(8, "g2"))
    restarting = station("a", "g3", fetchable=frozenset())
    assert decide(shown, restarting, survivor, orphaned_seconds=60).verdict is V.KEEP


def test_a_step_forward_needs_nobody_to_hold_the_old_one() -> None:
    decision = decide(visible(1, "g0"), station("a", "g1"), station("b", "g1"))
    assert (decision.verdict, decision.visible) == (V.ADVANCE, visible(2, "g1"))


def test_a_hub_that_went_back_in_time_believes_the_volumes() -> None:
    a, b = station("a", "g1", "g3", shown=visible(9, "g3")), station("b", "g1", "g3", shown=visible(8, "g1"))
    decision = decide(visible(2, "g1"), a, b)
    assert (decision.verdict, decision.visible) == (V.ADOPT, visible(9, "g3"))


def test_a_volume_from_another_group_lifts_the_number_only() -> None:
    newcomer = station("c", "g3", shown=visible(9, "g3"))
    decision = decide(visible(2, "g1"), station("a", "g1"), station("b", "g1"), newcomer)
    assert (decision.verdict, decision.visible) == (V.ADOPT, visible(10, "g1"))


def test_one_number_with_two_meanings_is_settled_by_a_new_one() -> None:
    a, b = station("a", "g1", "g2", shown=visible(5, "g2")), station("b", "g1", shown=visible(5, "g1"))
    assert decide(None, a, b).visible == visible(6, "g2")


def test_a_fresh_or_deaf_hub_decides_nothing() -> None:
    assert decide(None, station("a", "g1"), is_settled=False).verdict is V.KEEP
    silent = [station(name, silent_seconds=12.0) for name in "bc"]
    assert decide(visible(1, "g0"), station("a", "g1"), *silent).verdict is V.KEEP


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
    )


@st.composite
def snapshots(draw: st.DrawFn) -> rotation.Snapshot:
    names = "abc"[: draw(st.integers(0, 3))]
    return snapshot(
        draw(st.none() | st.builds(visible, st.integers(1, 6), st.sampled_from(sorted(GENERATIONS)))),
        [draw(stations(name)) for name in names],
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
    if facts.visible:
        assert GENERATIONS[decision.visible.generation].rank > GENERATIONS[facts.visible.generation].rank


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
def test_nobody_leaves_who_holds_the_newest(facts: rotation.Snapshot) -> None:
    newest = rotation.newest_held(facts, LIMITS)
    for name in visibility.decide(facts, LIMITS).excluded:
        (one,) = [each for each in facts.stations if each.id == name]
        assert newest is not None
        assert newest.id not in one.fetchable


def test_one_that_left_or_returned_with_less_is_asked_again_too() -> None:
    left = station("b", "g0", finished_sync=3, excluded_seconds=100.0)
    facts = {"sync_number": 3, "since_sync_raised": 59.0}
    assert decide(visible(2, "g1"), station("a", "g1"), left, **facts).verdict is V.KEEP
    facts["since_sync_raised"] = 60.0
    assert decide(visible(2, "g1"), station("a", "g1"), left, **facts).verdict is V.RESYNC
    emptied = station("b", finished_sync=3)
    assert decide(visible(2, "g1"), station("a", "g1"), emptied, sync_number=3).verdict is V.RESYNC
