from pathlib import Path

import pytest

from stationmaster.lab import balancer_watch, failures, measure, web
from stationmaster.lab.measure import Event, Operation

EVENT = Event("StationB killed", started=100.0, ended=130.0, noticed=101.5, mended=112.0, returned=118.0)


def test_a_stall_is_what_exceeds_the_usual_duration() -> None:
    operations = [
        *(Operation("dnf", float(start), start + 4.0) for start in range(60, 90, 5)),
        Operation("dnf", 99.0, 104.5),
        Operation("apt", 100.0, 100.2),
    ]
    effect = measure.effect_of(EVENT, operations, measure.typical_durations(operations, EVENT.started))
    assert (effect.done, effect.failed) == (2, 0)
    assert effect.longest_stall == pytest.approx(1.5)
    assert effect.stalled_kind == "dnf"


def test_what_the_machine_alone_makes_of_it_is_seen_beside_the_events() -> None:
    operations = [Operation("x", 90.0, 91.0), Operation("x", 92.0, 94.5), Operation("x", 100.0, 120.0)]
    typical = measure.typical_durations(operations, 92.0)
    assert measure.longest_quiet_stalls(operations, typical, [EVENT]) == {"x": pytest.approx(1.5)}
    assert measure.longest_quiet_stalls(operations[:1], typical, []) == {"x": 0.0}


def test_a_gap_lies_between_beginnings_that_led_to_an_answer() -> None:
    served = [Operation("x", begun, begun + 0.1) for begun in (99.0, 99.9, 102.0, 103.0, 129.5)]
    lost = Operation("x", 101.0, 101.1, "refused")
    assert measure.longest_gap(EVENT, [*served[:4], lost]) == pytest.approx(27.0)
    assert measure.longest_gap(EVENT, [*served[:3], lost, *served[3:]], until=104.0) == pytest.approx(27.0)
    assert measure.longest_gap(EVENT, []) == 0.0


def test_failures_are_counted_and_worded_and_others_are_not_touched() -> None:
    operations = [
        Operation("apt", 90.0, 99.9),
        Operation("apt", 105.0, 106.0, "exit 100"),
        Operation("apt", 129.0, 140.0),
        Operation("apt", 130.1, 131.0, "too late to count"),
    ]
    effect = measure.effect_of(EVENT, operations, measure.typical_durations(operations, EVENT.started))
    assert (effect.done, effect.failed, effect.failures) == (1, 1, ("apt: exit 100",))


def test_what_ran_into_the_next_event_is_counted_there_alone() -> None:
    later = Event("StationA frozen", 131.0, 150.0, None, None, None)
    operations = (Operation("GET http", 129.0, 131.5, "cut"), Operation("GET http", 129.0, 130.5))
    outcome = failures.Outcome((EVENT, later), operations)
    assert [outcome.effect(event, ("GET http",)).failed for event in outcome.events] == [0, 1]
    assert [outcome.effect(event, ("GET http",)).done for event in outcome.events] == [1, 0]


def test_an_event_without_operations_says_so() -> None:
    effect = measure.effect_of(EVENT, [], {})
    assert (effect.done, effect.failed, effect.longest_stall, effect.stalled_kind) == (0, 0, 0.0, "")


def test_kinds_without_quiet_time_use_all_their_durations() -> None:
    operations = [Operation("x", 101.0, 102.0), Operation("x", 103.0, 106.0), Operation("x", 107.0, 109.0)]
    assert measure.typical_durations(operations, 100.0) == {"x": 2.0}


def test_seconds_count_from_the_blow_and_from_the_mending() -> None:
    assert EVENT.seconds_until_noticed == pytest.approx(1.5)
    assert EVENT.seconds_until_returned == pytest.approx(6.0)
    assert Event("e", 0, 1, None, 1, None).seconds_until_returned is None


def test_the_table_shows_what_was_measured() -> None:
    never = Event("StationA frozen", 200.0, 230.0, None, 210.0, None)
    quiet = [Operation("agent", 90.0, 91.0), Operation("GET http", 90.0, 90.1)]
    struck = [Operation("agent", 200.0, 203.0, "exit 1"), Operation("GET http", 201.0, 201.6)]
    columns, rows = failures.table(failures.Outcome((EVENT, never), (*quiet, *struck)))
    assert columns == ["", "StationB killed", "StationA frozen"]
    assert [row[1] for row in rows] == ["0", "0", "-", "0", "0", "-", "1.5 s", "6.0 s"]
    stalls = ("2.00 s (agent)", "0.50 s (GET http)")
    assert [row[2] for row in rows] == ["0", "1", stalls[0], "1", "0", stalls[1], "never", "never"]
    assert failures.Outcome((EVENT,), tuple(struck)).failed_operations() == 1


STAT = """# pxname,svname,status,addr,bck,type
http,FRONTEND,OPEN,,,0
http,a,UP,10.87.1.13:17081,0,2
http,b,DOWN,10.87.1.14:17081,0,2
http,a2,UP,10.87.1.13:17081,1,2
https,a,UP 1/2,10.87.1.13:17444,0,2
https,b,UP,10.87.1.14:17444,0,2
http-last,b,UP,10.87.1.14:17081,0,2
http,BACKEND,UP,,,1
"""


def test_servers_are_read_from_haproxys_statistics() -> None:
    rows = balancer_watch.parse_rows(STAT)
    assert [(row.backend, row.server, row.is_up, row.is_stand_in) for row in rows] == [
        ("http", "a", True, False),
        ("http", "b", False, False),
        ("http", "a2", True, True),
        ("https", "a", True, False),
        ("https", "b", True, False),
        ("http-last", "b", True, True),
    ]
    assert balancer_watch.is_in_work(rows, "10.87.1.13") is True
    assert balancer_watch.is_in_work(rows, "10.87.1.14") is None
    assert balancer_watch.is_in_work(rows, "10.87.1.99") is None
    without = [row for row in rows if row.backend != "https"]
    assert balancer_watch.is_in_work(without, "10.87.1.14") is False


def test_the_upstreams_configuration_limits_its_rate_only_when_asked(tmp_path: Path) -> None:
    assert "limit_rate" not in web.render_nginx(tmp_path, tmp_path)
    assert "limit_rate 4096;" in web.render_nginx(tmp_path, tmp_path, rate_bytes=4096)
