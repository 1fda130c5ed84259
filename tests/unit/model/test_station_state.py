from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import protocol, station_state

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
LIVENESS = datetime.timedelta(seconds=10)
S = protocol.MirrorState
PROBLEM = protocol.Problem(code="X", message="It broke.")


def held(generation: Any = "g1", **changes: Any) -> Any:
    values = {"generation": generation, "is_fetchable": True, "package_count": 5, "size_bytes": 100, **changes}
    return protocol.HeldGeneration(**values)


def shown(generation: Any = "g1", source: Any = "a") -> Any:
    return protocol.Visible(source_id=source, number=1, generation=generation)


def sync(**changes: Any) -> Any:
    return protocol.SyncReport(**{"number": 1, "is_running": False, "percentage": 40, **changes})


def source(name: Any = "a", **changes: Any) -> Any:
    return protocol.SourceReport(**{"source_id": name, "state": S.UNSYNCED, **changes})


def heartbeat(*sources: Any, **changes: Any) -> Any:
    values = {
        "time_sent": NOW,
        "daemon_version": "1",
        "addresses": [],
        "volume": protocol.VolumeReport(volume_id="v", directory="/m", total_bytes=200, available_bytes=50),
        "readiness": protocol.Readiness.READY,
        "reasons": [],
        "sources": list(sources),
        **changes,
    }
    return protocol.StationHeartbeat(**values)


def facts(report: Any = None, *, source_ids: Any = ("a",), visible: Any = "g1", **changes: Any) -> Any:
    values = {
        "is_registered": True,
        "source_ids": source_ids,
        "visible": {"a": shown(visible)} if visible else {},
        "times_visible": {"a": NOW - LIVENESS} if visible else {},
        "queued": (),
        "report": report,
        "time_received": NOW if report else None,
        **changes,
    }
    return station_state.Facts(**values)


def state(*arguments: Any, now: Any = NOW, **changes: Any) -> Any:
    return station_state.compute_state(facts(*arguments, **changes), now, LIVENESS)


GOOD = source(held=[held()], shown=shown())


@pytest.mark.parametrize(
    ("report", "queued", "visible", "expected"),
    [
        (GOOD, (), "g1", S.SYNCED),
        (source(), (), "g1", S.UNSYNCED),
        (GOOD, (), None, S.UNSYNCED),
        (GOOD, (), "g2", S.UNSYNCED),
        (source(held=[held()], shown=None), (), "g1", S.UNSYNCED),
        (source(held=[], shown=shown()), (), "g1", S.UNSYNCED),
        (source(held=[held()], shown=shown("g0")), (), "g1", S.UNSYNCED),
        (GOOD, ("a",), "g1", S.QUEUED),
        (source(held=[held()], shown=shown(), sync=sync(is_running=True)), ("a",), "g1", S.SYNCING),
        (source(held=[held()], shown=shown(), sync=sync(problem=PROBLEM)), (), "g1", S.FAILED),
        (source(held=[held()], shown=shown(), sync=sync(problem=PROBLEM)), ("a",), "g1", S.QUEUED),
    ],
)
def test_the_state_of_a_mirror(report: Any, queued: Any, visible: Any, expected: Any) -> None:
    (mirror,) = state(heartbeat(report), queued=queued, visible=visible).mirrors
    assert mirror.state is expected


