"""The group that chaos is done to: three stations, two of them on one GlusterFS volume, behind a balancer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from stationmaster.lab import (
    gluster,
    guide,
    lab,
    machines,
    mounts,
    postgres,
    scenario,
    show,
    virtual_address,
    waiting,
)
from stationmaster.lab import world as guidebook
from stationmaster.lab.addressing import FloatingName, HostSpec, Network
from stationmaster.lab.world import DEB, RPM, World

SHARING = ("sta", "stb")  # these two have one volume, at different paths
ALONE = "stc"
STATIONS = (*SHARING, ALONE)
SERVERS = ("ga", "gb", "gc")
HUBS = ("hub", "hub2")  # the second where the database can be shared
BALANCERS = ("lb", "lb2")  # the first holds the virtual address while it can
FLOATING = (FloatingName(guidebook.BALANCER, 190),)
_PACKAGES = (60, 24)
_PROBE_SOURCES = 24  # more than ask within a balancer's bound: were all to hang, nobody could come anew
_BRICK_BYTES = 900 << 20


@dataclasses.dataclass
class Stage:
    """A world and what it stands on. ``database`` is absent where the hub is on SQLite."""

    world: World
    storage: gluster.Storage
    database: postgres.Postgres | None
    hubs: dict[str, machines.Hub] = dataclasses.field(default_factory=dict)
    nodes: dict[str, virtual_address.Node] = dataclasses.field(default_factory=dict)

    def power_on(self, name: str) -> None:
        """Bring a station back that lost its power: its file systems, then its daemon."""
        station = self.world.stations[name]
        if name in SHARING:
            self.storage.remount(station.on, station.volume)
        station.start()

    def unmount(self, name: str) -> None:
        """Take a station's volume away."""
        self.world.lab.mounts.detach_volume(self.world.stations[name].volume)

    def mount(self, name: str) -> None:
        """Undo ``unmount``."""
        station = self.world.stations[name]
        if name in SHARING:
            self.storage.remount(station.on, station.volume)
        else:
            self.world.lab.mounts.attach_volume(station.volume)

    def fill(self, name: str) -> None:
        """Leave no byte on a station's volume; a shared one is full for both.

        GlusterFS keeps a hundredth of a brick for itself, and a brick without a byte for its own checks ends itself.
        """
        for place in self._places(name):
            mounts.fill_volume(place, leave_bytes=_BRICK_BYTES // 200 if name in SHARING else 0)

    def free(self, name: str) -> None:
        """Undo ``fill``."""
        for place in self._places(name):
            (place / mounts.FILLER).unlink(missing_ok=True)

    def turn_read_only(self, name: str) -> None:
        """One station can write no more to its volume; one that shares it can."""
        volume, mounting = self.world.stations[name].volume, self.world.lab.mounts
        mounting.turn_read_only(volume, volume if name in SHARING else None)

    def turn_writable(self, name: str) -> None:
        """Undo ``turn_read_only``."""
        volume, mounting = self.world.stations[name].volume, self.world.lab.mounts
        mounting.turn_writable(volume, volume if name in SHARING else None)

    def _places(self, name: str) -> list[Path]:
        if name in SHARING:
            return [self.storage.brick_directory(number) for number in range(2)]
        return [self.world.stations[name].volume]


def hosts(*, has_database: bool) -> tuple[HostSpec, ...]:
    """Who takes part; instances reach nothing but the balancer."""
    core = ("up", HUBS[0], "ops", *STATIONS, *SERVERS)
    # The hub's name leads to both replicas.
    beside = (HostSpec("db"), HostSpec(HUBS[1], aliases=(machines.HUB_NAME,))) if has_database else ()
    balancers = (HostSpec(name, (Network.CORE, Network.EDGE)) for name in BALANCERS)
    instances = (HostSpec(name, (Network.EDGE,)) for name in ("rpm1", "deb1"))
    return (*(HostSpec(name) for name in core), *beside, *balancers, *instances)


def build(made: lab.Lab, reporter: show.Reporter, cache: Path, *, has_database: bool) -> Stage:
    """Everything up to two instances that have installed something, with nothing left to happen."""
    world = World(made, reporter, cache, is_debian_wanted=False)
    stage = Stage(world, gluster.Storage(made, [made[name] for name in SERVERS]), None)
    with reporter.step("Storage: GlusterFS, two bricks and an arbiter"):
        stage.storage.make(size_bytes=_BRICK_BYTES)
    with reporter.step(
        f"{'Two hubs on PostgreSQL' if has_database else 'Hub on SQLite'}, upstream with an RPM and a DEB repository"
    ):
        scenario.publish_upstream(world, _PACKAGES)
        if has_database:
            stage.database = postgres.Postgres(made["db"], made.files)
            stage.database.make()
            stage.database.start()
        start_hubs(stage)
    with reporter.step("Three stations: two share the volume, one has its own"):
        for name in SHARING:
            volume = stage.storage.mount(made[name], f"volume-of-{name}")
            scenario.create_station(world, name, name, guidebook.BALANCER, volume)
        scenario.create_station(world, ALONE, ALONE, guidebook.BALANCER)
        scenario.create_sources_and_profiles(world, SHARING[0])
        scenario.wait_until_synced(world)
        for station in world.stations.values():
            station.wait_until_ready(60)
    with reporter.step("Two balancers with `balancer run` and keepalived; dnf and apt instances behind their address"):
        start_balancers(stage)
        for name, kind in (("rpm1", RPM), ("deb1", DEB)):
            scenario.register_instance(world, name, kind)
        # Balancers choose a station by the client's address: one client would see the faults of one station.
        world.probe_sources = made["rpm1"].add_addresses(Network.EDGE, _PROBE_SOURCES)
        guide.install_packages(world)
    return stage


def start_hubs(stage: Stage) -> None:
    """One hub on SQLite; on PostgreSQL two that share it."""
    world, name = stage.world, HUBS[0]
    scenario.start_hub(world, stage.database.url if stage.database else "")
    assert world.hub is not None  # noqa: S101  just made
    stage.hubs[name] = world.hub
    if stage.database:
        second = machines.Hub(world.lab[HUBS[1]], stage.database.url)
        second.join(world.hub)
        second.serve()
        world.desk.learn(second.on.address)
        stage.hubs[HUBS[1]] = second


def start_balancers(stage: Stage) -> None:
    """Two nodes with one virtual address; returns when it is held, and both end TLS."""
    world = stage.world
    made, desk = world.lab, world.desk
    world.client_address = made.plan.floating_address(guidebook.BALANCER, Network.EDGE)
    for number, (name, peer) in enumerate((BALANCERS, BALANCERS[::-1])):
        options = virtual_address.render_options(made[name], made[peer], world.client_address, 110 - 10 * number)
        printed = desk.stationmaster("balancer", "render", "--hostname", guidebook.BALANCER, *options)
        node = virtual_address.Node(made[name], world.client_address, guidebook.BALANCER, desk.environment)
        node.start(printed.require_success("balancer render").stdout)
        stage.nodes[name] = node
    world.balancer = stage.nodes[BALANCERS[0]].balancer
    for node in stage.nodes.values():
        waiting.until(node.balancer.ends_tls, 30, f"the group's certificate on {node.on.name}")
    virtual_address.wait_for_holder([*stage.nodes.values()])
