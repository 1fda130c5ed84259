"""Trouble on the real stack: what an operator reads at the place where he looks, and that nothing is lost.

Two stations, no balancer and no instances. In its order, on one world: each test begins when the group has come to
rest, and undoes what it did whether it held or not, so that one failure is one failure.
"""

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from stationmaster.host import programs
from stationmaster.lab import lab, machines, mounts, operators, record, rest, scenario, show, waiting
from stationmaster.lab import world as guidebook
from stationmaster.lab.addressing import HostSpec
from stationmaster.lab.world import RPM, World
from stationmaster.model import errors

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    hosts = tuple(HostSpec(name) for name in ("up", "hub", "ops", "sta", "stb"))
    with lab.Lab.build(hosts) as made:
        built = World(made, show.SilentReporter(), record.BASE / "cache", is_debian_wanted=False)
        scenario.publish_upstream(built)
        scenario.start_hub(built)
        for name, display_name in (("sta", "StationA"), ("stb", "StationB")):
            scenario.create_station(built, name, display_name, guidebook.BALANCER)
        scenario.create_sources_and_profiles(built, "sta")
        scenario.wait_until_synced(built)
        yield built


@pytest.fixture(autouse=True)
def _from_rest(world: World) -> None:
    rest.wait_until_settled(world)


def publish(world: World, package: str) -> None:
    """Upstream brings a new version of a package."""
    assert world.rpm is not None
    world.rpm.publish_update({package: "2.0"})


def order_sync(world: World) -> str:
    """A sync ordered through the API; its work request."""
    wanted = world.desk.models.SynchronizeMirrorsDetails(software_source_list=[world.sources[RPM]])
    station_id = world.stations["sta"].station_id
    ordered = world.desk.call("ManagementStationClient", "synchronize_mirrors", station_id, wanted)
    return str(ordered.headers["opc-work-request-id"])


def sync(world: World) -> None:
    world.desk.wait_for_work(order_sync(world), 60)


def states(world: World) -> dict[str, str]:
    """What the API says of the RPM mirror of each station."""
    found = {}
    for name, station in world.stations.items():
        mirrors = world.desk.call("ManagementStationClient", "list_mirrors", station.station_id).data.items
        found[name] = next(mirror.state for mirror in mirrors if mirror.id == world.sources[RPM])
    return found


def fetch(station: machines.Station, path: str) -> programs.Completed:
    """What a client gets from one station."""
    url = f"http://{station.on.address}:{guidebook.HTTP_PORT}{path}"
    return station.on.run(["curl", "-sf", "-m", "5", url])


def generation(world: World, name: str) -> str:
    """What a station's list names."""
    return waiting.until(
        lambda: rest.shown_generation(world.stations[name], world.sources[RPM]), 10, f"the list of {name}"
    )


def require_same_everywhere(world: World) -> None:
    shown = {generation(world, name) for name in world.stations}
    assert len(shown) == 1
    for station in world.stations.values():
        path = f"/g/{world.sources[RPM]}/{shown.copy().pop()}/repodata/repomd.xml"
        fetch(station, path).require_success("Reading the root")


@contextlib.contextmanager
def away(world: World) -> Iterator[None]:
    """The upstream is off while this lasts."""
    assert world.server is not None
    world.lab["up"].kill_all()
    try:
        yield
    finally:
        world.server.start()


@contextlib.contextmanager
def unwritable(world: World, station: machines.Station, trouble: str) -> Iterator[None]:
    """A station's volume is read-only or full while this lasts."""
    if trouble == "VolumeReadOnly":
        world.lab.mounts.turn_read_only(station.volume)
        try:
            yield
        finally:
            world.lab.mounts.turn_writable(station.volume)
    else:
        try:
            mounts.fill_volume(station.volume)
            yield
        finally:
            (station.volume / mounts.FILLER).unlink()


@contextlib.contextmanager
def unmounted(world: World, station: machines.Station) -> Iterator[None]:
    """A station's volume is away while this lasts."""
    world.lab.mounts.detach_volume(station.volume)
    try:
        yield
    finally:
        world.lab.mounts.attach_volume(station.volume)


