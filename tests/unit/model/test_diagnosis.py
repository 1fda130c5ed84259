import dataclasses
import datetime
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import conditions, diagnosis, impacts, protocol

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
PORTS = (("proxy.port", 16080), ("mirror.port", 17080))
MISSING = protocol.Problem(code="VolumeMissing", message="/mnt/mirror is not mounted.")
AWAY = protocol.Problem(code="UpstreamUnavailable", message="http://up/ answered 503.")


def volume(**changes: Any) -> protocol.VolumeReport:
    facts = {"volume_id": "v", "directory": "/mnt", "total_bytes": 100, "available_bytes": 50, "is_writable": True}
    return protocol.VolumeReport(**{**facts, **changes})


def certificate(days: float = 60, *names: str, is_operators: bool = False) -> protocol.CertificateReport:
    ends = NOW + datetime.timedelta(days=days)
    found = list(names) or ["LB.example.com", "10.0.0.1"]
    return protocol.CertificateReport(not_after=ends, names=found, is_operators=is_operators)


def station(name: str, **changes: Any) -> conditions.StationCondition:
    healthy = conditions.StationCondition(
        name=name,
        directory="/mnt/mirror",
        volume=volume(volume_id=f"volume of {name}"),
        ports=PORTS,
        address="10.0.0.1",
        is_answering=True,
        certificate=certificate(),
    )
    return dataclasses.replace(healthy, **changes)


HEALTHY = conditions.GroupCondition(
    hostname="lb.example.com",
    stations=(station("A"), station("B")),
    sources=(conditions.SourceCondition("rpm", holders=("A", "B")),),
    balancer_addresses=("10.0.0.5",),
    balancers=(conditions.BalancerCondition("lb1", 20.0),),
    hub=conditions.HubCondition(ca_ends=NOW + datetime.timedelta(days=1000)),
    now=NOW,
)


def found(group: conditions.GroupCondition) -> set[tuple[str, str]]:
    return {(one.severity.value, one.code) for one in diagnosis.diagnose(group)}


def with_b(**changes: Any) -> conditions.GroupCondition:
    return dataclasses.replace(HEALTHY, stations=(station("A"), station("B", **changes)))


def with_source(**changes: Any) -> conditions.GroupCondition:
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
        (with_b(volume=volume(volume_id="volume of A")), {("WARNING", "VolumeUnproved")}),
        (
            with_b(
                volume=volume(volume_id="volume of A"),
                readiness=protocol.Readiness.NO,
                reasons=(protocol.Problem(code="VolumeCopied", message="A copy."),),
            ),
            {("ERROR", "VolumeCopied"), ("WARNING", "NoSpareStation")},
        ),
        (with_b(ports=(("proxy.port", 16080), ("mirror.port", 1))), {("ERROR", "PortsDiffer")}),
        (with_b(is_answering=False), {("WARNING", "AddressSilent")}),
        (with_b(is_answering=None), set()),
        (with_b(clock_ahead_seconds=-40), {("WARNING", "ClockSkew")}),
        (with_b(clock_ahead_seconds=7200), {("ERROR", "ClockSkew")}),
        (with_b(clock_ahead_seconds=3), set()),
        (with_b(certificate=certificate(10)), {("WARNING", "CertificateNearEnd")}),
        (with_b(certificate=certificate(1, is_operators=True)), {("ERROR", "CertificateNearEnd")}),
        (with_b(certificate=certificate(60, "other.example.com")), {("ERROR", "CertificateNamesOther")}),
        (with_b(certificate=certificate(60, "*.example.com")), set()),
        (with_b(certificate=None), set()),
        (with_source(behind=(("B", 30.0),)), set()),
        (with_source(behind=(("B", 300.0),)), {("INFO", "CatchingUp")}),
        (with_source(behind=(("B", 300.0),), excluded=("B",)), {("WARNING", "Lagging")}),
        (
            dataclasses.replace(HEALTHY, balancers=(conditions.BalancerCondition("lb1", 600.0),)),
            {("WARNING", "BalancerSilent")},
        ),
        (
            dataclasses.replace(HEALTHY, hub=conditions.HubCondition(is_settled=False)),
            {("INFO", "HubListening")},
        ),
        (
            dataclasses.replace(HEALTHY, hub=conditions.HubCondition(ca_ends=NOW + datetime.timedelta(days=30))),
            {("ERROR", "CaNearEnd")},
        ),
        (dataclasses.replace(HEALTHY, stations=(station("A"),)), {("WARNING", "SingleStation")}),
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
def test_each_trouble_is_found_once(group: conditions.GroupCondition, expected: set[tuple[str, str]]) -> None:
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
def test_the_worst_comes_first_and_no_outage_is_passed_over(stations: list[conditions.StationCondition]) -> None:
    group = dataclasses.replace(HEALTHY, stations=tuple(stations))
    findings = diagnosis.diagnose(group)
    ranks = [list(conditions.Severity).index(one.severity) for one in findings]
    assert ranks == sorted(ranks)
    assert all(one.message and one.hint and one.impact for one in findings)
    registered = [one for one in stations if one.is_registered]
    if registered and not any(one.is_ready for one in registered):
        assert findings[0].code == "NoStationReady"
    if any(not one.is_ready for one in stations):
        assert any(one.severity.is_trouble for one in findings)


def test_proved_sharing_is_no_trouble() -> None:
    same = volume(volume_id="one")
    stations = tuple(station(name, volume=same, shares="one@A") for name in "AB")
    assert found(dataclasses.replace(HEALTHY, stations=stations)) == {("INFO", "VolumeShared")}


def test_each_finding_of_ours_says_why_it_matters() -> None:
    source = Path(diagnosis.__file__).parent
    texts = [(source / name).read_text() for name in ("group_findings.py", "station_findings.py", "client_findings.py")]
    texts.append((source.parent / "station" / "readiness.py").read_text())
    codes = {
        code for text in texts for code in re.findall(r'(?:Severity\.\w+|severity|Readiness\.\w+|kind), "(\w+)"', text)
    }
    assert len(codes) > 25
    assert codes <= set(impacts.IMPACTS)


def test_one_cause_on_all_stations_is_one_finding() -> None:
    told = protocol.Problem(code=AWAY.code, message=f"rpm: {AWAY.message}")
    stations = tuple(station(name, problems=(told,)) for name in "AB")
    source = dataclasses.replace(HEALTHY.sources[0], failures=(("B", AWAY), ("A", AWAY)))
    ((one),) = diagnosis.diagnose(dataclasses.replace(HEALTHY, stations=stations, sources=(source,)))
    assert one.message == "The last sync on A and B failed: http://up/ answered 503."


def test_a_drain_is_ended_by_its_own_command() -> None:
    reason = protocol.Problem(code="Draining", message="An operator is draining this station.")
    drained = with_b(is_draining=True, readiness=protocol.Readiness.LAST_RESORT, reasons=(reason,))
    (hint,) = [one.hint for one in diagnosis.diagnose(drained) if one.code == "Draining"]
    assert "station undrain" in hint
