"""What nginx and squid should be, made from the desired state. Pure: names were resolved by the observer.

An entry of the permitted range that cannot be understood or resolved permits nobody and is reported (I10); the rest
holds.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from stationmaster.model import addresses, errors, forward_proxy, port_change, ports, protocol
from stationmaster.station.sites import nginx as site_nginx
from stationmaster.station.sites import spec as site_spec
from stationmaster.station.sites import squid as site_squid

Resolved = Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class SiteHost:
    """What of this host the configurations depend on. ``probe_token`` lets the daemon read its own mirror (R4).

    ``monitors`` may read ``/metrics``.
    """

    state_directory: Path
    listen: tuple[str, ...]
    nginx_user: str | None
    squid_user: str | None
    probe_token: str = dataclasses.field(default="", repr=False)
    monitors: tuple[addresses.Network, ...] = ()


@dataclasses.dataclass(frozen=True)
class Mirror:
    """What of this station's own state nginx depends on; ``authority`` is a file with the hub's CA."""

    certificate: site_spec.Certificate | None = None
    authority: Path | None = None
    is_volume_silent: bool = False


def permitted_networks(
    entries: Sequence[str], resolved: Resolved
) -> tuple[tuple[addresses.Network, ...], tuple[protocol.Problem, ...]]:
    """The networks of the permitted range, and one problem for each entry that gives none."""
    networks: list[addresses.Network] = []
    problems = []
    for entry in entries:
        try:
            networks += addresses.parse_permitted_range(entry, lambda name: resolved.get(name, ()))
        except errors.CallerError as exc:
            problems.append(protocol.Problem(code="PermittedRange", message=str(exc)))
    return tuple(sorted(set(networks), key=str)), tuple(problems)


def names_to_resolve(desired: protocol.StationDesired) -> frozenset[str]:
    """Host names that the configurations need addresses of."""
    names = {entry.strip() for entry in desired.permitted_ranges if "/" not in entry}
    names |= {desired.client_address.host, desired.hub.host}
    return frozenset(name for name in names if name and not addresses.is_address(name))


def balancer_addresses(desired: protocol.StationDesired, resolved: Resolved) -> tuple[str, ...]:
    """The group's balancers: what the hub states, else what the group's name resolves to here (design 12a)."""
    stated = tuple(one for one in desired.balancer_addresses if addresses.is_address(one))
    return stated or _addresses_of(desired.client_address.host, resolved)


def beside(desired: protocol.StationDesired) -> port_change.PortSet | None:
    """What is served beside the ports that clients are told, while the ports of the group change (ADR 24)."""
    if desired.also_ports is None or desired.also_balancer_ports is None:
        return None
    return port_change.PortSet(_triple(desired.also_ports), _triple(desired.also_balancer_ports))


def nginx_spec(
    desired: protocol.StationDesired,
    host: SiteHost,
    resolved: Resolved,
    mirror: Mirror,
) -> site_spec.NginxSpec:
    """The mirror; CallerError when a path cannot be given to nginx."""
    return site_spec.NginxSpec(
        state_directory=host.state_directory,
        mirror_directory=Path(desired.mirror_directory),
        hostname=desired.client_address.host,
        direct=_triple(desired.ports),
        balancer=_triple(desired.balancer_ports),
        permitted=permitted_networks(desired.permitted_ranges, resolved)[0],
        balancer_addresses=balancer_addresses(desired, resolved),
        peers=tuple(peer.station_id for peer in desired.peers),
        authority=mirror.authority,
        is_volume_silent=mirror.is_volume_silent,
        certificate=mirror.certificate,
        user=host.nginx_user,
        listen=host.listen,
        probe_token=host.probe_token,
        monitors=host.monitors,
        beside=beside(desired),
    )


def squid_spec(
    desired: protocol.StationDesired, host: SiteHost, resolved: Resolved, answering: str = ""
) -> site_spec.SquidSpec:
    """The proxy; CallerError when the forward proxy is no address.

    Of several addresses of the hub squid is told the ``answering`` one: of a name in a hosts file it knows but one, and
    to a replica that is frozen it would make tunnels for ever.
    """
    known = tuple(one for one in desired.hub.addresses if addresses.is_address(one))
    known = known or _addresses_of(desired.hub.host, resolved)
    return site_spec.SquidSpec(
        state_directory=host.state_directory,
        service_name=site_spec.squid_service_name(desired.station_id, host.state_directory, host.squid_user),
        direct=_triple(desired.ports),
        balancer=_triple(desired.balancer_ports),
        permitted=permitted_networks(desired.permitted_ranges, resolved)[0],
        balancer_addresses=balancer_addresses(desired, resolved),
        hub=site_spec.HubTarget(
            names=(desired.hub.host,),
            port=desired.hub.port,
            addresses=(answering,) if answering in known else known,
        ),
        forward=forward_proxy.parse_forward_proxy(desired.forward_proxy) if desired.forward_proxy else None,
        is_enabled=desired.is_proxy_enabled,
        user=host.squid_user,
        listen=host.listen,
        beside=beside(desired),
    )


@functools.lru_cache(maxsize=4)
def nginx_digest(spec: site_spec.NginxSpec) -> str:
    """Names a configuration of nginx."""
    return _digest(site_nginx.render_nginx(spec))


@functools.lru_cache(maxsize=4)
def squid_digest(spec: site_spec.SquidSpec) -> str:
    """Names a configuration of squid."""
    files = site_squid.render_squid(spec)
    return _digest(f"{spec.is_enabled}\n{files.hosts}\n{files.configuration}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _triple(given: protocol.Ports) -> ports.PortTriple:
    return ports.PortTriple(given.proxy, given.http, given.https)


def _addresses_of(host: str, resolved: Resolved) -> tuple[str, ...]:
    return (addresses.canonical_host(host),) if addresses.is_address(host) else resolved.get(host, ())
