"""R12: a volume that lacks room for what is to come gives up what nobody shows or could go back to, and says so."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

SOURCE = "ocid1.osmhsoftwaresource.oc1.test.rpms"
MEGABYTE = 1 << 20
# The engine leaves 64 MiB: of the rest three generations have room, and a fourth has not.
SIZE, PACKAGE = 150 * MEGABYTE, 25 * MEGABYTE


@pytest.fixture
def small(base: Path) -> Iterator[Path]:
    """A file system of its own where the mirror is to be."""
    place = base / "mirror"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "none", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def publish(station: Any, upstream: Any, number: int) -> None:
    """What no other state of the upstream has, and something that all have."""
    for path in (upstream.site / "rpms" / "Packages").glob("v*.rpm"):
        path.unlink()
    packages = {"Packages/all.rpm": b"all" * 999, f"Packages/v{number}.rpm": bytes([number]) * PACKAGE}
    upstream.publish(packages, timestamp=1_700_100_000 + number)
    sources = [msgspec.structs.replace(station.hub.desired.sources[0], sync_number=number)]
    station.change(sources=sources)


def held(station: Any) -> list[str]:
    return sorted(path.parent.name for path in (station.mirror / "generations" / SOURCE).glob("*/manifest.jsonl"))


@pytest.mark.usefixtures("small")
def test_a_volume_without_room_recovers_by_itself(station: Any, upstream: Any, hub: Any) -> None:
    publish(station, upstream, 1)
    station.register()
    station.start()
    station.until_synced()
    for number in (2, 3):
        publish(station, upstream, number)
        station.until(f"state {number} is visible", lambda: len(hub.history.get(SOURCE, [])) == number)  # noqa: B023
    first, second, third = hub.history[SOURCE]
    assert held(station) == sorted([first, second, third])
    publish(station, upstream, 4)
    station.until("room was made, and the new state is visible", lambda: len(hub.history[SOURCE]) == 4, 40)
    fourth = hub.history[SOURCE][3]
    assert held(station) == sorted([second, third, fourth]), "no more than was needed"
    assert station.get(f"/g/{SOURCE}/{second}/Packages/v2.rpm").body == bytes([2]) * PACKAGE, "what stays is whole"
    assert station.get(f"/g/{SOURCE}/{first}/repodata/repomd.xml").status == 404
    station.until("it was told", lambda: [one.code for one in hub.notices] == ["RemovedForRoom"])
    assert first in hub.notices[0].message
    assert "bytes are needed" in hub.notices[0].message
    station.until("nothing waits for room any more", lambda: hub.last.volume.room_bytes == 0)
    station.until_ready()
