"""The steps of the HA guide that set a scenario up, over the commands and the API that a person uses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stationmaster.lab import (
    deb_plan,
    debian_suite,
    machines,
    operators,
    roots,
    rpm_plan,
    upstream_deb,
    upstream_rpm,
    waiting,
    web,
)
from stationmaster.lab.world import BALANCER, DEB, HTTP_PORT, HTTPS_PORT, PERMITTED, PROXY_PORT, RPM, World
from stationmaster.model import errors

_VOLUME_BYTES = 600 << 20
# The published SDK lets no family through that it does not know; Ubuntu's stands for all that use apt.
_OS_FAMILY = {RPM: "ORACLE_LINUX_9", DEB: "UBUNTU_22_04"}


def publish_upstream(world: World, sizes: tuple[int, int] | None = None) -> None:
    """Step 1: an nginx with a signed RPM repository and a real DEB suite, or one built here where there is none.

    ``sizes``: how many packages are built for each, where it is not to be as many as the guide's.
    """
    rpms, debs = (None, None)
    if sizes is not None:
        rpms, debs = rpm_plan.plan_packages(sizes[0]), deb_plan.plan_packages(sizes[1])
    site = world.lab["up"].directory / "site"
    world.lab.files.make_directory(world.cache)
    world.rpm = upstream_rpm.prepare(site, world.cache, rpms)
    world.show.say(f"RPM: {len(world.rpm.packages)} packages by rpmbuild, signed, with updateinfo, comps and modules")
    what = "built on the spot and signed here"
    try:
        world.deb = debian_suite.prepare(site, world.cache) if world.is_debian_wanted else None
        what = "Debian's own, signed by Debian" if world.deb else what
    except errors.HostError as exc:
        what = f"built on the spot and signed here, because: {exc.message}"
    if world.deb is None:
        world.deb_upstream = upstream_deb.prepare(site, world.cache, debs)
        world.deb = world.deb_upstream.describe()
    size = sum(stanza.size_bytes for stanza in world.deb.stanzas) >> 20
    world.show.say(f"DEB: {len(world.deb.stanzas)} packages, {size} MiB, suite {world.deb.suite}: {what}")
    world.server = web.UpstreamServer(world.lab["up"], site)
    world.server.start()


def start_hub(world: World, database: str = "") -> None:
    """Step 2: a hub, on SQLite unless a database is given, HTTPS from its own CA, and the operator's desk."""
    world.hub = machines.Hub(world.lab["hub"], database)
    world.hub.make()
    world.hub.serve()
    world.operator = operators.Operator(
        world.lab["ops"],
        config_file=world.hub.config_file,
        address=world.hub.on.address,
        name=machines.HUB_NAME,
        port=machines.HUB_PORT,
        ca=world.hub.ca,
    )
    world.show.say(f"https://{machines.HUB_NAME}:{machines.HUB_PORT}, administrator in {world.hub.config_file}")


def create_station(
    world: World, name: str, display_name: str, hostname: str, volume: Path | None = None
) -> machines.Station:
    """Step 3: create a station through the SDK with the guide's table, register its host, run it.

    ``volume``: where its mirror shall lie, when not on a volume of its own.
    """
    desk = world.desk
    volume = volume or world.lab.mounts.make_volume(world.lab[name], size_bytes=_VOLUME_BYTES)
    station = machines.Station(world.lab[name], volume)
    models = desk.models
    details = models.CreateManagementStationDetails(
        compartment_id=desk.compartment_id,
        display_name=display_name,
        description="Station in HA config",
        hostname=hostname,
        is_auto_config_enabled=False,
        proxy=models.CreateProxyConfigurationDetails(is_enabled=True, hosts=[PERMITTED], port=str(PROXY_PORT)),
        mirror=models.CreateMirrorConfigurationDetails(
            directory=str(volume), port=str(HTTP_PORT), sslport=str(HTTPS_PORT), is_sslverify_enabled=False
        ),
    )
    created = desk.call("ManagementStationClient", "create_management_station", details).data
    station.station_id = created.id
    station.register(desk.response_file(created.profile_id))
    station.start()
    world.stations[name] = station
    return station


