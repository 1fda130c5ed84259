"""Who is where in a lab: names, namespaces, addresses and hosts files. Decides; ``network`` and ``lab`` carry it out.

Two networks. *Core* joins upstream, hub, stations, balancers; *edge* joins balancers and instances. A host reaches only
those it shares a network with, since nobody forwards; so an instance can reach nothing but a balancer.
"""

from __future__ import annotations

import dataclasses
import enum
import re

from stationmaster.model import errors

DOMAIN = "lab"
FIRST_HOST_OCTET = 10
_NAME = re.compile(r"[a-z][a-z0-9]{0,8}")


class Network(enum.StrEnum):
    """The networks of a lab; the value is also the name of the bridge."""

    CORE = "core"
    EDGE = "edge"

    @property
    def second_octet(self) -> int:
        """10.87.x.0/24 is core, 10.88.x.0/24 is edge."""
        return 87 if self is Network.CORE else 88


@dataclasses.dataclass(frozen=True)
class HostSpec:
    """A host to make: a short name (it is part of interface names), its networks, and further names it answers to."""

    name: str
    networks: tuple[Network, ...] = (Network.CORE,)
    aliases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class FloatingName:
    """A name whose address no host has from the start: the virtual address that balancer nodes pass on."""

    name: str
    octet: int


@dataclasses.dataclass(frozen=True)
class LabPlan:
    """All hosts of one lab. ``lab_id`` is four hexadecimal digits, so that several labs can run side by side."""

    lab_id: str
    hosts: tuple[HostSpec, ...]
    floating: tuple[FloatingName, ...] = ()

    def __post_init__(self) -> None:
        names = [host.name for host in self.hosts]
        for name in names:
            if not _NAME.fullmatch(name) or name == "net":
                raise errors.CallerError(f"{name!r} is no lab host name: a letter, then up to 8 letters and digits.")
        if len(set(names)) != len(names):
            raise errors.CallerError(f"Two lab hosts have one name: {', '.join(names)}.")

    @property
    def switch_namespace(self) -> str:
        """The namespace that holds the bridges, so that the machine's own interfaces never meet them."""
        return f"sm-{self.lab_id}-net"

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Every namespace of the lab, the switch first."""
        return (self.switch_namespace, *(self.namespace(host.name) for host in self.hosts))

    def namespace(self, name: str) -> str:
        """The network namespace of a host."""
        return f"sm-{self.lab_id}-{name}"

    def spec(self, name: str) -> HostSpec:
        """The host of that name."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise errors.CallerError(f"There is no host {name!r} in this lab; it has {self._names()}.")

    def address(self, name: str, network: Network | None = None) -> str:
        """The address of a host on a network; without one, on the first of its networks."""
        host = self.spec(name)
        chosen = network or host.networks[0]
        if chosen not in host.networks:
            raise errors.CallerError(f"Lab host {name!r} has no leg in the {chosen} network.")
        return self._address_of(chosen, FIRST_HOST_OCTET + self.hosts.index(host))

    def floating_address(self, name: str, network: Network) -> str:
        """The address of a floating name on a network."""
        (octet,) = {entry.octet for entry in self.floating if entry.name == name}
        return self._address_of(network, octet)

    def range_of(self, network: Network) -> str:
        """The network in CIDR notation."""
        return f"10.{network.second_octet}.{self._third_octet}.0/24"

    def render_hosts_file(self, name: str) -> str:
        """What ``name`` has as /etc/hosts: itself and everybody it shares a network with, on that network's address."""
        own = self.spec(name)
        lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
        for host in self.hosts:
            shared = [network for network in own.networks if network in host.networks]
            if shared:
                names = (f"{host.name}.{DOMAIN}", host.name, *host.aliases)
                lines.append(f"{self.address(host.name, shared[0])} {' '.join(names)}")
        lines += [f"{self._address_of(own.networks[0], entry.octet)} {entry.name}" for entry in self.floating]
        return "\n".join(lines) + "\n"

    @property
    def _third_octet(self) -> int:
        return int(self.lab_id, 16) % 250 + 1

    def _address_of(self, network: Network, octet: int) -> str:
        return f"10.{network.second_octet}.{self._third_octet}.{octet}"

    def _names(self) -> str:
        return ", ".join(host.name for host in self.hosts)


def render_link_batch(plan: LabPlan) -> str:
    """Commands for ``ip -batch`` in the switch namespace: bridges, and a cable (veth pair) per leg of each host."""
    lines = []
    for network in Network:
        lines += [f"link add name {network} type bridge", f"link set dev {network} up"]
    for host in plan.hosts:
        for network in host.networks:
            port = port_name(host.name, network)
            lines += [
                f"link add name {port} type veth peer name {leg_name(network)} netns {plan.namespace(host.name)}",
                f"link set dev {port} master {network}",
                f"link set dev {port} up",
            ]
    return "\n".join(lines) + "\n"


def render_address_batch(plan: LabPlan, name: str) -> str:
    """Commands for ``ip -batch`` in a host's own namespace: loopback and each leg up, with its address."""
    lines = ["link set dev lo up"]
    for network in plan.spec(name).networks:
        leg = leg_name(network)
        lines += [f"addr add {plan.address(name, network)}/24 dev {leg}", f"link set dev {leg} up"]
    return "\n".join(lines) + "\n"


def port_name(host: str, network: Network) -> str:
    """The switch's end of a cable."""
    return f"{host}.{network}"


def leg_name(network: Network) -> str:
    """The host's end of a cable: the same on every host, as on real ones."""
    return f"{network}0"


class Direction(enum.StrEnum):
    """Which traffic of a host a cut takes away."""

    BOTH = "both"
    INCOMING = "incoming"
    OUTGOING = "outgoing"


def render_cut(direction: Direction, peers: tuple[str, ...]) -> str:
    """Text for nft that silently drop a host's traffic, or only that with ``peers``. Loopback stays.

    Without peers also what finds addresses (ARP): a host behind a dead switch must not claim a virtual address.
    """
    lines = ["table inet sm_cut {"]
    for chain, hook, loopback, far_end, wanted in (
        ("incoming", "input", "iif lo accept", "saddr", direction is not Direction.OUTGOING),
        ("outgoing", "output", "oif lo accept", "daddr", direction is not Direction.INCOMING),
    ):
        if wanted:
            verdict = f"ip {far_end} {{ {', '.join(sorted(peers))} }} drop" if peers else "drop"
            lines += [
                f"  chain {chain} {{",
                f"    type filter hook {hook} priority 0;",
                f"    {loopback}",
                f"    {verdict}",
                "  }",
            ]
    lines += ["}", "table arp sm_cut {"]
    for chain, hook, wanted in (
        ("incoming", "input", direction is not Direction.OUTGOING),
        ("outgoing", "output", direction is not Direction.INCOMING),
    ):
        if wanted and not peers:
            lines += [f"  chain {chain} {{", f"    type filter hook {hook} priority 0;", "    drop", "  }"]
    return "\n".join([*lines, "}"]) + "\n"


def render_heal() -> str:
    """Text for nft that undoes ``render_cut``, also where nothing was cut."""
    return "".join(f"table {family} sm_cut\ndelete table {family} sm_cut\n" for family in ("inet", "arp"))
