"""Ports of a station: strings on the OSMH wire, numbers inside; equal over a group (I2)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable

from stationmaster.model import errors


def parse_port(text: str, *, field: str) -> int:
    """The number of a port given as a JSON string (OSMH rule 22); CallerError unless it is 1 to 65535."""
    if text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535:
        return int(text)
    raise errors.CallerError(
        f"{field} is {text!r}, which is no port.",
        hint='Give a number from 1 to 65535 as a string, for example "17080".',
    )


@dataclasses.dataclass(frozen=True, order=True)
class PortTriple:
    """Proxy port, mirror HTTP port and mirror HTTPS port."""

    proxy: int
    http: int
    https: int

    def named(self) -> tuple[tuple[str, int], ...]:
        """The API's field name beside each number."""
        return (("proxy.port", self.proxy), ("mirror.port", self.http), ("mirror.sslport", self.https))

    def next_to(self) -> PortTriple:
        """The default balancer ports: each port + 1 (design 12a)."""
        return PortTriple(self.proxy + 1, self.http + 1, self.https + 1)


def default_balancer_ports(direct: PortTriple) -> PortTriple:
    """Each port + 1 (design 12a); where that is taken or beyond 65535, the next free one, upwards and then downwards.

    A function of the three ports alone, so that peers, whose ports are equal (I2), have equal balancer ports as well.
    """
    taken = {direct.proxy, direct.http, direct.https}
    chosen = []
    for port in (direct.proxy, direct.http, direct.https):
        upwards_then_down = itertools.chain(range(port + 1, 65536), range(port - 1, 0, -1))
        free = next(one for one in upwards_then_down if one not in taken)
        taken.add(free)
        chosen.append(free)
    return PortTriple(*chosen)


def agent_port(direct: PortTriple, balancer: PortTriple) -> int:
    """Where a station answers HAProxy's agent check: the mirror's HTTP port + 2, or the next that is free (ADR 15).

    A function of the other six, so that peers have the same one and nobody has to set it.
    """
    taken = {port for _, port in (*direct.named(), *balancer.named())}
    candidates = itertools.chain(range(direct.http + 2, 65536), range(65535, 0, -1))
    free: int = next(one for one in candidates if one not in taken)
    return free


def require_distinct(direct: PortTriple, balancer: PortTriple) -> None:
    """All six ports of a station differ and exist; CallerError names the two fields that collide."""
    names = [(name, port) for name, port in direct.named()]
    names += [(f"the balancer port of {name}", port) for name, port in balancer.named()]
    seen: dict[int, str] = {}
    for name, port in names:
        if port > 65535:
            raise errors.CallerError(f"{name} would be {port}, beyond 65535.", hint="Choose a port up to 65534.")
        if port in seen:
            raise errors.CallerError(
                f"{seen[port]} and {name} are both {port}.",
                hint="Each port must be one of its own; balancer ports default to each port + 1.",
            )
        seen[port] = name


@dataclasses.dataclass(frozen=True)
class PortOwner:
    """A station that already has ports, for comparing."""

    station_id: str
    display_name: str
    ports: PortTriple


def find_port_clash(ports: PortTriple, peers: Iterable[PortOwner]) -> tuple[PortOwner, str, int, int] | None:
    """I2: the first peer (by id) whose ports differ: peer, field, its port, the wanted one. None when all are equal."""
    for peer in sorted(peers, key=lambda owner: owner.station_id):
        for (name, wanted), (_, theirs) in zip(ports.named(), peer.ports.named(), strict=True):
            if wanted != theirs:
                return peer, name, theirs, wanted
    return None


def require_equal_ports(ports: PortTriple, peers: Iterable[PortOwner]) -> None:
    """I2 as a guard: ConflictError naming the peer and the port."""
    clash = find_port_clash(ports, peers)
    if clash is not None:
        peer, name, theirs, wanted = clash
        raise errors.ConflictError(
            f"{name} {wanted} differs from {theirs} of the peer {peer.display_name} ({peer.station_id}): stations with "
            "the same hostname in the same compartment must use the same ports.",
            hint=f"Use {theirs}, the port of the group, or another hostname.",
        )
