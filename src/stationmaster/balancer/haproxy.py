"""A whole ``haproxy.cfg`` from a spec (design 12a, "Balancer modes").

Mirror HTTP in HTTP mode; mirror HTTPS in HTTP mode with re-encryption where the balancer has the group's certificate,
else in TCP mode; the proxy in TCP mode, since a CONNECT cannot be repeated. A check of each port goes through that
port's own engine and the station's readiness. Addresses are literal: nothing here needs a name server.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from stationmaster.balancer import spec as balancer
from stationmaster.host import templates

HTTP = "mirror-http"
HTTPS = "mirror-https"
PROXY = "proxy"
BACKENDS = (HTTP, HTTPS, PROXY)
FILE_NAME = "haproxy.cfg"


@dataclasses.dataclass(frozen=True)
class _Tier:
    name: str
    uri: str
    servers: tuple[str, ...]
    is_last: bool


@dataclasses.dataclass(frozen=True)
class _Port:
    name: str
    title: str
    binds: tuple[str, ...]
    tiers: tuple[_Tier, ...]
    is_monitored: bool = False
    checks_before: tuple[str, ...] = ()


def render_haproxy(spec: balancer.BalancerSpec) -> dict[str, str]:
    """One file that HAProxy takes alone; the order of stations in the hub's answer does not change it."""
    https = _https_terminated(spec, spec.tls) if spec.tls else _https_passed(spec)
    text = templates.render(
        "stationmaster.balancer",
        "haproxy.cfg.j2",
        hostname=spec.hostname,
        servers=spec.servers,
        tls=spec.tls,
        runtime=spec.runtime,
        proxy=" send-proxy-v2 check-send-proxy" if spec.speaks_proxy else "",
        http_ports=[_http(spec), https] if spec.tls else [_http(spec)],
        tcp_ports=[_proxy(spec)] if spec.tls else [https, _proxy(spec)],
    )
    return {FILE_NAME: text.rstrip() + "\n"}


def haproxy_ports(spec: balancer.BalancerSpec) -> tuple[int, ...]:
    """The ports that answer once this configuration is in force."""
    return tuple(port for name in ("proxy", "http", "https") for port in spec.clients_ports(name))


def server_port(backend: str, server: balancer.Server) -> int | None:
    """The port of a server in one of our backends."""
    return {HTTP: server.ports.http, HTTPS: server.ports.https, PROXY: server.ports.proxy}.get(backend)


def _http(spec: balancer.BalancerSpec) -> _Port:
    lines = [(one, f"{one.shown_address}:{one.ports.http}") for one in spec.servers]
    return _Port(HTTP, "Mirror HTTP", _binds(spec, "http"), _tiers(HTTP, lines, "check", soft=False), is_monitored=True)


def _https_terminated(spec: balancer.BalancerSpec, tls: balancer.OwnTls) -> _Port:
    lines = [(one, f"{one.shown_address}:{one.ports.https}") for one in spec.servers]
    options = f"check ssl verify required ca-file {tls.ca} verifyhost {spec.hostname} sni str({spec.hostname})"
    options += f" check-sni {spec.hostname} alpn http/1.1"
    binds = tuple(f"{one} ssl crt {tls.certificate} alpn http/1.1" for one in _binds(spec, "https"))
    return _Port(HTTPS, "Mirror HTTPS", binds, _tiers(HTTPS, lines, options, soft=False))


def _https_passed(spec: balancer.BalancerSpec) -> _Port:
    """The check opens TLS itself and does not look at the certificate: clients do, with the CA that they have."""
    lines = [(one, f"{one.shown_address}:{one.ports.https}") for one in spec.servers]
    tiers = _tiers(HTTPS, lines, "check check-ssl verify none", soft=True)
    return _Port(HTTPS, "Mirror HTTPS", _binds(spec, "https"), tiers)


def _proxy(spec: balancer.BalancerSpec) -> _Port:
    """First any answer at all from squid, which refuses the request, then the station's readiness through nginx.

    In this order: a 404 that "unready" is told by counts only in the last answer of a check. The first connection
    names its port in the backend, not per server; where stations differ in it, readiness alone has to do, which covers
    squid a little later.
    """
    lines = [(one, f"{one.shown_address}:{one.ports.proxy}") for one in spec.servers]
    proxies = {one.ports.proxy for one in spec.servers}
    mirrors = {one.ports.http for one in spec.servers}
    binds = _binds(spec, "proxy")
    if len(proxies) != 1 or len(mirrors) != 1:
        with_port = [(one, f"{where} port {one.ports.http}") for one, where in lines]
        return _Port(PROXY, "Proxy", binds, _tiers(PROXY, with_port, "check", soft=True))
    header = " send-proxy" if spec.speaks_proxy else ""
    checks = (
        f"http-check connect port {proxies.pop()}{header}",
        "http-check send meth HEAD uri http://squid.invalid/ ver HTTP/1.1 hdr Host squid.invalid hdr Connection close",
        "http-check expect rstatus ^[2345]",
        f"http-check connect port {mirrors.pop()}{header}",
    )
    return _Port(PROXY, "Proxy", binds, _tiers(PROXY, lines, "check", soft=True), checks_before=checks)


def _tiers(name: str, lines: Sequence[tuple[balancer.Server, str]], options: str, *, soft: bool) -> tuple[_Tier, ...]:
    """Ready stations by weight; of the last resort one at a time, those being drained after the others."""
    ready = [f"{one.name} {where} id {one.number} weight {one.weight} {options}{_agent(one)}" for one, where in lines]
    last = [f"{one.name} {where} id {one.number} {options}{' backup' * one.is_draining}" for one, where in lines]
    query = ("?unready=404", "?tier=serving&unready=404") if soft else ("", "?tier=serving")
    if name == PROXY:  # whose squid must reach the hub by itself, to be an equal
        query = (f"{query[0]}&port=proxy", query[1])
    return (
        _Tier(name, f"/healthz{query[0]}", tuple(ready), is_last=False),
        _Tier(f"{name}-last", f"/healthz{query[1]}", tuple(last), is_last=True),
    )


def _agent(server: balancer.Server) -> str:
    """The station's own say in its weight. A port that is dead, silent or talks nonsense changes nothing (ADR 15)."""
    return f" agent-check agent-port {server.agent_port} agent-inter 1s" if server.agent_port else ""


def _binds(spec: balancer.BalancerSpec, name: str) -> tuple[str, ...]:
    """IPv6 addresses stand bare before the port in HAProxy."""
    return tuple(f"{spec.bind}:{port}" for port in spec.clients_ports(name))
