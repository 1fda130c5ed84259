"""Three stations, two of them on one GlusterFS volume: what they share, and a short campaign of faults under load."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stationmaster.lab import endings, gluster, lab, record, rest, show
from stationmaster.lab.chaos import campaign, churn, faults, inventory, stage, tabulation

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="GlusterFS is mounted through FUSE, which is not here"),
]


@pytest.fixture(scope="module")
def made_stage() -> Iterator[stage.Stage]:
    with lab.Lab.build(stage.hosts(has_database=False), floating=stage.FLOATING) as made:
        yield stage.build(made, show.SilentReporter(), record.BASE / "cache", has_database=False)


@pytest.fixture(autouse=True)
def _from_rest(made_stage: stage.Stage) -> None:
    rest.wait_until_settled(made_stage.world)


def volume_id(volume: Path) -> str:
    return str(json.loads((volume / ".stationmaster" / "volume.json").read_text())["id"])


def test_stations_that_share_storage_have_one_volume_at_two_paths(made_stage: stage.Stage) -> None:
    stations = made_stage.world.stations
    first, second = (stations[name].volume for name in stage.SHARING)
    assert gluster.is_mounted(first)
    assert gluster.is_mounted(second)
    assert first.name != second.name
    assert volume_id(first) == volume_id(second) != volume_id(stations[stage.ALONE].volume)


def test_one_sync_reads_upstream_once_for_two_volumes(made_stage: stage.Stage) -> None:
    """Who leads fetches; who shares its volume finds it there; who has another copies from a peer."""
    world = made_stage.world
    assert world.server is not None
    assert world.rpm is not None
    assert world.deb_upstream is not None
    world.server.forget()
    (package,) = world.rpm.publish_update({"lab-app-010": "2.0"})
    world.deb_upstream.publish_update({"labd-app-003": "2.0"})
    churn.order_sync(world, stage.ALONE)
    rest.wait_until_settled(world, 90, churn.newest_roots(world))
    assert world.server.requests()[f"/rpm/Packages/{package}"] == 1
    assert world.server.copies_sent() == 1.0
    for station in world.stations.values():
        assert inventory.inspect(station, world.sources, churn.newest_roots(world)).faults == []


def test_the_inventory_sees_a_byte_that_is_wrong_and_a_file_that_is_missing(made_stage: stage.Stage) -> None:
    world = made_stage.world
    station = world.stations[stage.ALONE]
    newest = churn.newest_roots(world)
    assert inventory.inspect(station, world.sources, newest).faults == []
    package = max((station.volume / "pool" / "sha256").glob("*/*"), key=lambda path: path.stat().st_size)
    good = package.read_bytes()
    try:
        with package.open("r+b") as stream:
            stream.write(bytes([good[0] ^ 1]))
        (words,) = inventory.inspect(station, world.sources, newest).faults
        assert "its index says" in words
    finally:
        with package.open("r+b") as stream:
            stream.write(good[:1])
    assert inventory.inspect(station, world.sources, newest).faults == []


def test_a_short_campaign_violates_nothing(made_stage: stage.Stage) -> None:
    seed = int(os.environ.get("STATIONMASTER_CHAOS_SEED", "20261169"))
    chosen = faults.draw_short(seed)
    orders = campaign.Orders(seed, strikes=len(chosen), only=chosen, has_database=False, longest_seconds=6.0)
    result = campaign.Campaign(made_stage, orders, show.SilentReporter()).conduct(orders.drawn())
    if result.timeless_violations:
        endings.save_logs(made_stage.world.lab, record.BASE)
    print(*tabulation.table(result)[1], tabulation.summary(result), sep="\n")  # noqa: T201
    assert result.timeless_violations == ()  # bounds on time are for `make chaos`: this machine may be anybody's
    assert {one.fault for one in result.strikes} == set(chosen)
    assert result.promises_checked >= 50
    for one in result.strikes:
        assert one.operations_done >= 5
        assert one.requests_done >= 20
        assert one.files_checked >= 200
        assert one.seconds_until_rest is not None
