"""The configuration of nginx: the station's URL space on two direct ports and two ports for balancers.

Direct ports check the client's own address against the permitted ranges. Balancer ports demand the PROXY protocol,
refuse every peer that is not one of the group's balancers, by the real peer address, and check the address that the
balancer passes on (I10, design 12a). ``/healthz`` is open. What the daemon has to keep for this is listed in ``spec``.
"""

from __future__ import annotations

import dataclasses

from stationmaster.host import templates
from stationmaster.model import addresses
from stationmaster.station.sites import spec as site_spec


@dataclasses.dataclass(frozen=True)
class _Server:
    title: str
    listens: tuple[str, ...]
    port: int
    is_tls: bool
    is_for_balancers: bool


def render_nginx(spec: site_spec.NginxSpec) -> str:
    """The whole text of ``nginx.conf``; the order of addresses and peers in ``spec`` does not change it."""
    return templates.render(
        "stationmaster.station.sites",
        "nginx.conf.j2",
        certificate=spec.certificate,
        user=spec.user,
        worker_processes=spec.worker_processes,
        probe_token=spec.probe_token,
        advertised=addresses.url_host(addresses.canonical_host(spec.hostname)),
        directory=spec.directory,
        log=spec.log,
        state=spec.state_directory,
        serving=spec.serving,
        www=spec.www,
        mirror=spec.mirror_directory,
        daemon_socket=spec.daemon_socket,
        balancer_addresses=site_spec.sorted_addresses(spec.balancer_addresses),
        permitted=site_spec.sorted_networks(spec.permitted),
        monitors=site_spec.sorted_networks(spec.monitors),
        peers=sorted(spec.peers),
        authority=spec.authority,
        is_volume_silent=spec.is_volume_silent,
        servers=_servers(spec),
    )


def nginx_ports(spec: site_spec.NginxSpec) -> tuple[int, ...]:
    """The ports that answer once this configuration is in force."""
    http = (spec.direct.http, spec.balancer.http)
    return (*http, spec.direct.https, spec.balancer.https) if spec.certificate else http


def _servers(spec: site_spec.NginxSpec) -> tuple[_Server, ...]:
    servers = [
        _Server("Clients that come directly.", _listens(spec, spec.direct.http, ""), spec.direct.http, False, False),
        _Server("Balancers.", _listens(spec, spec.balancer.http, "proxy_protocol"), spec.balancer.http, False, True),
    ]
    if spec.certificate:
        servers += [
            _Server(
                "Clients that come directly, TLS.",
                _listens(spec, spec.direct.https, "ssl"),
                spec.direct.https,
                True,
                False,
            ),
            _Server(
                "Balancers, TLS.",
                _listens(spec, spec.balancer.https, "ssl proxy_protocol"),
                spec.balancer.https,
                True,
                True,
            ),
        ]
    return tuple(servers)


def _listens(spec: site_spec.NginxSpec, port: int, options: str) -> tuple[str, ...]:
    """A backlog of 4096 lets a whole fleet come at once; IPv6 sockets take IPv6 only, so each address is itself."""
    found = []
    for address in spec.listen:
        extra = " ipv6only=on" if ":" in address else ""
        found.append(f"{addresses.url_host(address)}:{port} {options} backlog=4096{extra}".replace("  ", " "))
    return tuple(found)
