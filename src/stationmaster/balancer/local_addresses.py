"""The addresses from which this node's HAProxy may reach stations: stations believe the PROXY protocol from these."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from pathlib import Path

from stationmaster.balancer import spec as balancer
from stationmaster.host import files, network

_FIB = Path("/proc/self/net/fib_trie")
_INET6 = Path("/proc/self/net/if_inet6")


def parse_fib_trie(text: str) -> tuple[str, ...]:
    """The host's own IPv4 addresses in the kernel's routing trie, loopback left out."""
    found = set()
    address = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("|--"):
            address = stripped.removeprefix("|--").strip()
        elif stripped.startswith("/32 host LOCAL"):
            found.add(address)
    return tuple(sorted(one for one in found if not ipaddress.ip_address(one).is_loopback))


def parse_if_inet6(text: str) -> tuple[str, ...]:
    """The host's own IPv6 addresses, loopback and link-local ones left out."""
    all_of_them = (ipaddress.IPv6Address(bytes.fromhex(line.split()[0])) for line in text.splitlines() if line.strip())
    return tuple(sorted(str(one) for one in all_of_them if not one.is_loopback and not one.is_link_local))


def addresses_towards(
    servers: Iterable[balancer.Server], towards: Callable[[str, int], str | None] = network.address_towards
) -> tuple[str, ...]:
    """What this node uses on its way to these stations: on one machine that is a loopback address."""
    return tuple(sorted({own for one in servers if (own := towards(one.address, one.ports.http))}))


def local_addresses(servers: Iterable[balancer.Server]) -> tuple[str, ...]:
    """All of them, sorted, each once."""
    own = parse_fib_trie(files.read_text_or_none(_FIB) or "") + parse_if_inet6(files.read_text_or_none(_INET6) or "")
    return tuple(sorted({*own, *addresses_towards(servers)}))
