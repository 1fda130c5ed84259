import dataclasses
import datetime
from typing import Any

import pytest

from stationmaster.model import protocol, rotation
from stationmaster.model.sync_progress import NOBODY, SourceSync, judge
from stationmaster.model.work_request import Status

PROBLEM = protocol.Problem(code="UpstreamUnavailable", message="away")
STARTED = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
Told = tuple[rotation.Station, protocol.SourceReport | None]


def told(number: int | None = None, *, shown: int = 1, is_led: bool = True, **facts: Any) -> Told:
    """A station that shows ``shown``, with the sync that it reports; under a lease unless told otherwise."""
    run = None
    if number is not None:
        given = {"is_running": False, "generation": "g1", "lease_token": 3, "time_started": STARTED, **facts}
        run = protocol.SyncReport(number=number, **given)
    switched = protocol.Visible(source_id="s", number=shown, generation="g1") if shown else None
    station = rotation.Station(id="x", fetchable=frozenset({"g1"}), shown=switched, is_led=is_led)
    return station, protocol.SourceReport(source_id="s", state=protocol.MirrorState.SYNCED, sync=run)


def sync(*stations: Told, visible: int = 1, staged: str | None = None, **facts: Any) -> SourceSync:
    shown = protocol.Visible(source_id="s", number=visible, generation="g1") if visible else None
    named = {f"Station{index}": one for index, one in enumerate(stations)}
    return SourceSync("app", 2, shown, staged, named, **facts)


@pytest.mark.parametrize(
    ("syncs", "status", "percentage"),
    [
        ([], Status.SUCCEEDED, 100),
        ([sync()], Status.ACCEPTED, 0),
        ([sync(told(), told())], Status.ACCEPTED, 0),
        ([sync(told(1), told(1))], Status.ACCEPTED, 0),
        ([sync(told(2, is_running=True, percentage=40), told())], Status.IN_PROGRESS, 20),
        ([sync(told(2), told())], Status.SUCCEEDED, 100),
        ([sync(told(3), told(1))], Status.SUCCEEDED, 100),
        ([sync(told(2), told(2, shown=0, is_running=True, lease_token=0, percentage=50))], Status.IN_PROGRESS, 75),
        ([sync(told(2, lease_token=0), told())], Status.IN_PROGRESS, 0),
        ([sync(told(2, lease_token=0, is_led=False), told())], Status.SUCCEEDED, 100),
        ([sync(told(2), told(), visible=0)], Status.IN_PROGRESS, 0),
        ([sync(told(2), told(), staged="g2")], Status.IN_PROGRESS, 0),
        ([sync(told(2), told(), staged="g1")], Status.SUCCEEDED, 100),
        ([sync(told(2, generation="g2"), told())], Status.IN_PROGRESS, 0),
        ([sync(told(2, generation="g2"), told(3))], Status.SUCCEEDED, 100),
        ([sync(told(2, generation="g2", lease_token=0, is_led=False), told())], Status.SUCCEEDED, 100),
        ([sync(told(2), told(), visible=2)], Status.IN_PROGRESS, 0),
        ([sync(told(2), told(shown=0))], Status.IN_PROGRESS, 50),
        ([sync(told(2, problem=PROBLEM), told())], Status.IN_PROGRESS, 0),
        ([sync(told(2, problem=PROBLEM), told(2, problem=PROBLEM))], Status.FAILED, 0),
        ([sync(told(2, problem=PROBLEM), told(2))], Status.SUCCEEDED, 100),
        ([sync(told(2), told(2, shown=0, problem=PROBLEM, lease_token=0))], Status.IN_PROGRESS, 50),
        ([sync(told(2), told(2, shown=0, problem=PROBLEM, lease_token=0, time_started=None))], Status.FAILED, 50),
        ([sync(told(2)), sync(told(2, problem=PROBLEM))], Status.FAILED, 50),
        ([sync(told(2)), sync(told(2, is_running=True))], Status.IN_PROGRESS, 50),
    ],
)
def test_status_and_percentage(syncs: list[SourceSync], status: Status, percentage: int) -> None:
    outcome = judge(syncs)
    assert (outcome.status, outcome.percentage) == (status, percentage)


def test_a_problem_names_station_and_source() -> None:
    problems = judge([sync(told(2, problem=PROBLEM), told(2, problem=PROBLEM))]).problems
    assert [one.message for one in problems] == [f"Station{index} could not sync app: away" for index in (0, 1)]
    assert {one.code for one in problems} == {"UpstreamUnavailable"}


def test_one_that_cannot_write_is_not_waited_for_to_fail() -> None:
    station, report = told()
    failed = judge([sync(told(2, problem=PROBLEM), (dataclasses.replace(station, is_writable=False), report))])
    assert failed.status is Status.FAILED


def test_nobody_in_rotation_is_said() -> None:
    assert judge([sync()]).lines == (NOBODY,)


def test_the_log_says_who_led_and_who_copied_from_whom() -> None:
    staging = sync(told(2, generation="g2"), told(), staged="g2", copies={"Station1": ("g2", "Station0")})
    assert judge([staging]).lines == (
        "Station0 leads the sync of app and found generation g2.",
        "Station1 copies generation g2 of app from Station0.",
    )
    assert judge([sync(told(2), told())]).lines[1:] == (
        "Station0 holds and shows app in generation g1.",
        "Station1 holds and shows app in generation g1.",
    )


def test_lines_do_not_change_while_a_sync_goes_on() -> None:
    first = judge([sync(told(2, is_running=True, percentage=10))]).lines
    later = judge([sync(told(2, is_running=True, percentage=90))]).lines
    assert first == later == ("Station0 leads the sync of app.",)