def words_of(pid: int) -> str:
    """The command line of a process; nothing when it has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def test_an_upstream_that_is_away_is_named_and_comes_back(world: World) -> None:
    with (
        away(world),
        pytest.raises(errors.PeerError, match=r"UpstreamUnavailable.*http://up\.lab/rpm/repodata/repomd\.xml"),
    ):
        sync(world)
    world.stations["sta"].wait_until_ready(10)
    sync(world)


def test_a_sync_that_succeeded_is_seen_by_clients_of_every_station(world: World) -> None:
    before = generation(world, "sta")
    publish(world, "lab-app-002")
    sync(world)
    assert states(world) == {"sta": "SYNCED", "stb": "SYNCED"}
    assert generation(world, "sta") != before
    require_same_everywhere(world)


def test_a_hub_that_dies_in_a_sync_loses_nothing(world: World) -> None:
    assert world.hub is not None
    publish(world, "lab-app-003")
    ordered = order_sync(world)
    world.lab["hub"].kill_all()
    world.hub.serve()
    world.desk.wait_for_work(ordered, 60)
    assert states(world) == {"sta": "SYNCED", "stb": "SYNCED"}
    require_same_everywhere(world)


def test_daemons_killed_at_any_moment_of_a_sync_go_on(world: World) -> None:
    chance = random.Random(20261122)
    for number in range(4):
        publish(world, f"lab-app-01{number}")
        ordered = order_sync(world)
        station = world.stations[chance.choice(["sta", "stb"])]
        world.lab.clock.sleep(chance.uniform(0.0, 3.0))
        for pid in station.on.pids():
            if "station run" in words_of(pid):
                station.on.run(["kill", "-9", str(pid)])
        station.start()
        world.desk.wait_for_work(ordered, 60)
    scenario.wait_until_synced(world, 30)
    require_same_everywhere(world)
    for station in world.stations.values():
        verified = station.on.run([operators.STATIONMASTER, "mirror", "verify", "--dest", station.volume, "--json"])
        assert verified.is_success, verified.stdout
        json.loads(verified.stdout)


@pytest.mark.parametrize(("trouble", "package"), [("VolumeReadOnly", "lab-app-020"), ("VolumeFull", "lab-app-021")])
def test_a_volume_that_cannot_be_written_holds_its_group_together(world: World, trouble: str, package: str) -> None:
    """The station is ready and serves; so nothing may become visible that it lacks, and the work request says why."""
    before, station = generation(world, "sta"), world.stations["sta"]
    with unwritable(world, station, trouble):
        publish(world, package)
        with pytest.raises(errors.PeerError, match=f"{trouble}: StationA could not sync lab-rpm"):
            sync(world)
        assert states(world)["sta"] in {"FAILED", "SYNCED"}
        station.wait_until_ready(10)
        assert {generation(world, name) for name in world.stations} == {before}
    # Each station learns of it with its own next heartbeat.
    waiting.until(
        lambda: all(generation(world, name) != before for name in world.stations), 60, "the sync to be made up for"
    )
    require_same_everywhere(world)


def test_a_volume_that_is_unmounted_is_never_filled(world: World) -> None:
    """I11."""
    station = world.stations["stb"]
    with unmounted(world, station):
        waiting.until(lambda: station.health().startswith("503"), 10, "the station to say no")
        assert "mount it" in station.health()
        publish(world, "lab-app-030")
        sync(world)
        assert list(station.volume.iterdir()) == []
        told = world.desk.stationmaster("ha", "status", "--hostname", guidebook.BALANCER)
        assert "mount it" in told.require_success("ha status").stdout


def test_a_station_that_was_deleted_stops_serving(world: World) -> None:
    station = world.stations.pop("stb")
    world.desk.call("ManagementStationClient", "delete_management_station", station.station_id)
    waiting.until(lambda: '"Gone"' in station.health(), 10, "the station to hear of it")
    assert station.health().startswith("503")
