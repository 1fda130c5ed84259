"""What Prometheus is told by a station."""

from __future__ import annotations

import datetime
import re

import pytest
from prometheus_client import parser

from stationmaster.model import protocol
from stationmaster.station import board as boards
from stationmaster.station import health, metrics, readiness
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import manual_clock
from stationmaster.testing import stations as make

BEGUN = datetime.datetime(2026, 1, 1, 11, tzinfo=datetime.UTC)


def scrape(snapshot: snapshots.Snapshot, tally: metrics.Tally | None = None) -> dict[tuple[str, ...], float]:
    """Samples by name and label values."""
    verdict = readiness.judge(snapshot, make.NOW_AT, make.NOW)
    origins = (tally or metrics.Tally()).read()
    text = metrics.render(metrics.Moment(snapshot, verdict, origins, make.NOW_AT, make.NOW)).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


P = "stationmaster_station_"


def test_a_station_in_good_health() -> None:
    found = scrape(make.snapshot())
    assert found[P + "readiness", "ready"] == 1
    assert found[P + "readiness", "no"] == 0
    assert found[P + "source_visible_number", "a"] == 1
    assert found[P + "source_held", "a"] == 1
    assert found[P + "engine_up", "squid"] == 1
    assert found[P + "volume_usable",] == 1
    assert found[P + "hub_confirmation_age_seconds",] == 1
    days = (found[P + "certificate_expiry_timestamp_seconds",] - make.NOW.timestamp()) / 86400
    assert days == pytest.approx(30)
    assert found["process_resident_memory_bytes",] > 0


def test_a_station_that_knows_nothing_yet() -> None:
    found = scrape(snapshots.Snapshot("station", "v", "10.0.0.2"))
    assert found[P + "readiness", "no"] == 1
    assert found[P + "unready_reason", "NoDesiredState"] == 1
    assert not any(name[0].startswith(P + "volume") for name in found)


def test_trouble_shows() -> None:
    problem = protocol.Problem(code="VolumeReadOnly", message="words")
    found = scrape(
        make.snapshot(
            squid=make.engine(is_answering=False),
            volume=make.volume({make.A: ()}, is_writable=False, write_problem=problem, seen_at=make.NOW_AT - 100),
        )
    )
    assert found[P + "engine_up", "squid"] == 0
    assert found[P + "unready_reason", "SquidSilent"] == 1
    assert found[P + "volume_writable",] == 0
    assert found[P + "volume_look_age_seconds",] == 100
    assert found[P + "source_held", "a"] == 0


def ended(minute: int, *, token: int, problem: protocol.Problem | None = None) -> snapshots.Snapshot:
    report = protocol.SyncReport(
        number=1,
        is_running=False,
        bytes_downloaded=1000,
        time_started=BEGUN,
        time_finished=BEGUN + datetime.timedelta(minutes=minute),
        lease_token=token,
        problem=problem,
    )
    return make.snapshot(syncs=snapshots.frozen_map({make.A: snapshots.SyncView(report=report)}))


def test_syncs_are_counted_once_each_and_by_where_the_bytes_came_from() -> None:
    tally = metrics.Tally()
    tally.look(ended(1, token=3))  # remembered by a former daemon
    for one in (ended(2, token=4), ended(2, token=4), ended(4, token=0)):
        tally.look(one)
    failed = ended(5, token=4, problem=protocol.Problem(code="X", message="words"))
    tally.look(failed)
    found = scrape(failed, tally)
    assert found[P + "syncs_total", "upstream", "succeeded"] == 1
    assert found[P + "syncs_total", "upstream", "failed"] == 1
    assert found[P + "syncs_total", "peer", "succeeded"] == 1
    assert found[P + "sync_bytes_total", "upstream"] == 2000
    assert found[P + "sync_bytes_total", "peer"] == 1000
    assert found[P + "sync_duration_seconds_sum", "upstream"] == 7 * 60
    assert found[P + "sync_duration_seconds_count", "peer"] == 1
    assert found[P + "source_sync_failed", "a"] == 1


def test_names_follow_the_conventions() -> None:
    for name, *_ in scrape(make.snapshot()):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert not re.search(r"_(ms|milliseconds|kb|mb|days|percent)(_|$)", name), name


def test_the_daemon_answers_for_them_beside_its_health() -> None:
    board, clock = boards.Board(make.snapshot()), manual_clock.ManualClock()
    asked = health.Health(board, clock, lambda: b"stationmaster_x 1\n")
    answer = asked.answer("GET", "/metrics")
    assert (answer.status, answer.body) == (200, b"stationmaster_x 1\n")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert health.Health(board, clock).answer("GET", "/metrics").status == 404
