"""What a station may be configured as: from the details of a request to the columns of a row, refusing what cannot be.

A refusal names the field or entry. Whether the result fits the peers (I2) is decided by ``stations``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stationmaster.hub.api.wire import base
from stationmaster.hub.api.wire import stations as wire
from stationmaster.model import addresses, errors, forward_proxy, plain_path, ports

Resolve = Callable[[str], Sequence[str]]
Columns = dict[str, Any]


def columns_of_new(details: wire.CreateManagementStationDetails, resolve: Resolve) -> Columns:
    """All configuration columns of a new station, defaults filled in (OSMH rules 5, 20-30)."""
    for field, port in (("proxy.port", details.proxy.port),):
        if port is None:
            raise errors.CallerError(f"{field} is missing.", code="MissingParameter")
    columns = {
        "compartment_id": details.compartment_id,
        "display_name": details.display_name,
        "description": details.description,
        "is_auto_config_enabled": bool(details.is_auto_config_enabled),
        "os_family": (details.os_family or base.OsFamily.ORACLE_LINUX_8).value,
        "arch_type": (details.arch_type or base.ArchType.X86_64).value,
        "proxy_hosts": [],
        "proxy_forward": None,
        "mirror_sslcert": None,
        "is_sslverify_enabled": False,
        "freeform_tags": details.freeform_tags or {},
        "defined_tags": base.kept_tags(details.defined_tags),
        **_host_columns(details.hostname),
        **_proxy_columns(details.proxy, resolve),
        **_mirror_columns(details.mirror),
    }
    return columns | _balancer_columns(columns)


def columns_of_change(details: wire.UpdateManagementStationDetails, row: Any, resolve: Resolve) -> Columns:
    """The columns that an update changes; what it leaves out stays."""
    columns: Columns = {}
    for field in ("display_name", "description", "is_auto_config_enabled", "freeform_tags"):
        value = getattr(details, field)
        if value is not None:
            columns[field] = value
    if details.os_family is not None:
        columns["os_family"] = details.os_family.value
    if details.arch_type is not None:
        columns["arch_type"] = details.arch_type.value
    if details.defined_tags is not None:
        columns["defined_tags"] = base.kept_tags(details.defined_tags)
    if details.hostname is not None:
        columns |= _host_columns(details.hostname)
    if details.proxy is not None:
        columns |= _proxy_columns(details.proxy, resolve)
    if details.mirror is not None:
        columns |= _mirror_columns(details.mirror)
    merged = {name: columns.get(name, getattr(row, name)) for name in ("proxy_port", "mirror_port", "mirror_sslport")}
    if any(merged[name] != getattr(row, name) for name in merged):
        columns |= _balancer_columns(merged)
    return columns


def direct_ports(columns: Mapping[str, Any]) -> ports.PortTriple:
    """The three ports of the API."""
    return ports.PortTriple(columns["proxy_port"], columns["mirror_port"], columns["mirror_sslport"])


def _host_columns(hostname: str) -> Columns:
    host = addresses.require_host(hostname, field="hostname")
    return {"hostname": host, "hostname_key": addresses.canonical_host(host)}


def _balancer_columns(columns: Mapping[str, Any]) -> Columns:
    direct = direct_ports(columns)
    _require_three(direct)
    balancer = ports.default_balancer_ports(direct)
    return {
        "balancer_proxy_port": balancer.proxy,
        "balancer_http_port": balancer.http,
        "balancer_https_port": balancer.https,
    }


def _require_three(direct: ports.PortTriple) -> None:
    seen: dict[int, str] = {}
    for name, port in direct.named():
        if port in seen:
            raise errors.CallerError(
                f"{seen[port]} and {name} are both {port}.", hint="Each of the three ports must be one of its own."
            )
        seen[port] = name


def _proxy_columns(proxy: wire.ProxyDetails, resolve: Resolve) -> Columns:
    columns: Columns = {"is_proxy_enabled": proxy.is_enabled}
    if proxy.hosts is not None:
        addresses.parse_permitted_ranges(proxy.hosts, resolve)
        columns["proxy_hosts"] = [entry.strip() for entry in proxy.hosts]
    if proxy.port is not None:
        columns["proxy_port"] = ports.parse_port(proxy.port, field="proxy.port")
    if proxy.forward is not None:
        columns["proxy_forward"] = _forward(proxy.forward)
    return columns


def _mirror_columns(mirror: wire.MirrorDetails) -> Columns:
    columns: Columns = {
        "mirror_directory": _absolute(mirror.directory, field="mirror.directory"),
        "mirror_port": ports.parse_port(mirror.port, field="mirror.port"),
        "mirror_sslport": ports.parse_port(mirror.sslport, field="mirror.sslport"),
    }
    if mirror.sslcert is not None:
        columns["mirror_sslcert"] = _absolute(mirror.sslcert, field="mirror.sslcert") if mirror.sslcert else None
    if mirror.is_sslverify_enabled is not None:
        columns["is_sslverify_enabled"] = mirror.is_sslverify_enabled
    return columns


def _absolute(path: str, *, field: str) -> str:
    is_clean = path.startswith("/") and path.isprintable() and ".." not in path.split("/") and len(path) < 1024
    if not is_clean or path.strip("/") == "":
        raise errors.CallerError(
            f"{field} is {path!r}, which is no absolute path below the root.",
            hint="Give a path such as /mnt/mirror, without `..`.",
        )
    plain_path.require_plain_path(Path(path), what=field)
    return path.rstrip("/")


def _forward(value: str) -> str | None:
    """A URL, host name or address of the next proxy (OSMH rule 26); an empty string takes it away."""
    text = value.strip()
    if not text:
        return None
    forward_proxy.parse_forward_proxy(text)
    return text