def create_sources_and_profiles(world: World, station_name: str) -> None:
    """Step 4: one RPM and one DEB source, and profiles that name one station only."""
    if world.deb is None:
        raise errors.CallerError("Publish the upstream first.")
    deb_options = f"Suites: {world.deb.suite}\nComponents: {' '.join(world.deb.components)}"
    world.sources[RPM] = _create_source(world, RPM, "rpm", "keys/rpm.asc", None)
    world.sources[DEB] = _create_source(world, DEB, world.deb.name, world.deb.key_path, deb_options)
    desk = world.desk
    for kind, source_id in world.sources.items():
        details = desk.models.CreateSoftwareSourceProfileDetails(
            display_name=f"{kind}-instances",
            compartment_id=desk.compartment_id,
            management_station_id=world.stations[station_name].station_id,
            registration_type="NON_OCI_LINUX",
            vendor_name="ORACLE" if kind == RPM else "CANONICAL",
            os_family=_OS_FAMILY[kind],
            arch_type="X86_64",
            software_source_ids=[source_id],
        )
        world.profiles[kind] = desk.call("OnboardingClient", "create_profile", details).data.id


def wait_until_synced(world: World, seconds: float = 90.0) -> None:
    """Until every station lists every source as SYNCED; says what is missing when that takes too long."""
    wanted = {(name, source) for name in world.stations for source in world.sources.values()}

    def missing() -> list[str]:
        found: dict[tuple[str, str], Any] = {}
        for name, station in world.stations.items():
            mirrors = world.desk.call("ManagementStationClient", "list_mirrors", station.station_id).data.items
            found.update({(name, mirror.id): mirror for mirror in mirrors})
        words = []
        for name, source in sorted(wanted):
            mirror = found.get((name, source))
            if mirror is None or mirror.state != "SYNCED":
                state = (
                    "not in its list" if mirror is None else f"{mirror.state} {mirror.percentage}% {mirror.log or ''}"
                )
                words.append(f"{source[-6:]} on {name}: {state}")
        return words

    last: list[str] = []

    def is_synced() -> bool:
        last[:] = missing()
        return not last

    try:
        waiting.until(is_synced, seconds, "all mirrors to be SYNCED", every=0.5)
    except errors.HostError as exc:
        raise errors.HostError(f"Not SYNCED after {seconds:g} s: {'; '.join(last)}") from exc


def start_balancer(world: World) -> None:
    """Step 5: a real HAProxy from ``balancer render``, its health checks seeing every station."""
    printed = world.desk.stationmaster("balancer", "render", "--hostname", BALANCER, "--format", "haproxy")
    world.balancer = machines.Balancer(world.lab["lb"])
    world.balancer.start(printed.require_success("balancer render").stdout)


def register_instance(world: World, name: str, kind: str, package_manager: str = "") -> machines.Instance:
    """Step 6: a root, registered with an ``input.rsp`` of the profile of its kind; RPM means dnf if nothing is said."""
    on = world.lab[name]
    os_release = roots.RPM_OS_RELEASE if kind == RPM else ""
    root = roots.make_overlay_root(world.lab, on, os_release=os_release)
    instance = machines.Instance(on, root, package_manager or ("dnf" if kind == RPM else "apt"))
    if kind == DEB and world.deb is not None and world.deb.is_debian:
        stanza = roots.choose_update_candidate(world.deb.stanzas, on, root)
        roots.install_former_deb(world.lab, on, root, stanza)
        world.former_deb = stanza.name
    instance.register(world.desk.response_file(world.profiles[kind]))
    instance.check_in().require_success(f"The first check-in of {name}")
    instance.instance_id = _instance_id(world, world.instances)
    world.instances[name] = instance
    return instance


def _create_source(world: World, name: str, path: str, key: str, options: str | None) -> str:
    models = world.desk.models
    details = models.CreatePrivateSoftwareSourceDetails(
        compartment_id=world.desk.compartment_id,
        display_name=f"lab-{name}",
        url=f"http://up.lab/{path}/",
        os_family=_OS_FAMILY[name],
        arch_type="X86_64",
        gpg_key_url=f"http://up.lab/{key}",
        is_gpg_check_enabled=True,
        is_mirror_sync_allowed=True,
        advanced_repo_options=options,
    )
    return str(world.desk.call("SoftwareSourceClient", "create_software_source", details).data.id)


def _instance_id(world: World, known: Mapping[str, machines.Instance]) -> str:
    """The managed instance that is neither a station's host nor known already."""
    desk = world.desk
    listed = desk.call("ManagedInstanceClient", "list_managed_instances", compartment_id=desk.compartment_id).data.items
    taken = {instance.instance_id for instance in known.values()}
    (fresh,) = [entry.id for entry in listed if not entry.is_management_station and entry.id not in taken]
    return str(fresh)
