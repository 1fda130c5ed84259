"""nginx's stream module as an example of another balancer: a whole ``nginx.conf``."""

from __future__ import annotations

import dataclasses

from stationmaster.balancer import haproxy
from stationmaster.balancer import spec as balancer
from stationmaster.host import templates
from stationmaster.model import addresses, errors

FILE_NAME = "nginx.conf"


@dataclasses.dataclass(frozen=True)
class _Port:
    name: str
    listens: tuple[str, ...]
    servers: tuple[str, ...]


def render_nginx(spec: balancer.BalancerSpec) -> dict[str, str]:
    """One file that nginx takes alone. CallerError without a station: nginx refuses an empty upstream."""
    if not spec.servers:
        raise errors.CallerError(
            f"No station of {spec.hostname} has an address yet, and nginx takes no empty group.",
            hint="Register a station first: `stationmaster station register`.",
        )
    wanted = ((haproxy.PROXY, "proxy"), (haproxy.HTTP, "http"), (haproxy.HTTPS, "https"))
    listen = "" if spec.bind == "*" else f"{addresses.url_host(spec.bind)}:"
    ports = [
        _Port(name, tuple(f"{listen}{port}" for port in spec.clients_ports(field)), _servers(spec, field))
        for name, field in wanted
    ]
    text = templates.render(
        "stationmaster.balancer",
        "nginx.conf.j2",
        hostname=spec.hostname,
        speaks_proxy=spec.speaks_proxy,
        ports=ports,
    )
    return {FILE_NAME: text}


def _servers(spec: balancer.BalancerSpec, field: str) -> tuple[str, ...]:
    """A station being drained takes no part, unless all are; it keeps its place, so that the others' clients stay."""
    is_anybody_left = any(not one.is_draining for one in spec.servers)
    return tuple(
        f"{one.shown_address}:{getattr(one.ports, field)} max_fails=1 fail_timeout=2s"
        + (" down" if one.is_draining and is_anybody_left else "")
        for one in spec.servers
    )
