"""What goes wrong around a station, with the real nginx and squid: it says so, goes on, and comes back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import msgspec
import pytest

from stationmaster.host import network
from stationmaster.model import protocol
from stationmaster.testing import fake_hub

if TYPE_CHECKING:
    from conftest import Station, Upstream

SOURCE = "ocid1.osmhsoftwaresource.oc1.test.rpms"
SOCKET_REQUEST = b"GET /healthz HTTP/1.0\r\n\r\n"


@pytest.fixture
def serving(station: Station) -> Station:
    assert station.register().returncode == 0
    station.start()
    station.until_synced()
    return station


def codes(station: Station) -> list[str]:
    last = station.hub.last
    return [one.code for one in last.problems] if last else []


def test_a_killed_daemon_leaves_a_last_resort_and_is_succeeded(serving: Station) -> None:
    station = serving
    nginx, squid = station.engine_pid("nginx"), station.engine_pid("squid")
    listed = station.get(f"/m/{SOURCE}").body
    station.kill(signal.SIGKILL)
    assert station.get("/healthz").status == 503
    assert station.get("/healthz?tier=serving").status == 200
    assert station.get(f"/m/{SOURCE}").body == listed
    station.start()
    station.until_ready()
    assert (station.engine_pid("nginx"), station.engine_pid("squid")) == (nginx, squid)
    assert station.get(f"/m/{SOURCE}").body == listed
    second = station.run("run", "--state-dir", station.state)
    assert second.returncode == 1
    assert "already running" in second.stderr


def test_without_the_hub_it_serves_on_also_after_a_restart(serving: Station, hub: fake_hub.FakeHub) -> None:
    station = serving
    listed = station.get(f"/m/{SOURCE}").body
    hub.is_away = True
    station.until("unconfirmed", lambda: station.health() == (503, ["Unconfirmed"]))
    assert station.get("/healthz?tier=serving").status == 200
    station.kill(signal.SIGKILL)
    for name in ("nginx", "squid"):
        os.kill(station.engine_pid(name), signal.SIGKILL)
    station.start()
    station.until("a server of last resort", lambda: station.health() == (503, ["Unconfirmed"]))
    assert station.get("/healthz?tier=serving").status == 200
    assert station.get(f"/m/{SOURCE}").body == listed
    assert station.get(f"/u/{SOURCE}/Packages/p3.rpm").status == 200
    hub.is_away = False
    station.until_ready()


def test_a_lost_volume_is_said_and_not_filled(serving: Station) -> None:
    station = serving
    away = station.base / "away"
    station.mirror.rename(away)
    station.mirror.mkdir()  # what an unmounted mount point looks like
    station.until("not ready", lambda: station.health() == (503, ["NotAVolume"]))
    assert station.get("/healthz?tier=serving").status == 503
    station.until("the hub knows", lambda: "NotAVolume" in codes(station))
    station.change(
        sources=[msgspec.structs.replace(one, sync_number=7) for one in station.hub.desired.sources]  # type: ignore[union-attr]
    )
    beats = len(station.hub.beats)
    station.until("several heartbeats", lambda: len(station.hub.beats) > beats + 3)
    assert list(station.mirror.iterdir()) == []
    station.mirror.rmdir()
    away.rename(station.mirror)
    station.until_synced()


def test_another_volume_is_refused(serving: Station) -> None:
    station = serving
    marker = station.mirror / ".stationmaster/volume.json"
    own = marker.read_bytes()
    content = msgspec.json.decode(own)
    marker.write_bytes(msgspec.json.encode({**content, "id": "another"}))
    station.until("not ready", lambda: station.health() == (503, ["NotAVolume"]))
    marker.write_bytes(msgspec.json.encode({**content, "hub": "ocid1.tenancy.oc1..other"}))
    station.until("the hub hears why", lambda: any("tenancy" in one.message for one in station.hub.last.problems))  # type: ignore[union-attr]
    marker.write_bytes(own)
    station.until_ready()


def test_a_taken_port_is_named_and_taken_when_free(station: Station) -> None:
    assert station.register().returncode == 0
    with socket.create_server(("0.0.0.0", station.ports.http)):
        station.start()
        station.until("the hub knows", lambda: "PortTaken" in codes(station))
        last = station.hub.last
        assert last is not None
        assert str(station.ports.http) in next(one.message for one in last.problems if one.code == "PortTaken")
        assert last.readiness is protocol.Readiness.NO
        assert "PortTaken" in [one.code for one in last.reasons]
    station.until_synced()


def test_killed_engines_return(serving: Station) -> None:
    station = serving
    for name in ("nginx", "squid"):
        former = station.engine_pid(name)
        family = subprocess.run(["pgrep", "-P", str(former)], capture_output=True, text=True, check=False).stdout
        for pid in [former, *map(int, family.split())]:
            os.kill(pid, signal.SIGKILL)
        station.until(f"{name} is new", lambda former=former, name=name: station.engine_pid(name) not in (0, former))  # type: ignore[misc]
        station.until_ready()


def test_a_frozen_squid_is_noticed_and_replaced(serving: Station) -> None:
    station = serving
    former = station.engine_pid("squid")
    kids = subprocess.run(["pgrep", "-P", str(former)], capture_output=True, text=True, check=True).stdout.split()
    for pid in map(int, kids):
        os.kill(pid, signal.SIGSTOP)
    station.until("not ready", lambda: station.health() == (503, ["SquidSilent"]), 3.0)
    station.until("squid is new", lambda: station.engine_pid("squid") not in (0, former), 25.0)
    station.until_ready()


def test_settings_are_followed_without_a_restart(serving: Station) -> None:
    station = serving
    nginx = station.engine_pid("nginx")
    assert station.get(f"/m/{SOURCE}", source="127.0.0.3").status == 403
    station.change(permitted_ranges=["127.0.0.3", "no-such-name.invalid"])
    station.until("the other is permitted", lambda: station.get(f"/m/{SOURCE}", source="127.0.0.3").status == 200)
    assert station.get(f"/m/{SOURCE}").status == 403
    station.until("the bad entry is reported", lambda: "PermittedRange" in codes(station))

    station.change(is_draining=True, permitted_ranges=["127.0.0.2/32"])
    station.until("draining", lambda: station.health() == (503, ["Draining"]))
    assert station.get("/healthz?tier=serving").status == 200

    station.change(is_draining=False, is_proxy_enabled=False)
    station.until("squid is gone", lambda: not network.is_answering("127.0.0.1", station.ports.proxy))
    station.until_ready()
    station.change(is_proxy_enabled=True)
    station.until("squid is back", lambda: network.is_answering("127.0.0.1", station.ports.proxy))
    station.until_ready()
    assert station.engine_pid("nginx") == nginx

    # A source that leaves the list is no longer offered; its data stay, and come back at once.
    sources = station.hub.desired.sources if station.hub.desired else []
    station.change(sources=[])
    station.until("the list is gone", lambda: station.get(f"/m/{SOURCE}").status == 404)
    assert (station.mirror / "generations" / SOURCE).is_dir()
    station.change(sources=sources)
    station.until("the list is back", lambda: station.get(f"/m/{SOURCE}").status == 200)


def test_a_failing_sync_keeps_what_is_good(serving: Station, upstream: Upstream) -> None:
    station = serving
    listed = station.get(f"/m/{SOURCE}").body
    gone = upstream.site / "rpms"
    gone.rename(upstream.site / "elsewhere")
    assert station.hub.desired is not None
    other = "ocid1.osmhsoftwaresource.oc1.test.other"
    first = msgspec.structs.replace(station.hub.desired.sources[0], sync_number=2)
    second = msgspec.structs.replace(first, source_id=other, name="other", url=upstream.url + "other/")
    station.change(sources=[first, second])

    def states() -> list[tuple[protocol.MirrorState, bool]]:
        last = station.hub.last
        return [(one.state, bool(one.sync and one.sync.problem)) for one in last.sources] if last else []

    expected = [(protocol.MirrorState.SYNCED, True), (protocol.MirrorState.FAILED, True)]
    station.until("both failed, one is still good", lambda: states() == expected, 30.0)
    assert station.get(f"/m/{SOURCE}").body == listed
    assert station.is_ready()
    last = station.hub.last
    assert last is not None
    assert any(one.message.startswith("other: ") for one in last.problems)


def test_the_operators_certificate_is_used_while_it_is_good(serving: Station) -> None:
    station = serving
    own = station.base / "own.pem"
    chain = (station.state / "certificate/chain.pem").read_text()
    key = (station.state / "certificate/key.pem").read_text()
    station.change(certificate_path=str(own))
    station.until("it is missed", lambda: "HostUnable" in codes(station))
    assert station.is_ready()
    own.write_text(chain + key)
    configuration = station.state / "nginx/nginx.conf"
    station.until("it is used", lambda: f"ssl_certificate {own}" in configuration.read_text())
    station.until("no complaint", lambda: "HostUnable" not in codes(station))

    # A new name of the group makes the operator's unfit, and the hub signs another.
    station.change(
        client_address=protocol.ClientAddress(host="new.example", ports=station.ports), certificate_path=str(own)
    )
    station.until("it is no longer used", lambda: f"ssl_certificate {own}" not in configuration.read_text())
    station.until("the reason is told", lambda: "CertificateInvalid" in codes(station))
    station.until_ready()
    assert station.hub.certificates == 2
    assert station.get(f"/m/{SOURCE}").body.startswith(b"http://new.example:")


def test_a_changed_mirror_directory_is_taken_on_request(serving: Station) -> None:
    station = serving
    following = station.base / "mirror2"
    station.change(mirror_directory=str(following))
    station.until("it is refused", lambda: station.health()[1][:1] == ["NotAVolume"])
    station.until("the way out is told", lambda: any("take-volume" in one.message for one in station.hub.last.problems))  # type: ignore[union-attr]
    assert not following.exists()
    done = station.run("take-volume", "--state-dir", station.state)
    assert done.returncode == 0, done.stderr
    assert "made" in done.stdout
    station.kill(signal.SIGTERM)
    renewed = station.run("take-volume", "--new-id", "--state-dir", station.state)
    assert "joined" in renewed.stdout
    assert renewed.stdout.split()[4] != done.stdout.split()[4], "as for a directory that was copied"
    station.start()
    station.until_synced()
    assert station.get(f"/u/{SOURCE}/Packages/p3.rpm").status == 200
    assert (following / "generations" / SOURCE).is_dir()
