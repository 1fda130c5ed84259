"""From register to a served package, with the real nginx and squid."""

from __future__ import annotations

import signal

from stationmaster.model import protocol

SOURCE = "ocid1.osmhsoftwaresource.oc1.test.rpms"


def test_register_run_sync_serve_report(station, hub, upstream) -> None:
    done = station.register()
    assert done.returncode == 0, done.stderr
    assert (station.state / "key.pem").stat().st_mode & 0o777 == 0o600
    station.start()
    station.until_synced()
    address = station.get(f"/m/{SOURCE}").body.decode()
    assert address.startswith(f"http://lb.example:{station.ports.http}/g/{SOURCE}/")
    base = address.strip().removeprefix(f"http://lb.example:{station.ports.http}")
    assert station.get(f"{base}repodata/repomd.xml").status == 200
    assert station.get(f"{base}Packages/p3.rpm").body == bytes([3]) * 5000
    assert station.get(f"/u/{SOURCE}/Packages/p3.rpm").body == bytes([3]) * 5000
    assert station.get(f"{base}Packages/p3.rpm", source="127.0.0.3").status == 403
    assert hub.last.readiness is protocol.Readiness.READY
    assert hub.last.sources[0].state is protocol.MirrorState.SYNCED
    station.kill(signal.SIGTERM)
    assert station.process.returncode == 0
