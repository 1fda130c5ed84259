"""One virtual address for two HAProxy nodes: ``keepalived.conf`` for one of them."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import zlib

from stationmaster.balancer import spec as balancer
from stationmaster.host import templates
from stationmaster.model import addresses, errors

FILE_NAME = "keepalived.conf"


@dataclasses.dataclass(frozen=True)
class NodeSpec:
    """What is particular to one node. ``address`` is the group's; ``peers`` empty means multicast."""

    address: str
    interface: str = "eth0"
    priority: int = 100
    source: str | None = None
    peers: tuple[str, ...] = ()
    curl: str = "/usr/bin/curl"


def render_keepalived(spec: balancer.BalancerSpec, node: NodeSpec) -> dict[str, str]:
    """One file that keepalived takes alone. CallerError when the node's values cannot be."""
    _require(node)
    address = ipaddress.ip_address(addresses.canonical_host(node.address))
    # Never at the shared address: the standby would ask the other node's HAProxy, and give up together with it.
    asked = "[::1]" if address.version == 6 else "127.0.0.1"
    text = templates.render(
        "stationmaster.balancer",
        "keepalived.conf.j2",
        hostname=spec.hostname,
        router_id=re.sub(r"[^A-Za-z0-9_.-]", "-", spec.hostname),
        instance="group_" + re.sub(r"[^A-Za-z0-9]", "_", spec.hostname),
        # Two groups in one segment must differ in it; 0 and 255 are not used.
        router_number=zlib.crc32(spec.hostname.encode()) % 254 + 1,
        url=f"http://{asked}:{spec.ports.http}/.balancer",
        address=f"{address}/{address.max_prefixlen}",
        interface=node.interface,
        priority=node.priority,
        source=node.source,
        peers=sorted(set(node.peers)),
        curl=node.curl,
    )
    return {FILE_NAME: text}


def _require(node: NodeSpec) -> None:
    """Each value is what it should be, or named."""
    for name, value in (("--bind", node.address), ("--source", node.source), *(("--peer", one) for one in node.peers)):
        if value is not None and not addresses.is_address(addresses.canonical_host(value)):
            raise errors.CallerError(
                f"{name} is {value!r}; keepalived needs an IP address there.",
                hint="--bind is the virtual address, the one that the group's name resolves to.",
            )
    if not re.fullmatch(r"[A-Za-z0-9_.@-]{1,15}", node.interface):
        raise errors.CallerError(f"--interface is {node.interface!r}, which is no network interface.")
    if not 1 <= node.priority <= 254:
        raise errors.CallerError(f"--priority is {node.priority}.", hint="Give 1 to 254; the higher one is the master.")
