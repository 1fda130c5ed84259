import itertools
import math

import pytest

from stationmaster.lab import failures, measure, web
from stationmaster.lab.chaos import campaign, faults, plan, report
from stationmaster.model import errors

TARGETS = {"a": ("one", "two"), "b": ("one",), "c": ("two",)}


def test_a_seed_repeats_its_strikes_and_another_does_not() -> None:
    first, again, other = (list(itertools.islice(plan.draw(seed, TARGETS), 30)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_each_fault_comes_once_a_round_on_its_own_targets() -> None:
    drawn = list(itertools.islice(plan.draw(7, TARGETS), 12))
    for start in range(0, 12, 3):
        assert {one.fault for one in drawn[start : start + 3]} == set(TARGETS)
    assert all(one.target in TARGETS[one.fault] for one in drawn)
    assert all(plan.SHORTEST <= one.seconds <= plan.LONGEST for one in drawn)


def test_orders_draw_from_the_faults_that_were_named() -> None:
    orders = campaign.Orders(1, strikes=4, only=("hub-killed", "daemon-killed"))
    assert sorted(one.fault for one in orders.drawn()) == ["daemon-killed"] * 2 + ["hub-killed"] * 2
    with pytest.raises(errors.CallerError, match="No such fault: meteor"):
        list(campaign.Orders(1, only=("meteor",)).drawn())
    without = campaign.Orders(1, strikes=len(faults.TABLE), has_database=False).drawn()
    assert "database-killed" not in {one.fault for one in without}
    assert set(faults.SHORT) <= set(faults.TABLE)


def look(**changes: object) -> report.Look:
    event = measure.Event("x", 10.0, 20.0, 10.4, 16.0, None)
    values = {"event": event, "bound": 1.0, "excused": frozenset(), "rest": 3.0, "orders": 1, "files": 9, "faults": ()}
    return report.Look(**(values | changes))  # type: ignore[arg-type]


def result(*operations: measure.Operation, **changes: object) -> report.StrikeResult:
    quiet = [measure.Operation(kind, 1.0, 1.1) for kind in (*failures.OPERATIONS, *failures.REQUESTS)]
    return report.result_of("f", "t", look(**changes), [*quiet, *operations], math.inf, 10.0)


def test_a_failed_operation_is_a_violation_unless_it_is_excused() -> None:
    failed = measure.Operation("agent", 11.0, 12.0, "refused")
    assert result(failed).violations == ("agent: refused",)
    assert result(failed, excused=frozenset({"agent"})).violations == ()


def test_requests_that_are_passed_on_as_tcp_may_be_lost() -> None:
    assert result(measure.Operation("GET https", 11.0, 12.0, "reset")).violations == ()
    assert result(measure.Operation("GET http", 11.0, 12.0, "503")).violations == ("GET http: 503",)


def test_a_stall_over_the_bound_is_marked_and_one_beyond_reason_is_a_violation() -> None:
    slow = result(measure.Operation("GET http", 11.0, 13.0))
    assert slow.is_over_bound
    assert slow.violations == ()
    assert result(measure.Operation("GET http", 11.0, 18.0)).violations == ("GET http stalled for 6.9 s",)


def test_what_the_inventory_found_is_a_violation() -> None:
    assert result(faults=("sta: /g/x was answered 404",)).violations == ("sta: /g/x was answered 404",)


def test_the_table_has_a_cell_for_each_column() -> None:
    whole = report.CampaignResult(
        seed=1,
        database="SQLite",
        strikes=(result(), result(rest=None)),
        publications=2,
        upstream_copies=1.0,
        promises_checked=9,
        operations={},
    )
    columns, rows = report.table(whole)
    assert len(set(columns)) == len(columns)
    assert all(len(row) == len(columns) for row in rows)
    assert rows[1][-2] == "never"
    assert "2 faults" in report.summary(whole)


LINE = 'GET {} {} {} 10.0.0.1 "agent"\n'


def test_copies_count_what_came_twice_of_what_never_changes() -> None:
    log = LINE.format("/rpm/Packages/a.rpm", 200, 100) + LINE.format("/rpm/repodata/repomd.xml", 200, 5000)
    assert web.count_copies(log) == 1.0
    assert web.count_copies(log + LINE.format("/rpm/Packages/a.rpm", 206, 50)) == 1.5
    assert web.count_copies(log + LINE.format("/rpm/Packages/a.rpm", 404, 50)) == 1.0
    assert web.count_copies("") == 0.0
