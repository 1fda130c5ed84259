import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import diagnosis, protocol

MISSING = protocol.Problem(code="VolumeMissing", message="/mnt/mirror is not mounted.")
AWAY = protocol.Problem(code="UpstreamUnavailable", message="http://up/ answered 503.")


def volume(**changes: Any) -> protocol.VolumeReport:
    facts = {"volume_id": "v", "directory": "/mnt", "total_bytes": 100, "available_bytes": 50, "is_writable": True}
    return protocol.VolumeReport(**{**facts, **changes})


def station(name: str, **changes: Any) -> diagnosis.StationCondition:
    healthy = diagnosis.StationCondition(
        name=name, directory="/mnt/mirror", volume=volume(volume_id=f"volume of {name}")
    )
    return dataclasses.replace(healthy, **changes)


HEALTHY = diagnosis.GroupCondition(
    hostname="lb.example.com",
    stations=(station("A"), station("B")),
    sources=(diagnosis.SourceCondition("rpm", holders=("A", "B")),),
    balancer_addresses=("10.0.0.5",),
)


def found(group: diagnosis.GroupCondition) -> set[tuple[str, str]]:
    return {(one.severity.value, one.code) for one in diagnosis.diagnose(group)}


def with_b(**changes: Any) -> diagnosis.GroupCondition:
    return dataclasses.replace(HEALTHY, stations=(station("A"), station("B", **changes)))


def with_source(**changes: Any) -> diagnosis.GroupCondition:
    return dataclasses.replace(HEALTHY, sources=(dataclasses.replace(HEALTHY.sources[0], **changes),))


def test_a_healthy_group_has_no_findings() -> None:
    assert diagnosis.diagnose(HEALTHY) == ()


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (with_b(is_in_touch=False), {("ERROR", "Silent"), ("WARNING", "NoSpareStation")}),
        (
            with_b(readiness=protocol.Readiness.NO, reasons=(MISSING,), problems=(MISSING,)),
            {("ERROR", "VolumeMissing"), ("WARNING", "NoSpareStation")},
        ),
        (
            with_b(readiness=protocol.Readiness.LAST_RESORT),
            {("WARNING", "NotReady"), ("WARNING", "NoSpareStation")},
        ),
        (with_b(is_registered=False), {("WARNING", "NotRegistered"), ("WARNING", "NoSpareStation")}),
        (with_b(problems=(AWAY,)), {("WARNING", "UpstreamUnavailable")}),
        (with_b(is_draining=True), {("WARNING", "Draining")}),
        (with_b(is_applied=False), {("INFO", "NotApplied")}),
        (with_b(directory="/srv/mirror"), {("INFO", "DirectoriesDiffer")}),
        (with_b(volume=volume(volume_id="volume of A")), {("WARNING", "VolumeShared")}),
        (with_b(volume=volume(is_on_root_file_system=True)), {("WARNING", "VolumeOnRoot")}),
        (with_b(volume=volume(is_writable=False)), {("WARNING", "VolumeNotWritable")}),
        (with_b(volume=volume(available_bytes=9)), {("WARNING", "VolumeNearlyFull")}),
        (with_b(volume=volume(problem=MISSING)), {("ERROR", "VolumeMissing")}),
        (dataclasses.replace(HEALTHY, balancer_addresses=()), {("INFO", "BalancersUnstated")}),
        (with_source(is_visible=False), {("ERROR", "NeverVisible")}),
        (with_source(holders=()), {("CRITICAL", "NoHolder")}),
        (with_source(failures=(("B", AWAY),)), {("ERROR", "UpstreamUnavailable")}),
        (with_source(excluded=("B",)), {("WARNING", "Lagging")}),
        (
            dataclasses.replace(HEALTHY, stations=(station("A", is_in_touch=False),)),
            {("CRITICAL", "NoStationReady"), ("ERROR", "Silent")},
        ),
    ],
)
def test_each_trouble_is_found_once(group: diagnosis.GroupCondition, expected: set[tuple[str, str]]) -> None:
    assert found(group) == expected


@given(
    st.lists(
        st.builds(
            station,
            st.sampled_from("ABC"),
            is_registered=st.booleans(),
            is_in_touch=st.booleans(),
            is_draining=st.booleans(),
            readiness=st.sampled_from([None, *protocol.Readiness]),
            reasons=st.sampled_from([(), (MISSING,)]),
            volume=st.none() | st.builds(volume, is_writable=st.booleans(), available_bytes=st.integers(0, 100)),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_worst_comes_first_and_no_outage_is_passed_over(stations: list[diagnosis.StationCondition]) -> None:
    group = dataclasses.replace(HEALTHY, stations=tuple(stations))
    findings = diagnosis.diagnose(group)
    ranks = [list(diagnosis.Severity).index(one.severity) for one in findings]
    assert ranks == sorted(ranks)
    assert all(one.message and one.hint for one in findings)
    registered = [one for one in stations if one.is_registered]
    if registered and not any(one.is_ready for one in registered):
        assert findings[0].code == "NoStationReady"
    if any(not one.is_ready for one in stations):
        assert any(one.severity.is_trouble for one in findings)