def test_i7_who_filled_the_volume_does_not_matter() -> None:
    """Two stations on one volume: the one that never synced shows the same state as the one that did."""
    led = source(held=[held()], shown=shown(), sync=sync(time_finished=NOW))
    for report in (led, GOOD):
        (mirror,) = state(heartbeat(report)).mirrors
        assert (mirror.state, mirror.percentage, mirror.package_count, mirror.size_bytes) == (S.SYNCED, 100, 5, 100)
        assert mirror.time_last_synced is not None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"report": heartbeat(GOOD)}, ("NORMAL", "HEALTHY")),
        ({"report": heartbeat(GOOD), "is_registered": False}, ("UNAVAILABLE", "UNAVAILABLE")),
        ({"is_registered": False, "is_registration_failed": True}, ("REGISTRATIONERROR", "UNAVAILABLE")),
        ({"report": None}, ("ERROR", "UNHEALTHY")),
        ({"report": heartbeat(GOOD), "now": NOW + LIVENESS * 2}, ("ERROR", "UNHEALTHY")),
        ({"report": heartbeat(GOOD, readiness=protocol.Readiness.NO)}, ("ERROR", "UNHEALTHY")),
        ({"report": heartbeat(GOOD), "queued": ("a",)}, ("SYNCING", "HEALTHY")),
        ({"report": heartbeat(source(sync=sync(is_running=True)))}, ("SYNCING", "HEALTHY")),
        ({"report": heartbeat(source(sync=sync(problem=PROBLEM)))}, ("SYNCFAILED", "HEALTHY")),
        ({"report": heartbeat(source())}, ("WARNING", "HEALTHY")),
        ({"report": heartbeat(GOOD, readiness=protocol.Readiness.LAST_RESORT)}, ("WARNING", "HEALTHY")),
        ({"report": heartbeat(GOOD, problems=[PROBLEM])}, ("WARNING", "HEALTHY")),
        ({"report": heartbeat(), "source_ids": ()}, ("NORMAL", "HEALTHY")),
    ],
)
def test_the_state_of_a_station(changes: Any, expected: Any) -> None:
    found = state(**changes)
    assert (found.overall_state, found.health_state) == expected


def test_health_says_why() -> None:
    assert "Register" not in state(heartbeat(GOOD)).health_description
    assert "It broke." in state(heartbeat(GOOD, readiness=protocol.Readiness.NO, reasons=[PROBLEM])).health_description
    assert "20 s" in state(heartbeat(GOOD), now=NOW + LIVENESS * 2).health_description


def test_a_failed_mirror_tells_its_reason_and_keeps_its_numbers() -> None:
    failed = source(held=[held()], shown=shown(), sync=sync(problem=PROBLEM, log="line", time_finished=NOW))
    (mirror,) = state(heartbeat(failed)).mirrors
    assert (mirror.log, mirror.package_count) == ("line\nIt broke.", 5)


def test_capacity_is_the_percentage_of_the_volume_in_use() -> None:
    found = state(heartbeat(GOOD))
    assert (found.capacity, found.storage_bytes, found.available_bytes) == (75, 200, 50)
    assert state().capacity == 0


REPORTS = st.builds(
    source,
    st.sampled_from(["a", "b"]),
    held=st.lists(st.builds(held, st.sampled_from(["g1", "g2"])), max_size=2),
    shown=st.one_of(st.none(), st.builds(shown, st.sampled_from(["g1", "g2"]))),
    sync=st.one_of(
        st.none(),
        st.builds(
            sync,
            is_running=st.booleans(),
            percentage=st.integers(-5, 200),
            problem=st.sampled_from([None, PROBLEM]),
        ),
    ),
)


@given(st.lists(REPORTS, max_size=3), st.lists(st.sampled_from(["a", "b", "c"]), unique=True), st.booleans())
def test_counters_add_up_and_percentages_are_percentages(reports: Any, source_ids: Any, is_registered: Any) -> None:
    found = state(heartbeat(*reports), source_ids=source_ids, is_registered=is_registered)
    assert sum(found.count(one) for one in S) == len(source_ids)
    for mirror in found.mirrors:
        assert 0 <= mirror.percentage <= 100
        assert (mirror.percentage == 100) is (mirror.state is S.SYNCED)
    assert 0 <= found.overall_percentage <= 100


def test_a_failure_is_over_when_another_station_answered_the_request() -> None:
    failed = sync(number=3, problem=PROBLEM, time_finished=NOW, lease_token=4)
    report = heartbeat(source(held=[held()], shown=shown(), sync=failed))
    later = NOW + LIVENESS

    def mirror(*leads: station_state.Lead) -> station_state.Mirror:
        return station_state.compute_mirror(facts(report, leads={"a": leads}), "a")

    assert mirror().state is S.FAILED
    assert mirror(station_state.Lead("StationB", 2, "g1", later)).state is S.FAILED
    made_up = mirror(station_state.Lead("StationB", 3, "g1", later))
    assert (made_up.state, made_up.time_last_synced) == (S.SYNCED, later)
    assert "StationB brought generation g1" in made_up.log
