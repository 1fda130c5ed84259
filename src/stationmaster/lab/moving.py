"""The second half of the HA guide: an environment with one station and its instances becomes highly available."""

from __future__ import annotations

from stationmaster.lab import failures, guide, machines, operators, scenario, waiting
from stationmaster.lab import world as guidebook
from stationmaster.lab.world import DEB, RPM, World
from stationmaster.model import errors

STATION_A, STATION_B = "stationa.lab", "stationb.lab"
_SCRIPT = "instance-setup.sh"


def set_up_single(world: World) -> None:
    """What exists: a hub, one station under its own name, and two instances that know only that station."""
    with world.show.step("Upstream: nginx with an RPM and a DEB repository"):
        scenario.publish_upstream(world)
    with world.show.step("Hub: SQLite, HTTPS from its own CA"):
        scenario.start_hub(world)
    with world.show.step(f"StationA under its own name {STATION_A}, and two instances that use it"):
        station = scenario.create_station(world, "sta", "StationA", STATION_A)
        scenario.create_sources_and_profiles(world, "sta")
        scenario.wait_until_synced(world)
        station.wait_until_ready(30)
        for name, kind in (("rpm1", RPM), ("deb1", DEB)):
            instance = scenario.register_instance(world, name, kind)
            require_repositories_at(instance, STATION_A)
        guide.install_packages(world)


def add_second(world: World) -> None:
    """Reconfigure the stations: add one, give both the balancer's name, start the balancer."""
    with world.show.step(f"StationB is added, and both hostnames become {guidebook.BALANCER}"):
        scenario.create_station(world, "stb", "StationB", STATION_B)
        details = world.desk.models.UpdateManagementStationDetails(hostname=guidebook.BALANCER)
        for station in world.stations.values():
            world.desk.call("ManagementStationClient", "update_management_station", station.station_id, details)
        scenario.wait_until_synced(world)
        for station in world.stations.values():
            station.wait_until_ready(60)
    with world.show.step("Nobody answers at that name yet: instances keep to StationA, and are served"):
        for instance in world.instances.values():
            instance.check_in().require_success(f"The check-in of {instance.on.name}")
            require_repositories_at(instance, STATION_A)
            refresh(instance)
    with world.show.step("Balancer: HAProxy from `balancer render`"):
        scenario.start_balancer(world)


def re_point(world: World) -> None:
    """Reconfigure the instances: switch each to an HA station through the API, then run its script on the host."""
    with world.show.step(f"Instances are switched to StationB and re-pointed with {_SCRIPT}"):
        wanted = world.stations["stb"].station_id
        details = world.desk.models.UpdateManagedInstanceDetails(primary_management_station_id=wanted)
        for instance in world.instances.values():
            world.desk.call("ManagedInstanceClient", "update_managed_instance", instance.instance_id, details)
            run_setup_script(instance)
            require_repositories_at(instance, guidebook.BALANCER)
    with world.show.step("From here on instances have no way round the balancer"):
        stations = [station.on for station in world.stations.values()]
        for instance in world.instances.values():
            instance.on.cut(peers=stations)
            instance.check_in().require_success(f"The check-in of {instance.on.name} through the balancer")
            refresh(instance)


def run_failures(world: World) -> failures.Outcome:
    """The instances survive the loss of either station."""
    plan = (
        failures.Blow("StationA killed (SIGKILL)", "sta", failures.Kind.KILL, seconds=8.0),
        failures.Blow("StationB killed (SIGKILL)", "stb", failures.Kind.KILL, seconds=8.0),
    )
    return failures.run(world, plan)


def run_setup_script(instance: machines.Instance) -> None:
    """Fetch the script from where the instance shall go, and run it on the instance's host."""
    url = f"http://{guidebook.BALANCER}:{guidebook.HTTP_PORT}/{_SCRIPT}"
    path = instance.on.directory / _SCRIPT
    fetch = ("curl", "-sf", "-m", "10", "-o", str(path), url)
    waiting.until(lambda: instance.on.run(fetch).is_success, 30, f"{url}")
    environment = {"STATIONMASTER": str(operators.STATIONMASTER)}
    command = ("sh", str(path), "--state-dir", str(instance.state))
    instance.on.run(command, environment=environment, timeout=120).require_success(f"{_SCRIPT} on {instance.on.name}")


def require_repositories_at(instance: machines.Instance, name: str) -> None:
    """HostError unless every repository file of an instance names that host and no other of the lab."""
    pattern = "etc/yum.repos.d/*.repo" if instance.package_manager == "dnf" else "etc/apt/sources.list.d/*.sources"
    text = "".join(path.read_text() for path in sorted(instance.root.glob(pattern)))
    others = {STATION_A, STATION_B, guidebook.BALANCER} - {name}
    if f"//{name}:" not in text or any(f"//{other}:" in text for other in others):
        raise errors.HostError(f"The repository files of {instance.on.name} should name {name} alone: {text}")


def refresh(instance: machines.Instance) -> None:
    """Have the instance's package manager read all repositories anew; dnf asks about keys for each new address."""
    commands = {
        "dnf": ("dnf", "-y", "-q", "--refresh", "makecache"),
        "apt": ("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update"),
    }
    instance.manage(*commands[instance.package_manager]).require_success(f"Refreshing {instance.on.name}")
