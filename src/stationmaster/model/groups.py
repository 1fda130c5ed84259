"""HA groups: who are peers (I1), what they mirror (I3), and the address clients are given (I12). All pure."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable

from stationmaster.model import addresses, ports, protocol


@dataclasses.dataclass(frozen=True)
class Membership:
    """The two things that make a group; everything else follows."""

    station_id: str
    hostname: str
    compartment_id: str


def group_key(hostname: str, compartment_id: str) -> tuple[str, str]:
    """I1: stations with equal keys are peers."""
    return addresses.canonical_host(hostname), compartment_id


def group_id(hostname: str, compartment_id: str) -> str:
    """A stable name for a group, fit for a path."""
    text = "\n".join(group_key(hostname, compartment_id))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def peers_of(station: Membership, stations: Iterable[Membership]) -> frozenset[str]:
    """I1: the other stations with equal hostname and equal compartment."""
    key = group_key(station.hostname, station.compartment_id)
    return frozenset(
        other.station_id
        for other in stations
        if other.station_id != station.station_id and group_key(other.hostname, other.compartment_id) == key
    )


@dataclasses.dataclass(frozen=True)
class Need:
    """That something which refers to a station needs a source, and why: ``reason`` names the profile or instance."""

    station_id: str
    source_id: str
    reason: str


def mirror_list(station: Membership, stations: Iterable[Membership], needs: Iterable[Need]) -> tuple[str, ...]:
    """I3: the union of the needs of all peers, sorted; equal for every station of a group."""
    members = peers_of(station, stations) | {station.station_id}
    return tuple(sorted({need.source_id for need in needs if need.station_id in members}))


def client_address(hostname: str, direct: ports.PortTriple, *, is_mirror_tls: bool) -> protocol.ClientAddress:
    """I12: the one place where the address that clients are given is made."""
    return protocol.ClientAddress(
        host=addresses.canonical_host(hostname),
        ports=protocol.Ports(proxy=direct.proxy, http=direct.http, https=direct.https),
        is_mirror_tls=is_mirror_tls,
    )


def mirror_base_url(address: protocol.ClientAddress, *, is_tls: bool | None = None) -> str:
    """Scheme, name and port of the mirror, without a trailing slash (I12)."""
    tls = address.is_mirror_tls if is_tls is None else is_tls
    port = address.ports.https if tls else address.ports.http
    return f"{'https' if tls else 'http'}://{addresses.url_host(address.host)}:{port}"


def list_url(address: protocol.ClientAddress, source_id: str, *, trust: str = "") -> str:
    """The one-line list of a source: the only mutable document a pinned client reads (ha-protocol R3).

    ``trust`` is the client's own directory of CAs, for zypper: the list then names it behind the tree's address.
    """
    wanted = f"/capath{trust}" if trust else ""
    return f"{mirror_base_url(address)}/m/{source_id}{wanted}"


def pinned_url(address: protocol.ClientAddress, source_id: str, generation: str, *, is_tls: bool | None = None) -> str:
    """The immutable tree of one generation (ha-protocol R3), with a trailing slash."""
    return f"{mirror_base_url(address, is_tls=is_tls)}/g/{source_id}/{generation}/"


def proxy_url(address: protocol.ClientAddress) -> str:
    """The proxy through which agents reach the hub."""
    return f"http://{addresses.url_host(address.host)}:{address.ports.proxy}"
