"""R12, I9: a host that comes back without the hub, and without part of its state, serves what the hub signed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stationmaster.model import visible_record as records
from stationmaster.station import visible_record
from stationmaster.testing import fake_hub, signed_records

SOURCE = "ocid1.osmhsoftwaresource.oc1.test.rpms"
IDENTITY = {"station.json", "key.pem", "ca.pem", "certificate"}


@pytest.fixture
def hub() -> Iterator[fake_hub.FakeHub]:
    """By HTTPS: with a CA that stations are given."""
    made = fake_hub.FakeHub()
    made.tls_names = ("127.0.0.1",)
    with made.running() as running:
        yield running


def group_directory(station: Any) -> Path:
    return Path(station.mirror) / ".stationmaster" / "groups" / "group"


def newest_on_volume(station: Any) -> int:
    with contextlib.suppress(OSError):
        reader = visible_record.reader_of(station.state / "ca.pem")
        return reader.read((group_directory(station) / "visible.json").read_bytes()).record.counter
    return 0


def fall(station: Any) -> None:
    """The whole host: daemon, nginx and squid at once."""
    engines = [station.engine_pid(name) for name in ("nginx", "squid")]
    station.kill()
    for pid in engines:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(os.getpgid(pid), signal.SIGKILL)


def copy(source: Path, target: Path) -> None:
    """As a backup does it: owners, modes and links stay what they are."""
    subprocess.run(["cp", "-a", source, target], check=True)


def shown(station: Any) -> str:
    return str(station.get(f"/m/{SOURCE}").body.decode().strip())


def warnings(station: Any) -> list[str]:
    answer = station.get("/healthz")
    return [one["message"] for one in msgspec.json.decode(answer.body)["warnings"]] if answer.body else []


def is_serving(station: Any) -> bool:
    return bool(station.get("/healthz?tier=serving").status == 200)


def begin(station: Any) -> None:
    station.register()
    station.start()
    station.until_synced()
    station.until("the signed record is on the volume", lambda: newest_on_volume(station) > 0)


def test_a_host_that_kept_its_identity_alone_serves_what_the_volume_says(station: Any, hub: Any) -> None:
    begin(station)
    station.until(
        "the record names what is visible",
        lambda: hub.last.record.counter == hub.last.record.volume_counter > 0,
    )
    before = shown(station)
    assert before
    hub.is_away = True
    fall(station)
    for path in station.state.iterdir():
        if path.name not in IDENTITY:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    station.start()
    station.until("it serves", lambda: is_serving(station), 30)
    assert shown(station) == before
    assert station.get("/healthz").status == 503, "nobody has confirmed it"
    assert station.get(f"/u/{SOURCE}/Packages/p1.rpm").body == bytes([1]) * 5000
    assert station.get(f"/u/{SOURCE}/Packages/p1.rpm", source="127.0.0.3").status == 403, "the range came back too"

    # Somebody who can write to the volume forges a higher one.
    lie = records.VisibleRecord(
        group_id="group",
        counter=9000,
        time_signed=hub._clock.now(),
        visible=[],
        sources=[],
        stations=[],
    )
    forged = visible_record.encoded(signed_records.Signer().sign(lie))
    place = group_directory(station) / f"9000-{'0' * 32}.json"
    place.write_bytes(forged)
    station.until("the forged one is told", lambda: any("9000-" in one for one in warnings(station)))
    assert "not signed by this station's hub" in warnings(station)[0]
    assert shown(station) == before
    fall(station)
    station.start()
    station.until("it serves after another start", lambda: is_serving(station), 30)
    assert shown(station) == before
    place.unlink()
    hub.is_away = False
    station.until_ready()
    station.until("nothing is refused any more", lambda: not warnings(station))


def test_a_state_directory_older_than_the_volume_is_brought_up_to_date(
    station: Any, hub: Any, upstream: Any, base: Path
) -> None:
    begin(station)
    first = shown(station)
    station.kill(signal.SIGTERM)
    copy(station.state, base / "snapshot")
    station.start()
    station.until_ready()
    packages = {f"Packages/p{number}.rpm": bytes([number]) * 5000 for number in range(20)}
    upstream.publish({**packages, "Packages/new.rpm": b"new" * 999}, timestamp=1_700_009_999)
    assert hub.desired is not None
    sources = [msgspec.structs.replace(hub.desired.sources[0], sync_number=2)]
    station.change(sources=sources, permitted_ranges=["127.0.0.2/32", "127.0.0.4/32"])
    station.until("the new generation is shown", lambda: shown(station) not in ("", first))
    second, counter = shown(station), hub.last.record.counter
    station.until(
        "the volume has the newest record",
        lambda: (
            hub.visible[SOURCE].generation in second and newest_on_volume(station) == hub.last.record.counter >= counter
        ),
    )
    hub.is_away = True
    fall(station)
    shutil.rmtree(station.state)
    copy(base / "snapshot", station.state)
    station.start()
    station.until("it serves", lambda: is_serving(station), 30)
    station.until("it shows what is visible", lambda: shown(station) == second, 10)
    station.until(
        "whom it permits is newer than its state directory",
        lambda: station.get(f"/u/{SOURCE}/Packages/new.rpm", source="127.0.0.4").status == 200,
    )
