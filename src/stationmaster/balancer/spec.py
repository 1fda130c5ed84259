"""What a balancer is told: the hub's view of one group, as values from which every configuration text is made."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import zlib
from pathlib import Path
from typing import Any

import msgspec

from stationmaster.model import addresses, errors, ports, protocol

_FULL_WEIGHT = 100
_Triple = ports.PortTriple  # a field of a class below is called ports


def parse_view(answer: Any) -> protocol.BalancerView:
    """The view in a JSON value; PeerError when it is none."""
    try:
        return msgspec.convert(answer, protocol.BalancerView, strict=False)
    except msgspec.ValidationError as exc:
        raise errors.PeerError(
            f"The hub's answer about the group is not what a balancer expects: {exc}.",
            hint="Compare the releases of hub and balancer.",
        ) from exc


@dataclasses.dataclass(frozen=True)
class Server:
    """A station behind the balancer. ``number`` is its own, whoever else is there: hashing depends on it.

    ``agent_port`` is where the station says its share of the weight, 0 where it does not.
    """

    station_id: str
    name: str
    address: str
    ports: ports.PortTriple
    number: int
    weight: int = _FULL_WEIGHT
    is_draining: bool = False
    agent_port: int = 0

    @property
    def shown_address(self) -> str:
        """As it stands before a colon and a port."""
        return addresses.url_host(self.address)


@dataclasses.dataclass(frozen=True)
class OwnTls:
    """The group's certificate with its key in one PEM file, where this balancer may end TLS; ``ca`` signs stations."""

    certificate: Path
    ca: Path
    digest: str = ""


@dataclasses.dataclass(frozen=True)
class Runtime:
    """What only a HAProxy has that we run: a socket to talk to it, and the states of servers over a reload."""

    socket: Path
    server_states: Path


@dataclasses.dataclass(frozen=True)
class BalancerSpec:
    """One group's balancer. ``speaks_proxy`` False is for direct ports: stations then see the balancer's address.

    ``also``: clients come to these ports as well, while those of the group change (ADR 24).
    """

    hostname: str
    bind: str
    ports: ports.PortTriple
    servers: tuple[Server, ...]
    tls: OwnTls | None = None
    runtime: Runtime | None = None
    speaks_proxy: bool = True
    also: _Triple | None = None

    def clients_ports(self, name: str) -> tuple[int, ...]:
        """Where clients come to: ``name`` is proxy, http or https."""
        both = (self.ports, *([self.also] if self.also else []))
        return tuple(dict.fromkeys(getattr(one, name) for one in both))


def balancer_spec(
    view: protocol.BalancerView,
    *,
    bind: str = "*",
    tls: OwnTls | None = None,
    runtime: Runtime | None = None,
    speaks_proxy: bool = True,
) -> BalancerSpec:
    """The group as ``view`` has it, in an order of its own; stations without an address are left out."""
    require_bind(bind)
    return BalancerSpec(
        hostname=addresses.canonical_host(view.hostname),
        bind=bind,
        ports=_triple(view.ports),
        servers=_servers(view, speaks_proxy=speaks_proxy),
        tls=tls,
        runtime=runtime,
        speaks_proxy=speaks_proxy,
        also=_triple(view.also_ports) if view.also_ports else None,
    )


def _servers(view: protocol.BalancerView, *, speaks_proxy: bool) -> tuple[Server, ...]:
    names: set[str] = set()
    numbers: set[int] = set()
    found = []
    for one in sorted(view.servers, key=lambda server: (server.display_name, server.station_id)):
        if not one.address or one.state is protocol.ServerState.NO_ADDRESS:
            continue
        name = _name(one, names)
        number = _number(one.station_id, numbers)
        is_draining = one.state is protocol.ServerState.DRAINING
        triple = _triple(one.ports if speaks_proxy else one.direct_ports)
        address = addresses.canonical_host(one.address)
        if not addresses.is_address(address):
            raise errors.PeerError(f"The address {one.address!r} of {one.display_name} is no IP address.")
        weight = 0 if is_draining else _FULL_WEIGHT
        # The agent port talks to the group's balancers alone, which those on direct ports are not.
        agent_port = one.agent_port if speaks_proxy else 0
        found.append(Server(one.station_id, name, address, triple, number, weight, is_draining, agent_port))
        names.add(name)
        numbers.add(number)
    return tuple(found)


def _triple(given: protocol.Ports) -> ports.PortTriple:
    return ports.PortTriple(given.proxy, given.http, given.https)


def _name(server: protocol.BalancedServer, taken: set[str]) -> str:
    """The display name in HAProxy's characters; two stations of one name get the end of their OCIDs."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", server.display_name).strip("-") or "station"
    return plain if plain not in taken else f"{plain}-{re.sub('[^A-Za-z0-9]', '', server.station_id)[-8:]}"


def _number(station_id: str, taken: set[int]) -> int:
    """From the station's own id, so that a station that comes or goes leaves the others' clients where they are."""
    number = zlib.crc32(station_id.encode()) % 2_000_000_000 + 1
    while number in taken:
        number += 1
    return number


def require_bind(bind: str) -> None:
    """``*`` or an address; CallerError otherwise."""
    if bind != "*" and not addresses.is_address(addresses.canonical_host(bind)):
        raise errors.CallerError(
            f"--bind is {bind!r}, which is neither * nor an IP address.", hint="Give the address clients come to."
        )


def without_drain(spec: BalancerSpec) -> BalancerSpec:
    """The part of a spec whose change needs a reload in any case."""
    servers = tuple(dataclasses.replace(one, weight=_FULL_WEIGHT, is_draining=False) for one in spec.servers)
    return dataclasses.replace(spec, servers=servers)


def draining(spec: BalancerSpec) -> frozenset[str]:
    """The names of the stations that drain."""
    return frozenset(one.name for one in spec.servers if one.is_draining)


def digest_of(*contents: bytes) -> str:
    """A short name for file contents, which must not be shown themselves."""
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:16]
