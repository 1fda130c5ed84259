import dataclasses

import pytest

from stationmaster.model import protocol, rotation
from stationmaster.model.sync_progress import NOBODY, SourceSync, judge
from stationmaster.model.work_request import Status

PROBLEM = protocol.Problem(code="UpstreamUnavailable", message="away")


def report(number: int, **facts: object) -> protocol.SourceReport:
    run = protocol.SyncReport(**{"number": number, "is_running": False, "generation": "g1", **facts})  # type: ignore[arg-type]
    return protocol.SourceReport(source_id="s", state=protocol.MirrorState.SYNCED, sync=run)


def sync(
    *reports: protocol.SourceReport | None,
    visible: str | None = "g1",
    newer: frozenset[str] = frozenset(),
    shown_number: int = 2,
) -> SourceSync:
    shown = protocol.Visible(source_id="s", number=2, generation=visible) if visible else None
    switched = protocol.Visible(source_id="s", number=shown_number, generation="g1") if shown_number else None
    station = rotation.Station(id="x", fetchable=frozenset({"g1"}), shown=switched)
    told = {f"Station{index}": (station, one) for index, one in enumerate(reports)}
    return SourceSync("app", 2, shown, newer, told)


@pytest.mark.parametrize(
    ("syncs", "status", "percentage"),
    [
        ([], Status.SUCCEEDED, 100),
        ([sync()], Status.ACCEPTED, 0),
        ([sync(None, None)], Status.ACCEPTED, 0),
        ([sync(report(1), report(1))], Status.ACCEPTED, 0),
        ([sync(report(2, is_running=True, percentage=40), report(1))], Status.IN_PROGRESS, 20),
        ([sync(report(2), report(1))], Status.IN_PROGRESS, 50),
        ([sync(report(2), report(3))], Status.SUCCEEDED, 100),
        ([sync(report(2), visible=None)], Status.IN_PROGRESS, 99),
        ([sync(report(2), visible="g0")], Status.IN_PROGRESS, 99),
        ([sync(report(2), shown_number=1)], Status.IN_PROGRESS, 99),
        ([sync(report(2), shown_number=0)], Status.IN_PROGRESS, 99),
        ([sync(report(2, generation="g2"), newer=frozenset({"g2"}))], Status.IN_PROGRESS, 99),
        ([sync(report(2, problem=PROBLEM), report(1))], Status.IN_PROGRESS, 50),
        ([sync(report(2, problem=PROBLEM), report(2))], Status.FAILED, 100),
        ([sync(report(2, problem=PROBLEM), report(2), visible="g0")], Status.FAILED, 100),
        ([sync(report(2)), sync(report(2, problem=PROBLEM))], Status.FAILED, 100),
        ([sync(report(2)), sync(report(2, is_running=True))], Status.IN_PROGRESS, 50),
    ],
)
def test_status_and_percentage(syncs: list[SourceSync], status: Status, percentage: int) -> None:
    outcome = judge(syncs)
    assert (outcome.status, outcome.percentage) == (status, percentage)


def test_a_problem_names_station_and_source() -> None:
    (problem,) = judge([sync(report(2), report(2, problem=PROBLEM))]).problems
    assert problem == protocol.Problem(code="UpstreamUnavailable", message="Station1 could not sync app: away")


def test_nobody_in_rotation_is_said() -> None:
    assert judge([sync()]).lines == (NOBODY,)


def test_lines_do_not_change_while_a_sync_goes_on() -> None:
    first = judge([sync(report(2, is_running=True, percentage=10))]).lines
    later = judge([dataclasses.replace(sync(report(2, is_running=True, percentage=90)))]).lines
    assert first == later == ("Station0 syncs app.",)
