"""A real HAProxy in front of real stations: who is served, and what clients see when one dies, freezes or drains."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stationmaster.host import processes
from stationmaster.testing import groups, loopback, sites

# Bounds here are generous, since tests share the machine; the figures of the design are for the benchmark.
STALL = 2.5


def https_get(group: groups.Group) -> None:
    try:
        found = group.fetch_tls()
    except http.client.HTTPException as exc:
        raise AssertionError(repr(exc)) from exc
    assert found == (200, b"https list\n")


def http_get(group: groups.Group) -> None:
    answer = group.fetch()
    assert (answer.status, answer.body) == (200, b"http list\n"), answer


def connect(group: groups.Group) -> None:
    with groups.tunnel(group.ports["proxy"], group.stations.hub_port) as connection:
        groups.echo(connection)


def test_three_ports_serve_and_the_clients_own_address_counts(group: groups.Group) -> None:
    http_get(group)
    https_get(group)
    connect(group)
    assert group.fetch(source="127.0.0.3").status == 403
    with (
        pytest.raises(AssertionError, match="403"),
        groups.tunnel(group.ports["proxy"], group.stations.hub_port, source="127.0.0.3"),
    ):
        pass
    assert group.fetch("/.balancer").status == 200


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_station_costs_no_get_and_few_tunnels(group: groups.Group, how: signal.Signals) -> None:
    lost = next(one for one in group.stations.both() if one.name == group.served_by())
    with (
        groups.load(lambda: http_get(group)) as http,
        groups.load(lambda: https_get(group), threads=1) as https,
        groups.load(lambda: connect(group), threads=1) as proxy,
    ):
        time.sleep(0.7)
        lost.signal(how)
        time.sleep(2.5)
        failed_by_then = len(https.failures), len(proxy.failures)
        time.sleep(0.7)
    assert http.done > 100
    assert http.failures == []
    assert http.longest_stall < STALL
    # In TCP mode what was open at the moment is lost; nothing is after the station was found out.
    for tally, before in zip((https, proxy), failed_by_then, strict=True):
        assert tally.done > 20
        assert len(tally.failures) <= 6, tally.failures
        assert len(tally.failures) == before, tally.failures
        assert tally.longest_stall < STALL


def test_tiers(group: groups.Group) -> None:
    first, second = group.stations.both()
    first.health.status = 503
    assert groups.wait_until(lambda: group.served_by() == "second")
    assert group.fetch("/.balancer/stations").status == 200
    second.health.status = 503
    assert groups.wait_until(lambda: group.fetch().status == 503)
    # What keepalived asks: this HAProxy lives, and has nobody to send to.
    assert group.fetch("/.balancer").status == 200
    assert group.fetch("/.balancer/stations").status == 503
    # Unready, both; fit to serve, one: it is used, on all three ports.
    first.health.tier_status = 200
    assert groups.wait_until(lambda: group.served_by() == "first")
    assert group.fetch("/.balancer/stations").status == 200
    assert groups.wait_until(lambda: https_get(group) is None)
    connect(group)
    first.health.tier_status = None


def test_an_unready_station_keeps_its_tunnels_and_a_frozen_one_loses_them(group: groups.Group) -> None:
    first, second = group.stations.both()
    second.health.status = 503
    assert groups.wait_until(lambda: group.served_by() == "first")
    time.sleep(1)
    with groups.tunnel(group.ports["proxy"], group.stations.hub_port) as connection:
        groups.echo(connection)
        first.health.status, second.health.status = 503, 200
        assert groups.wait_until(lambda: group.served_by() == "second")
        time.sleep(1)
        groups.echo(connection)
        first.signal(signal.SIGSTOP)
        before = time.monotonic()
        with pytest.raises((AssertionError, ConnectionError)):
            groups.echo(connection)
        assert time.monotonic() - before < 4


def test_frozen_squid_alone_leaves_the_proxy_port(group: groups.Group) -> None:
    """nginx answers on, so the check of the proxy port must go through squid."""
    lost = next(one for one in group.stations.both() if one.name == group.served_by())
    pid = lost.squid.keeper.pid()
    assert pid is not None
    squid = [one for one in lost.pids() if one not in nginx_pids(lost)]
    for one in squid:
        os.kill(one, signal.SIGSTOP)
    assert groups.wait_until(lambda: connect(group) is None)
    time.sleep(1.2)
    with groups.load(lambda: connect(group), threads=2) as tally:
        time.sleep(0.8)
    assert tally.failures == []
    assert tally.longest_stall < 1


def nginx_pids(station: groups.Station) -> set[int]:
    pid = station.nginx.keeper.pid()
    assert pid is not None
    return set(processes.Processes().family(pid))


def test_one_keep_alive_connection_meets_one_station(group: groups.Group) -> None:
    """Root and signature of two stations one switch apart were mixed in each of 100 pairs under round robin."""
    assert len({group.served_by() for _ in range(40)}) == 1


def test_balancer_with_the_groups_certificate_repeats_https_too(stations: groups.Stations, tmp_path: Path) -> None:
    stations.recover()
    with groups.balanced(stations, tmp_path, is_ending_tls=True) as group:
        https_get(group)
        lost = next(one for one in stations.both() if one.name == group.served_by())
        with groups.load(lambda: https_get(group)) as https:
            time.sleep(0.5)
            lost.signal(signal.SIGSTOP)
            time.sleep(2)
        assert https.failures == []
        assert https.longest_stall < STALL


def test_a_body_in_flight_survives_the_loss_of_the_other_station(group: groups.Group) -> None:
    serving = group.served_by()
    kept = next(one for one in group.stations.both() if one.name == serving)
    other = next(one for one in group.stations.both() if one.name != serving)
    big = kept.place.mirror / "published" / sites.SOURCE / "big.rpm"
    big.write_bytes(bytes(8 << 20))
    url = f"/g/{sites.SOURCE}/{sites.GENERATION}/big.rpm"
    with groups.load(lambda: _whole(group, url), threads=1) as tally:
        other.signal(signal.SIGKILL)
        time.sleep(1)
    assert tally.failures == []


def _whole(group: groups.Group, url: str) -> None:
    answer: loopback.Answer = group.fetch(url)
    assert len(answer.body) == 8 << 20


def test_a_station_that_is_cut_off_costs_no_get() -> None:
    script = Path(__file__).with_name("cut_off.py")
    command = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$0" "$1"', sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    operations, failures, stall = found["http"]
    assert operations > 100
    assert failures == 0
    assert stall < STALL
    operations, failures, stall = found["proxy"]
    assert operations > 20
    assert failures <= 6
    assert stall < STALL
    assert found["late"] == 0
