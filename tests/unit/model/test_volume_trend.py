"""Days until a volume is full, from samples; and what is missing of a generation."""

from __future__ import annotations

import datetime

import pytest

from stationmaster.model import peer_view, protocol, volume_trend
from stationmaster.model.volume_trend import Outlook, Sample, Trend

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
GIB = 1 << 30


def samples(*free: float, hours: float = 6.0, total: int = 100 * GIB) -> list[Sample]:
    """Ending now, ``hours`` apart."""
    count = len(free)
    return [
        Sample(NOW - datetime.timedelta(hours=hours * (count - 1 - index)), int(one * GIB), total)
        for index, one in enumerate(free)
    ]


@pytest.mark.parametrize(
    ("found", "trend", "days"),
    [
        ([], Trend.UNKNOWN, None),
        (samples(50, 40, 30), Trend.UNKNOWN, None),
        (samples(50, 45, 40, 35, 30, 25, hours=1), Trend.UNKNOWN, None),
        (samples(50, 45, 40, 35, 30, 25), Trend.FILLING, 1.25),
        (samples(50, 45, 40, 35, 30, 0), Trend.FILLING, 0.0),
        (samples(50, 50, 50, 50, 50, 50), Trend.STEADY, None),
        (samples(20, 25, 30, 35, 40, 45), Trend.STEADY, None),
        (samples(*(50 - 0.001 * one for one in range(10))), Trend.STEADY, None),
    ],
)
def test_outlook(found: list[Sample], trend: Trend, days: float | None) -> None:
    said = volume_trend.outlook(found[::-1], NOW)
    assert said.trend is trend
    assert said.days == (None if days is None else pytest.approx(days))


def test_an_enlarged_volume_begins_anew() -> None:
    before = samples(50, 40, 30, 20, 10, 5)
    after = [Sample(NOW, 105 * GIB, 200 * GIB)]
    assert volume_trend.outlook(before[:-1] + after, NOW) == Outlook(Trend.UNKNOWN)


def report(*held: str, percentage: int | None = None) -> protocol.SourceReport:
    sync = protocol.SyncReport(number=1, is_running=True, percentage=percentage) if percentage is not None else None
    return protocol.SourceReport(
        source_id="s",
        state=protocol.MirrorState.SYNCED,
        held=[protocol.HeldGeneration(generation=g, is_fetchable=True, package_count=1, size_bytes=1000) for g in held],
        sync=sync,
    )


def test_missing_bytes() -> None:
    size = peer_view.size_of("g2", [report("g1"), report("g2")])
    assert size == 1000
    assert peer_view.missing_bytes("g2", size, report("g2")) == 0
    assert peer_view.missing_bytes("g2", size, report("g1")) == 1000
    assert peer_view.missing_bytes("g2", size, report("g1", percentage=40)) == 600
    assert peer_view.missing_bytes("g2", size, None) == 1000
    assert peer_view.missing_bytes(None, None, None) == 0
    assert peer_view.missing_bytes("g3", peer_view.size_of("g3", [report("g1")]), report("g1")) is None


def test_sharers() -> None:
    volumes = {"a": "v", "b": "v", "c": "w", "d": None, "e": None}
    assert peer_view.sharers("a", volumes) == ["b"]
    assert peer_view.sharers("c", volumes) == []
    assert peer_view.sharers("d", volumes) == []
