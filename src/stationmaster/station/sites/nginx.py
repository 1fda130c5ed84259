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
    """One port. ``list_address`` is what the one-line lists name here instead of the group's address and ``port``."""

    title: str
    listens: tuple[str, ...]
    is_tls: bool
    is_for_balancers: bool
    port: int
    list_address: str


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
    return tuple(one.port for one in _doors(spec))


@dataclasses.dataclass(frozen=True)
class _Door:
    """A port with its purpose; ``direct`` is the clients' port of its own set of ports, ``told`` that of the list."""

    port: int
    is_tls: bool
    is_for_balancers: bool
    direct: int
    told: int


def _doors(spec: site_spec.NginxSpec) -> tuple[_Door, ...]:
    """Each port once; those that are served beside, while the ports of the group change, come last."""
    found: dict[int, _Door] = {}
    told = spec.direct
    for direct, balancer in (
        (spec.direct, spec.balancer),
        *([(spec.beside.direct, spec.beside.balancer)] if spec.beside else []),
    ):
        for is_tls in (False, True) if spec.certificate else (False,):
            mine, theirs = (direct.https, balancer.https) if is_tls else (direct.http, balancer.http)
            named = told.https if is_tls else told.http
            found.setdefault(mine, _Door(mine, is_tls, False, mine, named))
            found.setdefault(theirs, _Door(theirs, is_tls, True, mine, named))
    return tuple(found.values())


def _servers(spec: site_spec.NginxSpec) -> tuple[_Server, ...]:
    advertised = addresses.url_host(addresses.canonical_host(spec.hostname))
    servers = []
    for door in _doors(spec):
        who = "Balancers" if door.is_for_balancers else "Clients that come directly"
        options = [*(["ssl"] if door.is_tls else []), *(["proxy_protocol"] if door.is_for_balancers else [])]
        # Who comes by a port that clients are not told (any more, or yet) stays there.
        elsewhere = f"{advertised}:{door.direct}" if door.direct != door.told else ""
        servers.append(
            _Server(
                f"{who}{', TLS' if door.is_tls else ''}.",
                _listens(spec, door.port, " ".join(options)),
                door.is_tls,
                door.is_for_balancers,
                door.told,
                elsewhere if door.is_for_balancers else "$asked_address",
            )
        )
    return tuple(servers)


def _listens(spec: site_spec.NginxSpec, port: int, options: str) -> tuple[str, ...]:
    """A backlog of 4096 lets a whole fleet come at once; IPv6 sockets take IPv6 only, so each address is itself."""
    found = []
    for address in spec.listen:
        extra = " ipv6only=on" if ":" in address else ""
        found.append(f"{addresses.url_host(address)}:{port} {options} backlog=4096{extra}".replace("  ", " "))
    return tuple(found)
