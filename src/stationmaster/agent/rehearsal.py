"""Phase one of a re-point: everything the instance will need is tried at the new address before anything changes.

In this order: the name resolves; the three ports answer; where repositories are read over HTTPS, the certificate holds
for the name; the hub answers through the proxy; the lists of the needed sources answer. The credentials are tried by
phase two's first check-in, which is what they are for.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path

from stationmaster.agent import connection, pins, state
from stationmaster.host import clock, http, network
from stationmaster.model import errors, groups
from stationmaster.model.protocol import ClientAddress, InstanceSource, Problem

HEALTH = "/stationmaster/v1/health"


def open_mirror(address: ClientAddress, ca_file: Path | None, *, is_tls_verified: bool) -> http.Http:
    """Connections to the mirror, trusted as the repositories will trust it."""
    # The mirror's certificate is the hub's, too; loading all of the system's CAs instead costs time and memory.
    return http.Http(ca_file=ca_file, is_tls_verified=is_tls_verified or not address.is_mirror_tls)


def rehearse(
    address: ClientAddress,
    needed: Iterable[InstanceSource],
    *,
    hub_url: str,
    ca_file: Path | None,
    is_tls_verified: bool,
    wall_clock: clock.Clock,
) -> list[Problem]:
    """What stands against the new address; empty when the instance can be moved."""
    if not network.resolve(address.host):
        return [Problem("AddressUnresolved", f"The name {address.host} does not resolve on this instance.")]
    problems = check_ports(address, lambda port: network.is_answering(address.host, port, timeout=5.0))
    if problems:
        return problems
    mirror = open_mirror(address, ca_file, is_tls_verified=is_tls_verified)
    if address.is_mirror_tls and is_tls_verified:
        problems += _check_trust(mirror, address)
    problems += check_proxy(state.AddressInUse.of(address), hub_url, ca_file, wall_clock)
    if problems:
        return problems
    for source in needed:
        problems += _check_source(mirror, address, source)
    return problems


def check_ports(address: ClientAddress, is_answering: Callable[[int], bool]) -> list[Problem]:
    """Each of the three ports that does not answer."""
    named = (("proxy", address.ports.proxy), ("mirror HTTP", address.ports.http), ("mirror HTTPS", address.ports.https))
    return [
        Problem("PortUnanswered", f"{address.host} does not answer on the {name} port {port}.")
        for name, port in named
        if not is_answering(port)
    ]


def check_proxy(
    gateway: state.AddressInUse, hub_url: str, ca_file: Path | None, wall_clock: clock.Clock
) -> list[Problem]:
    """Whether the hub answers through this proxy."""
    opened = connection.open_session(hub_url, ca_file, gateway, wall_clock)
    try:
        opened.request("GET", HEALTH, timeout=15.0)
    except (errors.PeerError, errors.CallerError) as exc:
        worded = connection.explain(exc, gateway, hub_url) if isinstance(exc, errors.PeerError) else exc
        return [Problem(worded.code, worded.message)]
    return []


def _check_trust(mirror: http.Http, address: ClientAddress) -> list[Problem]:
    base = groups.mirror_base_url(address)
    try:
        mirror.request("GET", f"{base}/healthz", timeout=15.0)
    except errors.PeerError as exc:
        name = urllib.parse.urlsplit(base).netloc
        return [Problem("MirrorNotTrusted", f"The certificate of {name} does not hold for that name: {exc.message}")]
    return []


def _check_source(mirror: http.Http, address: ClientAddress, source: InstanceSource) -> list[Problem]:
    found = pins.find_pins(mirror, address, [source])
    problems = list(found.problems)
    tree = found.urls.get(source.source_id)
    if tree is not None:
        try:
            if not pins.is_served(mirror, tree, source):
                problems.append(Problem("SourceNotServed", f"{tree} lacks {pins.root_documents(source)[0]}."))
        except errors.PeerError as exc:
            problems.append(Problem("MirrorUnreachable", f"{tree}: {exc.message}"))
    return problems
