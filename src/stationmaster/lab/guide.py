"""The first half of the HA guide, new environment: set up, use, and what two failures do to instances at work."""

from __future__ import annotations

import functools

from stationmaster.lab import failures, machines, scenario, waiting
from stationmaster.lab import world as guidebook
from stationmaster.lab.addressing import Network
from stationmaster.lab.world import DEB, RPM, World
from stationmaster.model import errors


def set_up(world: World) -> None:
    """Steps 1 to 6: everything until two instances are served through the balancer."""
    with world.show.step("Upstream: nginx with an RPM and a DEB repository"):
        scenario.publish_upstream(world)
    with world.show.step("Hub: SQLite, HTTPS from its own CA"):
        scenario.start_hub(world)
    with world.show.step("StationA and StationB: created with the OCI SDK, registered, running nginx and squid"):
        for name, display_name in (("sta", "StationA"), ("stb", "StationB")):
            scenario.create_station(world, name, display_name, guidebook.BALANCER)
    with world.show.step("Software sources, and profiles that name StationA only; both stations sync"):
        scenario.create_sources_and_profiles(world, "sta")
        scenario.wait_until_synced(world)
        _say_mirrors(world)
    with world.show.step("Balancer: HAProxy from `balancer render`"):
        for station in world.stations.values():
            station.wait_until_ready(30)
        scenario.start_balancer(world)
    with world.show.step("Instances: dnf and apt, registered through the balancer's name and proxy port"):
        for name, kind in (("rpm1", RPM), ("deb1", DEB)):
            scenario.register_instance(world, name, kind)
            _check_only_route(world, world.instances[name])


def install_packages(world: World) -> None:
    """Step 6: install from the mirror, signatures checked."""
    installed = {"rpm1": ("dnf", "-y", "install", guidebook.UPDATED_RPM), "deb1": ("apt-get", "update")}
    for name, command in installed.items():
        world.instances[name].manage(*command).require_success(f"{' '.join(command)} on {name}")
    if not world.former_deb:
        world.former_deb = "labd-app-001"
        world.instances["deb1"].manage("apt-get", "-y", "install", world.former_deb).require_success("apt-get install")


def order_updates(world: World) -> None:
    """Step 6: upstream brings news, the group shows it, and a job ordered by the ``oci`` command updates both."""
    before = {kind: read_list(world, kind) for kind in world.sources}
    _publish_news(world)
    wanted = world.desk.models.SynchronizeMirrorsDetails(software_source_list=list(world.sources.values()))
    station_id = world.stations["sta"].station_id
    ordered = world.desk.call("ManagementStationClient", "synchronize_mirrors", station_id, wanted)
    world.desk.wait_for_work(ordered.headers["opc-work-request-id"], 60)
    changed = [RPM] if world.deb_upstream is None else [RPM, DEB]
    for kind in changed:
        waiting.until(
            functools.partial(_has_changed, world, kind, before[kind]), 30, f"the group to show the new {kind}"
        )
    for name, package in (("rpm1", guidebook.UPDATED_RPM), ("deb1", world.former_deb)):
        instance = world.instances[name]
        instance.check_in().require_success(f"The check-in of {name}")
        words = ("update-packages", "--managed-instance-id", instance.instance_id)
        answer = world.desk.oci("managed-instance", *words, "--package-names", f'["{package}"]')
        world.desk.wait_for_work(str(answer["opc-work-request-id"]), 90, meanwhile=instance.check_in)
        version = installed_version(instance, package)
        world.show.say(f"{name}: {package} is now {version}; its work request SUCCEEDED")


def run_failures(world: World) -> failures.Outcome:
    """Step 7: StationB is killed, and after its return StationA frozen, while both instances work."""
    plan = (
        failures.Blow("StationB killed (SIGKILL)", "stb", failures.Kind.KILL, seconds=9.0),
        failures.Blow("StationA frozen (SIGSTOP)", "sta", failures.Kind.FREEZE, seconds=9.0),
    )
    return failures.run(world, plan)


def read_list(world: World, kind: str) -> str:
    """The one line that tells instances which generation of a source to use."""
    url = f"http://{guidebook.BALANCER}:{guidebook.HTTP_PORT}/m/{world.sources[kind]}"
    instance = world.instances["rpm1"].on
    return instance.run(["curl", "-sf", "-m", "5", url]).require_success(f"Reading {url}").stdout


def installed_version(instance: machines.Instance, package: str) -> str:
    """The version that an instance's package manager says is installed."""
    query = ("rpm", "-q", "--qf", "%{VERSION}", package)
    if instance.package_manager == "apt":
        query = ("dpkg-query", "-W", "-f", "${Version}", package)
    return instance.manage(*query).require_success(f"Asking for {package}").stdout.strip()


def _has_changed(world: World, kind: str, before: str) -> bool:
    return read_list(world, kind) != before


def _publish_news(world: World) -> None:
    if world.rpm is None:
        raise errors.CallerError("Publish the upstream first.")
    world.rpm.publish_update({guidebook.UPDATED_RPM: "2.0"})
    if world.deb_upstream is not None:
        world.deb_upstream.publish_update({world.former_deb: "2.0"})


def _say_mirrors(world: World) -> None:
    for name, station in world.stations.items():
        mirrors = world.desk.call("ManagementStationClient", "list_mirrors", station.station_id).data.items
        listed = ", ".join(
            f"{mirror.display_name} {mirror.state} ({mirror.package_count} packages)" for mirror in mirrors
        )
        world.show.say(f"{name}: {listed}")


def _check_only_route(world: World, instance: machines.Instance) -> None:
    """An instance of the guide must have no way round the balancer, or the failures would prove nothing."""
    listed = instance.on.run(["ip", "-4", "route"]).require_success("Listing routes").stdout.split("\n")
    if [line.split()[0] for line in listed if line] != [world.lab.plan.range_of(Network.EDGE)]:
        raise errors.HostError(f"{instance.on.name} has more routes than the one to the balancer: {listed}")
