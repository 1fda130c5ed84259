"""A group in words: the first lines at 3 a.m., rows, and what a watcher is told."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from stationmaster.cli import ha_text, ha_watch, output
from stationmaster.model import errors

NEW, OLD = "b" * 32, "a" * 32


def member(name: str = "A", **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "id": f"id-{name}",
        "displayName": name,
        "isRegistered": True,
        "timeLastHeartbeat": "2026-01-01T00:00:00Z",
        "timeHealthChanged": None,
        "isInTouch": True,
        "isInRotation": True,
        "readiness": "READY",
        "isDraining": False,
        "reasons": [],
        "problems": [],
        "volume": {"volumeId": f"volume-{name}", "availableBytes": 5 << 30, "isWritable": True, "problem": None},
        "sharedWith": [],
        "outlook": {"trend": "UNKNOWN", "days": None},
        "missingBytes": 0,
    }
    return {**base, **changes}


def on_station(name: str, *held: str, missing: int | None = 0, **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "stationId": f"id-{name}",
        "held": [{"generation": one} for one in held],
        "shown": {"number": 7, "generation": OLD},
        "missingBytes": missing,
        "sync": None,
    }
    return {**base, **changes}


def source(name: str = "app", **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "id": f"id-{name}",
        "displayName": name,
        "repoId": f"repo-{name}",
        "visible": {"number": 7, "generation": OLD},
        "candidate": None,
        "timeVisible": None,
        "leader": {"stationId": "id-A", "token": 3},
        "decision": "",
        "stations": [on_station("A", OLD), on_station("B", missing=2 << 20)],
        "needs": [{"kind": "profile", "displayName": "web", "id": "p", "stationId": "id-B"}],
    }
    return {**base, **changes}


def group(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "hostname": "lb.example.com",
        "compartmentId": "c",
        "stations": [member("B"), member("A")],
        "sources": [source()],
        "findings": [],
    }
    return {**base, **changes}


def finding(severity: str = "ERROR", subject: str = "B", message: str = "It is silent.") -> dict[str, str]:
    return {
        "severity": severity,
        "subject": subject,
        "message": message,
        "hint": "Check the host.",
        "code": "X",
        "impact": "y",
    }


def test_all_is_well() -> None:
    assert ha_text.head_lines(group(findings=[finding("INFO")])) == [
        "lb.example.com: 2 of 2 stations ready; 1 of 1 sources served.",
        "WORKS   Clients are served by A and B: 1 of 1 sources.",
    ]


def test_what_is_broken_what_works_and_what_to_do() -> None:
    stations = [member("A"), member("B", isInTouch=False)]
    lines = ha_text.head_lines(group(stations=stations, findings=[finding()] * 6))
    assert lines[0] == "lb.example.com: 1 of 2 stations ready; 1 of 1 sources served."
    assert lines[1] == "BROKEN  B: It is silent."
    assert lines[5] == "        and 2 more: stationmaster ha doctor --hostname lb.example.com"
    assert lines[6] == "WORKS   Clients are served by A: 1 of 1 sources."
    assert lines[7:] == ["TO DO   B: Check the host."]


@pytest.mark.parametrize(
    ("stations", "words"),
    [
        ([member("A", readiness="LAST_RESORT"), member("B", readiness="NO")], "One of last resort serves clients: A"),
        ([member("A", isInTouch=False)], "Nothing that the hub hears of."),
    ],
)
def test_what_works_without_a_ready_station(stations: list[Any], words: str) -> None:
    assert words in ha_text.what_works(group(stations=stations))


def test_status_does_not_repeat_what_a_silent_station_said_last() -> None:
    assert ha_text.describe_readiness(member()) == "ready"
    assert ha_text.describe_readiness(member(readiness="LAST_RESORT", isDraining=True)) == "last-resort, draining"
    assert ha_text.describe_readiness(member(isInTouch=False)) == "silent"
    assert ha_text.describe_readiness(member(timeLastHeartbeat=None)) == "never heard"
    assert ha_text.describe_readiness(member(isRegistered=False)) == "not registered"
    waiting = group(stations=[member(), member("B", isInTouch=False)], sources=[source(), source("b", visible=None)])
    assert ha_text.summarize(waiting) == "1 of 2 stations ready; 1 of 2 sources served."


def test_reasons_are_said_once() -> None:
    same = {"code": "X", "message": "nginx is dead."}
    assert ha_text.describe_reasons(member(reasons=[same], problems=[same])) == "nginx is dead."


def test_rows() -> None:
    shared = member("A", sharedWith=["id-B"], outlook={"trend": "FILLING", "days": 12.3}, missingBytes=None)
    first, second = ha_text.station_rows(group(stations=[shared, member("B")]))
    by_heading = dict(zip(ha_text.STATION_HEADINGS, first, strict=True))
    assert by_heading["volume"] == "volume-A, shared with B"
    assert by_heading["missing"] == "not known yet"
    assert by_heading["free"] == "5.0 GiB, full in 12 days"
    assert dict(zip(ha_text.STATION_HEADINGS, second, strict=True))["free"] == "5.0 GiB"
    held = [on_station("A", OLD, NEW), on_station("B", OLD, missing=2 << 20)]
    staged = source(candidate={"number": 8, "generation": NEW}, stations=held)
    row = dict(zip(ha_text.SOURCE_HEADINGS, ha_text.source_rows(group(sources=[staged]))[0], strict=True))
    assert row["visible"] == "#7 aaaaaaaaaaaa, next bbbbbbbbbbbb"
    assert row["leader"] == "A (lease 3)"
    assert row["held by"] == "all 2"
    only = source(stations=[on_station("A", OLD), on_station("B", missing=1)])
    (row_of_one,) = ha_text.source_rows(group(sources=[only]))
    assert dict(zip(ha_text.SOURCE_HEADINGS, row_of_one, strict=True))["held by"] == "A"
    assert row["missing"] == "B 2.0 MiB"
    (_, detail) = ha_text.detail_rows(group(), source())
    assert detail[:5] == ["B", "#7 aaaaaaaaaaaa", "-", "2.0 MiB", "idle"]
    assert ha_text.reason_rows(group(), [source()]) == [["app", "profile", "web", "B"]]


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        (None, "-"),
        ({"volumeId": "abcdefghijk", "isWritable": False, "problem": None}, "abcdefgh, not writable"),
        ({"volumeId": "abcdefghijk", "isWritable": False, "problem": {"code": "X"}}, "abcdefgh, unusable"),
    ],
)
def test_volumes(volume: Any, words: str) -> None:
    assert ha_text.describe_volume(member(volume=volume), {}) == words


@pytest.mark.parametrize(
    ("trend", "days", "words"),
    [("STEADY", None, "over a year"), ("FILLING", 0.4, "less than a day"), ("UNKNOWN", None, "not known yet")],
)
def test_outlooks(trend: str, days: float | None, words: str) -> None:
    assert ha_text.describe_outlook({"trend": trend, "days": days}) == words


class Ticking:
    """A clock whose sleep ends the watch when the story is over, as Ctrl-C does."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def now(self) -> datetime.datetime:
        return datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        assert seconds == 2.0
        self.looks -= 1
        if not self.looks:
            raise KeyboardInterrupt


