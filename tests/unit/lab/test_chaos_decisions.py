import itertools
import math

import pytest

from stationmaster.lab import addressing, failures, machines, measure, web, world
from stationmaster.lab.chaos import campaign, faults, outcome, plan, report, stage, tabulation
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
    assert not {one.fault for one in without} & {"database-killed", "replica-killed", "replica-frozen"}


def test_a_short_campaign_has_one_fault_of_each_family_and_another_seed_others() -> None:
    drawn = {faults.draw_short(seed) for seed in range(40)}
    assert len(drawn) > 20
    for family, members in enumerate(faults.FAMILIES.values()):
        assert {one[family] for one in drawn} == set(members) <= set(faults.TABLE)


@pytest.mark.parametrize("has_database", [True, False])
def test_the_stage_has_a_host_for_each_target(has_database: bool) -> None:
    hosts = {spec.name for spec in stage.hosts(has_database=has_database)} | {"all"}
    for fault in faults.TABLE.values():
        assert set(fault.targets) <= hosts or (fault.needs_database and not has_database)


@pytest.mark.parametrize(("has_database", "hubs"), [(True, 2), (False, 1)])
def test_one_name_leads_to_all_hubs_and_another_to_no_balancers_own_address(has_database: bool, hubs: int) -> None:
    plan_ = addressing.LabPlan("00ff", stage.hosts(has_database=has_database), stage.FLOATING)
    found = [line.split() for line in plan_.render_hosts_file("sta").splitlines()]
    assert sum(machines.HUB_NAME in names for _, *names in found) == hubs
    (line,) = [one for one in plan_.render_hosts_file("rpm1").splitlines() if world.BALANCER in one]
    assert line == f"{plan_.floating_address(world.BALANCER, addressing.Network.EDGE)} {world.BALANCER}"
    assert line.split()[0] not in {plan_.address(name, addressing.Network.EDGE) for name in stage.BALANCERS}


def look(**changes: object) -> report.Look:
    event = measure.Event("x", 10.0, 20.0, 10.4, 16.0, None)
    values = {"event": event, "bound": 1.0, "excused": frozenset(), "rest": 3.0, "orders": 1, "files": 9, "faults": ()}
    return report.Look(**(values | changes))  # type: ignore[arg-type]


def result(*operations: measure.Operation, **changes: object) -> report.StrikeResult:
    kinds = (*failures.OPERATIONS, *failures.REQUESTS, report.CONTROL, report.HUB_CONTROL)
    quiet = [measure.Operation(kind, start, start + 0.1) for kind in kinds for start in (1.0, 2.0, 3.0)]
    seen = look(**changes)
    background = report.background_of([*quiet, *operations], [seen.event])
    return report.result_of("f", "t", seen, [*quiet, *operations], math.inf, background)


def test_a_failed_operation_is_a_violation_unless_it_is_excused() -> None:
    failed = measure.Operation("agent", 11.0, 12.0, "refused")
    assert result(failed).violations == ("agent: refused",)
    assert result(failed, excused=frozenset({"agent"})).violations == ()


def test_requests_that_are_passed_on_as_tcp_may_be_lost() -> None:
    lost = result(measure.Operation("GET through proxy", 11.0, 11.5, "reset"))
    assert (lost.violations, lost.requests_failed) == ((), 1)
    for kind in ("GET http", "GET https"):
        assert result(measure.Operation(kind, 11.0, 11.5, "503")).violations == (f"{kind}: 503",)


@pytest.mark.parametrize(("port", "kind"), report.PORTS.items())
def test_a_stall_over_the_bound_is_a_violation_on_each_port(port: str, kind: str) -> None:
    slow = result(measure.Operation(kind, 11.0, 12.2))
    assert slow.is_over_bound(port)
    assert slow.stalls == (f"{kind} stalled for 1.10 s (bound 1 s, the machine's part 0.00 s at most)",)
    assert slow.violations == ()
    assert result(measure.Operation(kind, 11.0, 12.0)).stalls == ()
    for forgiving in ("excused", "unbounded"):
        assert result(measure.Operation(kind, 11.0, 12.2), **{forgiving: frozenset({kind})}).stalls == ()


def test_a_stall_that_the_machine_explains_is_only_marked() -> None:
    slow = measure.Operation("GET http", 11.0, 12.2)
    elsewhere = measure.Operation(report.CONTROL, 11.0, 11.3)
    seen = result(slow, elsewhere)
    assert seen.is_over_bound("http")
    assert seen.stalls == ()
    before = measure.Operation("GET http", 4.0, 4.3)
    assert result(slow, before).stalls == ()
    hub = measure.Operation(report.HUB_CONTROL, 11.0, 11.3)
    assert result(slow, hub).stalls != ()
    tunnel = measure.Operation("GET through proxy", 11.0, 12.2)
    assert result(tunnel, hub).stalls == ()
    assert result(tunnel, hub, is_hub=True).stalls != ()
    # What was slow in quiet times on one port explains nothing on another.
    assert result(slow, measure.Operation("GET https", 4.0, 4.3)).stalls != ()


def test_without_a_bound_only_what_is_beyond_reason_is_a_violation() -> None:
    fine, slow = measure.Operation("GET http", 11.0, 15.0), measure.Operation("GET http", 11.0, 18.0)
    assert (result(fine, bound=None).violations, result(fine, bound=None).stalls) == ((), ())
    assert result(slow, bound=None).violations == ("GET http stalled for 6.90 s",)
    assert result(slow, bound=None).stalls == ()
    assert result(slow, excused=frozenset({"GET http"})).violations == ()


