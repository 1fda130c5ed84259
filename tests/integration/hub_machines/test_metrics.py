"""`/metrics` of the hub; and that alerts and dashboard ask for nothing that is not there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import parser

from stationmaster.host import http
from stationmaster.hub.api import metrics as api
from stationmaster.model import addresses
from stationmaster.station import metrics as station_metrics
from stationmaster.station import readiness
from stationmaster.testing import stations as make

MONITORING = Path(__file__).parents[3] / "packaging" / "monitoring"
P = "stationmaster_hub_"


def scrape(live: Any) -> str:
    answer = http.Http().request("GET", f"{live.endpoint}/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return str(answer.body.decode())


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def show(fleet: Any, group: Any) -> None:
    fleet.tick()
    group.beat()
    for station in (group.a, group.b):
        station.held[group.source.id] = ["g1"]
    group.beat()
    fleet.tick()
    group.beat()


def test_groups_instances_and_requests(fleet: Any, group: Any) -> None:
    show(fleet, group)
    fleet.register_agent(group.profile.id).check_in()
    found = samples(scrape(fleet.live))
    assert found[P + "database_up",] == 1
    assert found[P + "station_readiness", "lb.example.com", "ready", "StationA"] == 1
    assert found[P + "source_visible_number", "lb.example.com", group.source.repo_id] == 1
    assert found[P + "source_holders", "lb.example.com", group.source.repo_id] == 2
    assert found[P + "station_missing_bytes", "lb.example.com", "StationB"] == 0
    assert found[P + "instances", "normal"] >= 1
    assert found[P + "requests_total", "heartbeat", "200"] >= 6
    assert found[P + "requests_total", "checkin", "200"] == 1
    assert found[P + "request_duration_seconds_count", "checkin"] == 1
    assert found[P + "request_duration_seconds_bucket", "10.0", "checkin"] == 1
    group.b.held[group.source.id] = []
    group.b.beat()
    fleet.live.clock.shift += 11
    group.b.beat()
    found = samples(scrape(fleet.live))
    assert found[P + "station_readiness", "lb.example.com", "silent", "StationA"] == 1
    assert found[P + "station_readiness", "lb.example.com", "ready", "StationA"] == 0
    assert found[P + "station_heartbeat_age_seconds", "lb.example.com", "StationA"] >= 11
    assert found[P + "station_missing_bytes", "lb.example.com", "StationB"] == 100


def test_shown_states_are_counted_as_the_rule_has_them(fleet: Any, group: Any) -> None:
    fleet.register_agent(group.profile.id).check_in()
    before = samples(scrape(fleet.live))
    fleet.live.clock.shift += 3600
    after = samples(scrape(fleet.live))
    assert after[P + "instances", "warning"] == before[P + "instances", "normal"] >= 1
    fleet.live.clock.shift += 24 * 3600
    assert samples(scrape(fleet.live))[P + "instances", "unreachable"] == before[P + "instances", "normal"]


def test_without_the_database_the_rest_is_told(live_hub: Any) -> None:
    with live_hub.hub.store.write() as tx:
        tx.exec_driver_sql("DROP TABLE work_requests")
    found = samples(scrape(live_hub))
    assert found[P + "database_up",] == 0
    assert (P + "scheduler_lag_seconds",) in found


@pytest.mark.parametrize(
    ("host", "is_admitted"), [("127.0.0.1", True), ("10.0.0.7", True), ("::1", True), ("10.0.0.8", False), ("", False)]
)
def test_who_may_read(host: str, is_admitted: bool) -> None:
    monitors = addresses.parse_networks(("127.0.0.0/8", "::1", "10.0.0.7"), option="--metrics-from")
    assert api._is_admitted(host, monitors) is is_admitted


def names_of(text: str) -> set[str]:
    """Names as they are asked for: those of samples, and those of families without a sample."""
    found = {name for name, *_ in samples(text)}
    return found | set(re.findall(r"^# TYPE (\S+) gauge", text, re.MULTILINE))


def exposed(fleet: Any) -> set[str]:
    moment = station_metrics.Moment(
        make.snapshot(),
        readiness.judge(make.snapshot(), make.NOW_AT, make.NOW),
        station_metrics.Tally().read(),
        make.NOW_AT,
        make.NOW,
    )
    return names_of(scrape(fleet.live)) | names_of(station_metrics.render(moment).decode())


def asked(expression: str) -> set[str]:
    return set(re.findall(r"stationmaster_[a-z_]+", expression))


def test_alerts_and_dashboard_ask_for_what_is_there(fleet: Any, group: Any) -> None:
    show(fleet, group)
    there = exposed(fleet)
    rules = yaml.safe_load((MONITORING / "stationmaster-alerts.yml").read_text())
    alerts = [rule for one in rules["groups"] for rule in one["rules"]]
    assert len({one["alert"] for one in alerts}) == len(alerts) >= 15
    for one in alerts:
        assert set(one) <= {"alert", "expr", "for", "labels", "annotations"}
        assert one["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(one["annotations"]) == {"summary", "action"}
        assert asked(one["expr"]), one["alert"]
        assert asked(one["expr"]) <= there, one["alert"]
    board = json.loads((MONITORING / "stationmaster-dashboard.json").read_text())
    assert len({one["id"] for one in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        for target in panel["targets"]:
            assert asked(target["expr"]), panel["title"]
            assert asked(target["expr"]) <= there, panel["title"]
    for variable in board["templating"]["list"]:
        assert asked(variable["query"]) <= there
    documented = set(re.findall(r"stationmaster_[a-z_]+", (MONITORING.parents[1] / "docs/operations.md").read_text()))
    families = {re.sub(r"_(total|bucket|sum|count|created)$", "", one) for one in there}
    ours = {one for one in families if one.startswith("stationmaster_")}
    assert ours <= {re.sub(r"_total$", "", one) for one in documented}, "docs/operations.md lists every metric"


def test_prometheus_own_check_of_the_alerts() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; the structure is checked above")
    command = [promtool, "check", "rules", str(MONITORING / "stationmaster-alerts.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
