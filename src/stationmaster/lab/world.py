"""What a scenario consists of: its hosts, the constants of the guide's table, and what has been made so far."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from stationmaster.lab import host, lab, machines, operators, show, upstream_deb, upstream_rpm, web
from stationmaster.lab.addressing import HostSpec, Network
from stationmaster.model import errors

BALANCER = "loadbalancer.lab"
PERMITTED = "10.0.0.0/8"  # as in the guide's table
PROXY_PORT, HTTP_PORT, HTTPS_PORT = 16080, 17080, 17443
RPM, DEB = "rpm", "deb"
UPDATED_RPM = "lab-app-001"
_BOTH = (Network.CORE, Network.EDGE)


def guide_hosts(instance_networks: Sequence[Network] = (Network.EDGE,)) -> tuple[HostSpec, ...]:
    """The hosts of the guide; instances reach only the balancer, unless they start out without one."""
    legs = tuple(instance_networks)
    return (
        HostSpec("up"),
        HostSpec("hub"),
        HostSpec("ops"),
        HostSpec("sta", aliases=("stationa.lab",)),
        HostSpec("stb", aliases=("stationb.lab",)),
        HostSpec("lb", _BOTH, (BALANCER,)),
        HostSpec("rpm1", legs),
        HostSpec("deb1", legs),
        HostSpec("zyp1", legs),
    )


@dataclasses.dataclass
class World:
    """What a scenario has made so far."""

    lab: lab.Lab
    show: show.Reporter
    cache: Path
    rpm: upstream_rpm.RpmUpstream | None = None
    deb: upstream_deb.DebRepository | None = None
    deb_upstream: upstream_deb.DebUpstream | None = None  # only where the repository is our own
    server: web.UpstreamServer | None = None
    hub: machines.Hub | None = None
    operator: operators.Operator | None = None
    balancer: machines.Balancer | None = None
    stations: dict[str, machines.Station] = dataclasses.field(default_factory=dict)
    instances: dict[str, machines.Instance] = dataclasses.field(default_factory=dict)
    sources: dict[str, str] = dataclasses.field(default_factory=dict)
    profiles: dict[str, str] = dataclasses.field(default_factory=dict)
    former_deb: str = ""
    probe_sources: tuple[str, ...] = ()  # addresses that single requests come from, where one is not enough
    client_address: str = ""  # where instances reach the group, where that is no address of the balancer's host
    is_debian_wanted: bool = True  # else the DEB repository is built here even where Debian's own could be had

    @property
    def desk(self) -> operators.Operator:
        """The operator, once there is a hub."""
        if self.operator is None:
            raise errors.CallerError("There is no hub in this scenario yet.")
        return self.operator

    def station_addresses(self) -> Mapping[str, str]:
        """Where the balancer reaches each station, by the name of its host."""
        return {name: station.on.address for name, station in self.stations.items()}


def write_operator_script(world: World) -> Path:
    """A script that runs a command at the operator's desk; for people who look around in a lab that was kept."""
    path = world.lab.directory / "operator"
    settings = " ".join(f"{name}='{value}'" for name, value in world.desk.environment.items())
    search = f"PATH='{operators.OCI.parent}:{os.environ.get('PATH', '')}'"
    unset = " ".join(f"-u {name}" for name in host.MACHINE_VARIABLES)
    namespace = world.lab["ops"].namespace
    path.write_text(
        "#!/bin/sh\n# A command as the operator of this lab.\n"
        f'exec ip netns exec {namespace} env {unset} {search} {settings} "$@"\n'
    )
    path.chmod(0o755)
    return path