def story(*looks: Any) -> Callable[[], Sequence[Any]]:
    waiting = list(looks)

    def fetch() -> Sequence[Any]:
        found = waiting.pop(0)
        if isinstance(found, Exception):
            raise found
        return [found]

    return fetch


def told(capsys: pytest.CaptureFixture[str], *looks: Any, as_json: bool = False) -> list[str]:
    ha_watch.watch(story(*looks), lambda _: None, Ticking(len(looks)), as_json=as_json)
    return capsys.readouterr().out.splitlines()


def test_a_watcher_is_told_of_changes_alone(capsys: pytest.CaptureFixture[str]) -> None:
    later = group(stations=[member("A", timeLastHeartbeat="2026-01-01T00:00:02Z"), member("B", readiness="NO")])
    lines = told(capsys, group(), group(), later, errors.PeerError("No answer."), errors.PeerError("No answer."), later)
    assert [line.removeprefix("2026-01-01T00:00:00Z ") for line in lines] == [
        "source app: #7 aaaaaaaaaaaa, led by A (lease 3), held by A",
        "station A: ready, in rotation",
        "station B: ready, in rotation",
        "station B: no, in rotation",
        "hub: does not answer: No answer.",
        "hub: answers",
    ]


def test_a_watching_program_gets_a_document_per_change(capsys: pytest.CaptureFixture[str]) -> None:
    beaten = group(stations=[member("B", timeLastHeartbeat="2026-01-01T00:00:02Z"), member("A")])
    lines = told(capsys, group(), beaten, group(hostname="other"), errors.PeerError("x"), as_json=True)
    assert len(lines) == 3
    assert lines[2] == '{"error":"x"}'


def test_an_unknown_group_ends_the_watch() -> None:
    with pytest.raises(errors.NotFoundError):
        ha_watch.watch(story(errors.NotFoundError("none")), lambda _: None, Ticking(1), as_json=False)


def test_sentences_come_below_the_tables_each_once() -> None:
    told = [{"code": "X", "message": "The upstream is away."}]
    stations = [
        member("A", readiness="LAST_RESORT", isInRotation=False, problems=told, reasons=told),
        member("B", problems=told),
        member("C", isInTouch=False, isInRotation=False, problems=[{"code": "Y", "message": "Old news."}]),
    ]
    found = group(stations=stations, sources=[source(decision="All hold it.", stations=[on_station("A", OLD)])])
    assert ha_text.reason_lines(found) == ["A and B: The upstream is away."]
    assert [row[1] for row in ha_text.station_rows(found)] == ["last-resort, out of rotation", "ready", "silent"]
    assert ha_text.decision_lines(found) == []
    lacking = {**found, "sources": [source(decision="B copies it.")]}
    assert ha_text.decision_lines(lacking) == ["app: B copies it."]


def test_tables_of_usual_names_fit_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
    names = {"timeHealthChanged": now, "timeLastHeartbeat": now}
    stations = [member("StationA", **names), member("StationB", **names)]
    held = [on_station("StationA", OLD), on_station("StationB", OLD)]
    leads = {"stationId": "id-StationA", "token": 3}
    shown = group(stations=stations, sources=[source("app-updates", stations=held, leader=leads, timeVisible=now)])
    output.print_table(ha_text.STATION_HEADINGS, ha_text.station_rows(shown, output.time_format()))
    output.print_table(ha_text.SOURCE_HEADINGS, ha_text.source_rows(shown, output.time_format()))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len(lines) == 2 + 2 + 2 + 1, "nothing is folded"
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= 80
