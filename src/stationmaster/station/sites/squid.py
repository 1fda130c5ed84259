"""The configuration of squid: CONNECT to the hub, for permitted clients, and nothing else (I10).

Two ports as nginx has them: one for clients that come directly, one that demands the PROXY protocol from the group's
balancers. The hub's last known addresses go into a hosts file, so that a dead name server does not cost 35 s. That file
is named by its content: a new address is then a new configuration text, and one comparison decides about a reload.
"""

from __future__ import annotations

import dataclasses
import hashlib
import urllib.parse
from pathlib import Path

from stationmaster.host import templates
from stationmaster.model import addresses, forward_proxy
from stationmaster.station.sites import spec as site_spec


@dataclasses.dataclass(frozen=True)
class SquidFiles:
    """The configuration, and the hosts file that it names."""

    configuration: str
    hosts_path: Path
    hosts: str


def render_squid(spec: site_spec.SquidSpec) -> SquidFiles:
    """Both texts; the order of addresses in ``spec`` does not change them."""
    hosts = _hosts(spec.hub)
    hosts_path = spec.directory / f"hosts-{hashlib.sha256(hosts.encode()).hexdigest()[:12]}"
    text = templates.render(
        "stationmaster.station.sites",
        "squid.conf.j2",
        visible_hostname=f"{spec.service_name}.station",
        service_name=spec.service_name,
        directory=spec.directory,
        user=spec.user,
        direct_ports=[one for port in _direct(spec) for one in _endpoints(spec.listen, port)],
        balancer_ports=[one for port in _for_balancers(spec) for one in _endpoints(spec.listen, port)],
        balancer_addresses=site_spec.sorted_addresses(spec.balancer_addresses),
        permitted=site_spec.sorted_networks(spec.permitted),
        hub_names=sorted({addresses.canonical_host(name) for name in spec.hub.names}),
        hub_port=spec.hub.port,
        hosts_file=hosts_path,
        forward=spec.forward,
        login=_login(spec.forward),
    )
    return SquidFiles(text, hosts_path, hosts)


def squid_ports(spec: site_spec.SquidSpec) -> tuple[int, ...]:
    """The ports that answer once this configuration is in force."""
    return (*_direct(spec), *_for_balancers(spec))


def _direct(spec: site_spec.SquidSpec) -> list[int]:
    return sorted({spec.direct.proxy, *([spec.beside.direct.proxy] if spec.beside else [])})


def _for_balancers(spec: site_spec.SquidSpec) -> list[int]:
    return sorted({spec.balancer.proxy, *([spec.beside.balancer.proxy] if spec.beside else [])})


def _endpoints(listen: tuple[str, ...], port: int) -> list[str]:
    """Where to listen; a bare port is every address of both families, which squid takes with one socket, not two."""
    if {"0.0.0.0", "::"} <= set(listen):  # noqa: S104 - compared with, not bound to
        return [str(port)]
    return [f"{addresses.url_host(one)}:{port}" for one in listen]


def _hosts(hub: site_spec.HubTarget) -> str:
    """One line per address with every name; names that are addresses need none."""
    names = sorted({addresses.canonical_host(name) for name in hub.names} - _literal_addresses(hub.names))
    if not names:
        return ""
    return "".join(f"{address} {' '.join(names)}\n" for address in site_spec.sorted_addresses(hub.addresses))


def _literal_addresses(names: tuple[str, ...]) -> set[str]:
    return {name for name in map(addresses.canonical_host, names) if addresses.is_address(name)}


def _login(forward: forward_proxy.ForwardProxy | None) -> str:
    """As URL escapes, which squid decodes: no character of a password then means anything to its parser."""
    if forward is None or not forward.user:
        return ""
    user, password = (urllib.parse.quote(one, safe="") for one in (forward.user, forward.password))
    return f" login={user}:{password}"
