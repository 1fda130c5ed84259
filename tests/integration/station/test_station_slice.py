"""From register to a served package, with the real nginx and squid, and a hub that speaks the protocol."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stationmaster.model import protocol
from stationmaster.testing import fake_hub, loopback

if TYPE_CHECKING:
    from conftest import Station, Upstream

SOURCE = "ocid1.osmhsoftwaresource.oc1.test.rpms"


def pinned(station: Station) -> str:
    """The path of the tree that the one-line list names."""
    prefix = f"http://lb.example:{station.ports.http}"
    address = station.get(f"/m/{SOURCE}").body.decode()
    assert address.startswith(f"{prefix}/g/{SOURCE}/")
    assert address.endswith("/\n")
    return address.removeprefix(prefix).strip()


def test_register_run_sync_serve_report(station: Station, hub: fake_hub.FakeHub, upstream: Upstream) -> None:
    done = station.register()
    assert done.returncode == 0, done.stderr
    assert "volume" in done.stdout
    assert (station.state / "key.pem").stat().st_mode & 0o777 == 0o600
    assert (station.state / "station.json").stat().st_mode & 0o777 == 0o600
    station.start()
    station.until_synced()
    base = pinned(station)
    assert station.get(f"{base}repodata/repomd.xml").status == 200
    assert station.get(f"{base}Packages/p3.rpm").body == bytes([3]) * 5000
    assert station.get(f"/u/{SOURCE}/Packages/p3.rpm").body == bytes([3]) * 5000
    assert station.get("/instance-setup.sh").body == b"#!/bin/sh\n"
    assert station.get(f"{base}Packages/p3.rpm", source="127.0.0.3").status == 403
    last = hub.last
    assert last is not None
    assert last.readiness is protocol.Readiness.READY
    assert last.reasons == []
    station.until("all is as desired", lambda: hub.last and hub.last.applied_digest == hub.last.desired_digest)
    assert last.sources[0].sync is not None
    assert last.sources[0].sync.percentage == 100
    assert upstream.url in last.sources[0].sync.log

    # The certificate names the group, and the proxy reaches the hub and nothing else.
    assert _served_name(station, hub) == "lb.example"
    assert b" 200 " in _connect(station, f"127.0.0.1:{hub.port}")
    assert b" 403 " in _connect(station, f"127.0.0.1:{upstream.port}")

    # A second generation becomes visible under a higher number; the first stays fetchable where it was pinned.
    kept = {f"Packages/p{number}.rpm": bytes([number]) * 5000 for number in range(20) if number != 4}
    changed = {**kept, "Packages/p3.rpm": b"new" * 100, "Packages/p99.rpm": b"added"}
    upstream.publish(changed, timestamp=1_700_000_500)
    station.change(
        sources=[
            protocol.MirrorSource(
                source_id=SOURCE, name="rpms", format=protocol.SourceFormat.RPM, url=upstream.url, sync_number=2
            )
        ]
    )
    station.until("the added package is shown", lambda: pinned(station) != base)
    following = pinned(station)
    assert station.get(f"/u/{SOURCE}/Packages/p99.rpm").body == b"added"
    assert station.get(f"{following}Packages/p3.rpm").body == b"new" * 100
    assert station.get(f"{base}Packages/p3.rpm").body == bytes([3]) * 5000
    assert station.get(f"{base}Packages/p4.rpm").body == bytes([4]) * 5000
    numbers = sorted(int(one.name) for one in (station.mirror / ".stationmaster/seq" / SOURCE).iterdir())
    assert numbers == [1, 2]

    # SIGTERM leaves the engines serving.
    station.kill(signal.SIGTERM)
    assert station.process is not None
    assert station.process.returncode == 0
    assert station.get(f"{following}Packages/p99.rpm").status == 200
    assert station.get("/healthz").status == 503
    assert station.get("/healthz?tier=serving").status == 200


def _served_name(station: Station, hub: fake_hub.FakeHub) -> str:
    context = ssl.create_default_context(cadata=hub.ca_pem)
    import socket

    with (
        socket.create_connection(("127.0.0.1", station.ports.https), 5, source_address=("127.0.0.2", 0)) as plain,
        context.wrap_socket(plain, server_hostname="lb.example") as secure,
    ):
        certificate = secure.getpeercert()
        assert certificate is not None
        return str(dict(certificate["subjectAltName"])["DNS"])  # type: ignore[arg-type]


def _connect(station: Station, target: str) -> bytes:
    import socket

    with socket.create_connection(("127.0.0.1", station.ports.proxy), 5, source_address=("127.0.0.2", 0)) as proxy:
        proxy.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        return proxy.recv(400)


def test_dnf_installs_through_the_list(station: Station, base: Path) -> None:
    if shutil.which("dnf") is None:
        pytest.skip("no dnf here")
    station.change(
        permitted_ranges=["127.0.0.0/8"], client_address=protocol.ClientAddress(host="127.0.0.1", ports=station.ports)
    )
    assert station.register().returncode == 0
    station.start()
    station.until_synced()
    root = base / "root"
    (root / "repos").mkdir(parents=True)
    (root / "repos" / "r.repo").write_text(
        f"[r]\nname=r\nmirrorlist=http://127.0.0.1:{station.ports.http}/m/{SOURCE}\ngpgcheck=0\n"
        "skip_if_unavailable=False\n"
    )
    (root / "dnf.conf").write_text(f"[main]\nreposdir={root}/repos\ncachedir={root}/cache\nplugins=0\n")
    command = ["dnf", "-c", root / "dnf.conf", f"--installroot={root}", "--releasever=1", "repoquery", "--location"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert f"/g/{SOURCE}/" in done.stdout
    assert "Packages/p3.rpm" in done.stdout


def test_registration_refusals(station: Station, hub: fake_hub.FakeHub) -> None:
    hub.refuses_registration = True
    done = station.register()
    assert done.returncode == 1
    assert "used up" in done.stderr
    assert not station.state.exists()

    hub.refuses_registration = False
    station.mirror.mkdir()
    (station.mirror / "photo.jpg").write_text("not a mirror")
    done = station.register()
    assert done.returncode == 1
    assert "not an empty directory" in done.stderr
    assert "run the same command again" in done.stderr
    assert [path.name for path in station.mirror.iterdir()] == ["photo.jpg"]
    assert not (station.state / "station.json").exists()

    # The same command goes on where it stopped, with the same key.
    (station.mirror / "photo.jpg").unlink()
    done = station.register()
    assert done.returncode == 0, done.stderr
    assert len({one.public_key for one in hub.registrations}) == 1
    assert len(hub.registrations) == 2

    again = station.register()
    assert again.returncode == 1
    assert "already holds the registered station" in again.stderr
    assert len(hub.registrations) == 2


def test_registration_joins_a_volume_and_needs_the_hub(station: Station, hub: fake_hub.FakeHub) -> None:
    hub.is_away = True
    done = station.register()
    assert done.returncode == 1
    assert "run the same command again" in done.stderr
    hub.is_away = False
    assert station.register().returncode == 0
    marker = (station.mirror / ".stationmaster/volume.json").read_bytes()
    shutil.rmtree(station.state)
    done = station.register()
    assert done.returncode == 0, done.stderr
    assert "joined" in done.stdout
    assert (station.mirror / ".stationmaster/volume.json").read_bytes() == marker


def test_run_needs_a_registration(station: Station) -> None:
    station.base.joinpath("state").mkdir()
    done = station.run("run", "--state-dir", station.state)
    assert done.returncode == 1
    assert "station register" in done.stderr


def test_addresses_must_be_addresses(station: Station) -> None:
    done = station.register("--address", "no-such-thing")
    assert done.returncode == 1
    assert "no IP address" in done.stderr
    assert loopback.free_ports(1)