def steady(first: float, last: float) -> list[measure.Operation]:
    return [
        measure.Operation(kind, begun / 10, begun / 10 + 0.1)
        for kind in failures.REQUESTS
        for begun in range(int(first * 10), int(last * 10))
    ]


def test_who_was_with_a_lost_balancer_comes_again_and_how_soon_is_what_counts() -> None:
    lost = measure.Operation("GET http", 10.2, 20.0, "timed out")
    thawed = measure.Operation("GET https", 10.3, 16.1)
    seen = result(*steady(4.0, 10.0), lost, thawed, *steady(10.9, 20.0), bound=2.0, is_balancer=True)
    assert (seen.violations, seen.stalls, seen.requests_failed) == ((), (), 1)
    assert seen.ports["http"].stall == pytest.approx(1.0)


def test_what_is_cut_when_the_node_takes_the_address_back_is_lost_as_well() -> None:
    event = measure.Event("x", 10.0, 25.0, None, 16.0, 20.0)
    lost = measure.Operation("GET https", 19.0, 19.5, "was answered by nothing")
    around = [*steady(4.0, 10.0), *steady(10.9, 25.0)]
    assert result(*around, lost, event=event, bound=2.0, is_balancer=True).violations == ()
    other = measure.Operation("GET https", 23.0, 23.5, "was answered by nothing")
    seen = result(*around, other, event=event, bound=2.0, is_balancer=True)
    assert seen.violations == ("GET https: was answered by nothing",)


def test_a_balancer_whose_address_nobody_takes_over_in_time() -> None:
    seen = result(*steady(4.0, 10.0), *steady(12.5, 20.0), bound=2.0, is_balancer=True)
    assert [words.partition(" (")[0] for words in seen.stalls] == [
        f"{kind} stalled for 2.60 s" for kind in failures.REQUESTS
    ]
    slow = measure.Operation("GET http", 10.1, 13.3)  # found nobody, and asked once more after three seconds
    seen = result(*steady(4.0, 10.0), *steady(11.0, 20.0), slow, bound=2.0, is_balancer=True)
    assert [words.partition(" (")[0] for words in seen.stalls] == ["GET http stalled for 3.10 s"]
    late = measure.Operation("GET http", 12.3, 12.4, "refused")
    seen = result(*steady(4.0, 10.0), *steady(11.0, 20.0), late, bound=2.0, is_balancer=True)
    assert seen.violations == ("GET http: refused",)


def test_what_fails_between_the_strikes_is_excused_to_nobody() -> None:
    event = look().event
    between = measure.Operation("agent", 25.0, 26.0, "refused")
    tunnel = measure.Operation("GET through proxy", 25.0, 26.0, "reset")
    during = measure.Operation("agent", 11.0, 12.0, "refused")
    assert outcome.failed_beside([between, tunnel, during], [event]) == ["agent: refused"]


def test_who_cannot_reach_peers_takes_from_upstream_and_nobody_else_may() -> None:
    for fault, copies in (("cut-peers", 1.0), ("cut-peers-incoming", 1.0), ("station-killed", 1.5)):
        seen = [(plan.Strike(fault, "sta", 5.0, 1.0), look(repeated=50))]
        assert outcome.copies_to_answer_for(web.Sent(100, 50), seen) == copies


def test_upstream_may_send_one_copy_and_a_twentieth() -> None:
    assert report.beyond_one_copy(1.05) == ()
    assert report.beyond_one_copy(1.06) == ("upstream sent 1.060 copies; 1.05 are allowed",)


def test_what_the_inventory_found_is_a_violation() -> None:
    assert result(faults=("sta: /g/x was answered 404",)).violations == ("sta: /g/x was answered 404",)


def test_the_table_has_a_cell_for_each_column() -> None:
    slow = measure.Operation("agent", 11.0, 12.2, "refused")
    late = measure.Operation("GET http", 11.0, 12.2)
    whole = report.CampaignResult(
        seed=1,
        database="SQLite",
        strikes=(result(), result(slow, late, rest=None)),
        publications=2,
        upstream_copies=1.0,
        promises_checked=9,
        operations={},
        usual={},
        quiet_stalls={},
    )
    columns, rows = tabulation.table(whole)
    assert len(set(columns)) == len(columns)
    assert all(len(row) == len(columns) for row in rows)
    assert rows[1][-2] == "never"
    assert whole.timeless_violations == ("f t: agent: refused",)
    assert len(whole.all_violations) == 2
    assert "2 faults" in tabulation.summary(whole)


LINE = 'GET {} {} {} 10.0.0.1 "agent"\n'


def test_copies_count_what_came_twice_of_what_never_changes() -> None:
    log = LINE.format("/rpm/Packages/a.rpm", 200, 100) + LINE.format("/rpm/repodata/repomd.xml", 200, 5000)
    assert web.count_sent(log).copies == 1.0
    assert web.count_sent(log + LINE.format("/rpm/Packages/a.rpm", 206, 50)) == web.Sent(100, 50)
    assert web.count_sent(log + LINE.format("/rpm/Packages/a.rpm", 206, 50)).copies == 1.5
    assert web.count_sent(log + LINE.format("/rpm/Packages/a.rpm", 404, 50)).copies == 1.0
    assert web.count_sent("").copies == 0.0
