"""What a station and an instance should be, made from the facts the hub stores. Pure, and the same for equal facts.

I3 gives what a station mirrors, I12 the address that its clients are told. Input order never shows in the output, since
a digest of it tells a machine whether anything changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from stationmaster.model import addresses, groups, port_change, ports, protocol, repo_options

_DEB_ARCHITECTURES = {
    "X86_64": "amd64",
    "AMD64": "amd64",
    "AARCH64": "arm64",
    "ARM64": "arm64",
    "I386": "i386",
    "I686": "i386",
    "SRC": "source",
}


@dataclasses.dataclass(frozen=True)
class StationFacts:
    """A station as people configured it, and where it said it is reached."""

    id: str
    display_name: str
    hostname: str
    compartment_id: str
    direct: ports.PortTriple
    balancer: ports.PortTriple
    addresses: tuple[str, ...]
    mirror_directory: str
    is_mirror_tls: bool = False
    is_proxy_enabled: bool = True
    permitted_ranges: tuple[str, ...] = ()
    forward_proxy: str | None = None
    certificate_path: str | None = None
    is_draining: bool = False
    is_auto_config_enabled: bool = False

    @property
    def membership(self) -> groups.Membership:
        """What makes its group (I1)."""
        return groups.Membership(self.id, self.hostname, self.compartment_id)

    @property
    def group_id(self) -> str:
        """The group it belongs to, alone or with peers."""
        return groups.group_id(self.hostname, self.compartment_id)

    @property
    def client_address(self) -> protocol.ClientAddress:
        """I12: what its clients are told."""
        return groups.client_address(self.hostname, self.direct, is_mirror_tls=self.is_mirror_tls)


@dataclasses.dataclass(frozen=True)
class SourceFacts:
    """A software source with its options already taken apart."""

    id: str
    repo_id: str
    display_name: str
    format: protocol.SourceFormat
    url: str
    arch_type: str
    suites: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    given_architectures: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    gpg_keys: tuple[str, ...] = ()
    gpg_key_urls: tuple[str, ...] = ()
    is_gpg_checked: bool = True
    is_tls_verified: bool = True
    access: protocol.UpstreamAccess | None = None

    @property
    def architectures(self) -> tuple[str, ...]:
        """As the format names them; none means all that upstream has."""
        if self.format is protocol.SourceFormat.RPM:
            return ()
        if self.given_architectures:
            return self.given_architectures
        found = _DEB_ARCHITECTURES.get(self.arch_type)
        return (found,) if found else ()

    @property
    def is_root_signed(self) -> bool:
        """Whether the upstream must sign its root document: unless ``repo_gpgcheck`` was switched off expressly."""
        if self.format is not protocol.SourceFormat.RPM:
            return True
        return repo_options.is_on(self.options, "repo_gpgcheck", default=True)


@dataclasses.dataclass(frozen=True)
class HubFacts:
    """What every machine is told alike."""

    address: protocol.HubAddress
    ca_pem: str
    heartbeat_seconds: float = 2.0
    confirmed_seconds: float = 6.0
    retention_seconds: float = 3 * 86400.0


@dataclasses.dataclass(frozen=True)
class GroupFacts:
    """A station's group as it is now: all its members, balancers, and sync numbers by source.

    ``beside``: what members serve beside their own ports, while the ports of the group change.
    """

    members: tuple[StationFacts, ...]
    balancer_addresses: tuple[str, ...] = ()
    sync_numbers: Mapping[str, int] = dataclasses.field(default_factory=dict)
    beside: port_change.PortSet | None = None


def mirror_reasons(needs: Iterable[groups.Need]) -> dict[str, tuple[str, ...]]:
    """Why each source is mirrored: who needs it, sorted."""
    reasons: dict[str, set[str]] = {}
    for need in needs:
        reasons.setdefault(need.source_id, set()).add(need.reason)
    return {source_id: tuple(sorted(found)) for source_id, found in sorted(reasons.items())}


def station_desired(
    station: StationFacts,
    group: GroupFacts,
    sources: Iterable[SourceFacts],
    hub: HubFacts,
    *,
    instance_setup_script: str = "",
) -> protocol.StationDesired:
    """Everything ``station`` should be. ``sources`` is the mirror list of its group (I3)."""
    peers = groups.peers_of(station.membership, [member.membership for member in group.members])
    return protocol.StationDesired(
        station_id=station.id,
        display_name=station.display_name,
        group_id=station.group_id,
        compartment_id=station.compartment_id,
        client_address=station.client_address,
        ports=wire_ports(station.direct),
        balancer_ports=wire_ports(station.balancer),
        balancer_addresses=_addresses(group.balancer_addresses),
        peers=[_peer(member) for member in _by_id(group.members) if member.id in peers],
        is_proxy_enabled=station.is_proxy_enabled,
        permitted_ranges=list(station.permitted_ranges),
        forward_proxy=station.forward_proxy,
        mirror_directory=station.mirror_directory,
        certificate_path=station.certificate_path,
        hub=hub.address,
        is_draining=station.is_draining,
        is_auto_config_enabled=station.is_auto_config_enabled,
        sources=[
            _mirror_source(source, group.sync_numbers.get(source.id, 0))
            for source in sorted(sources, key=lambda one: one.id)
        ],
        instance_setup_script=instance_setup_script,
        heartbeat_seconds=hub.heartbeat_seconds,
        confirmed_seconds=hub.confirmed_seconds,
        retention_seconds=hub.retention_seconds,
        agent_port=ports.agent_port(station.direct, station.balancer),
        also_ports=wire_ports(group.beside.direct) if group.beside else None,
        also_balancer_ports=wire_ports(group.beside.balancer) if group.beside else None,
    )


def instance_desired(
    managed_instance_id: str,
    station: StationFacts | None,
    sources: Iterable[tuple[SourceFacts, bool]],
    hub: HubFacts,
) -> protocol.InstanceDesired:
    """Everything an instance should be pointed at; each source with whether it is enabled there."""
    return protocol.InstanceDesired(
        managed_instance_id=managed_instance_id,
        address=station.client_address if station else None,
        ca=hub.ca_pem,
        sources=[
            _instance_source(source, is_enabled=is_enabled)
            for source, is_enabled in sorted(sources, key=lambda pair: pair[0].id)
        ],
        is_tls_verified=bool(station and station.is_mirror_tls),
    )


def balanced_server(station: StationFacts) -> protocol.BalancedServer:
    """A station as a balancer should treat it."""
    state = protocol.ServerState.DRAINING if station.is_draining else protocol.ServerState.IN_ROTATION
    return protocol.BalancedServer(
        station_id=station.id,
        display_name=station.display_name,
        address=station.addresses[0] if station.addresses else None,
        ports=wire_ports(station.balancer),
        direct_ports=wire_ports(station.direct),
        state=state if station.addresses else protocol.ServerState.NO_ADDRESS,
        agent_port=ports.agent_port(station.direct, station.balancer),
    )


def wire_ports(triple: ports.PortTriple) -> protocol.Ports:
    """On the wire."""
    return protocol.Ports(proxy=triple.proxy, http=triple.http, https=triple.https)


def _by_id(members: Sequence[StationFacts]) -> list[StationFacts]:
    return sorted(members, key=lambda member: member.id)


def _addresses(found: Iterable[str]) -> list[str]:
    return sorted({addresses.canonical_host(one) for one in found})


def _peer(station: StationFacts) -> protocol.Peer:
    return protocol.Peer(
        station_id=station.id,
        display_name=station.display_name,
        addresses=list(station.addresses),
        ports=wire_ports(station.direct),
    )


def _mirror_source(source: SourceFacts, sync_number: int) -> protocol.MirrorSource:
    return protocol.MirrorSource(
        source_id=source.id,
        name=source.repo_id,
        format=source.format,
        url=source.url,
        suites=list(source.suites),
        components=list(source.components),
        architectures=list(source.architectures),
        gpg_keys=list(source.gpg_keys),
        gpg_key_urls=list(source.gpg_key_urls),
        is_gpg_checked=source.is_gpg_checked,
        is_root_signed=source.is_root_signed,
        is_tls_verified=source.is_tls_verified,
        access=source.access,
        sync_number=sync_number,
        display_name=source.display_name,
    )


def _instance_source(source: SourceFacts, *, is_enabled: bool) -> protocol.InstanceSource:
    return protocol.InstanceSource(
        source_id=source.id,
        repo_id=source.repo_id,
        display_name=source.display_name,
        format=source.format,
        suites=list(source.suites),
        components=list(source.components),
        architectures=list(source.architectures),
        gpg_keys=list(source.gpg_keys),
        is_gpg_checked=source.is_gpg_checked,
        is_enabled=is_enabled,
        options=list(source.options),
    )
