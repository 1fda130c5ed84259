"""A station as commands show it, and the API's details made from options. Pure."""

from __future__ import annotations

from typing import Any

from stationmaster.cli import output, resources

LIST = [
    output.Column("name", "displayName"),
    output.Column("hostname", "hostname"),
    output.Column("state", "lifecycleState"),
    output.Column("health", "healthState"),
    output.Column("mirrors", "overallState"),
    output.Column("synced %", "overallPercentage"),
    output.Column("id", "id"),
]
ONE = [
    output.Column("name", "displayName"),
    output.Column("id", "id"),
    output.Column("compartment", "compartmentId"),
    output.Column("hostname", "hostname"),
    output.Column("state", "lifecycleState"),
    output.Column("health", "health.state"),
    output.Column("", "health.description"),
    output.Column("peers", "peerManagementStations", lambda peers: ", ".join(one["displayName"] for one in peers)),
    output.Column("proxy", "proxy.isEnabled"),
    output.Column("permitted", "proxy.hosts"),
    output.Column("proxy port", "proxy.port"),
    output.Column("forward proxy", "proxy.forward"),
    output.Column("mirror directory", "mirror.directory"),
    output.Column("mirror HTTP port", "mirror.port"),
    output.Column("mirror HTTPS port", "mirror.sslport"),
    output.Column("clients use HTTPS", "mirror.isSslverifyEnabled"),
    output.Column("mirrors", "totalMirrors"),
    output.Column("mirror state", "overallState"),
    output.Column("synced %", "overallPercentage"),
    output.Column("packages", "mirrorPackageCount"),
    output.Column("mirrored", "mirrorSize", output.format_size),
    output.Column("volume", "mirrorStorageSize", output.format_size),
    output.Column("free", "mirrorStorageAvailableSize", output.format_size),
    output.Column("instance", "managedInstanceId"),
    output.Column("profile", "profileId"),
]
MIRRORS = [
    output.Column("source", "displayName"),
    output.Column("state", "state"),
    output.Column("%", "percentage"),
    output.Column("last synced", "timeLastSynced", output.format_time),
    output.Column("packages", "packageCount"),
    output.Column("size", "size", output.format_size),
    output.Column("id", "id"),
    output.Column("log", "log"),
]


def make_body(given: dict[str, Any], tenancy_id: str) -> dict[str, Any]:
    """The API's details from the options of `create`."""
    return resources.given(
        {
            "compartmentId": given["compartment_id"] or tenancy_id,
            "displayName": given["display_name"],
            "description": given["description"],
            "hostname": given["hostname"],
            "proxy": {
                "isEnabled": given["proxy"],
                "hosts": list(given["ranges"]),
                "port": given["proxy_port"],
                **resources.given({"forward": given["forward_proxy"]}),
            },
            "mirror": {
                "directory": given["mirror_directory"],
                "port": given["http_port"],
                "sslport": given["https_port"],
                "isSslverifyEnabled": given["mirror_tls"],
            },
        }
    )


def make_changes(given: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The API's details from the options of `update`; the proxy and mirror blocks are sent whole where they change."""
    proxy = resources.given(
        {
            "isEnabled": given["proxy"],
            "hosts": given["ranges"],
            "port": given["proxy_port"],
            "forward": given["forward_proxy"],
        }
    )
    mirror = resources.given(
        {
            "directory": given["mirror_directory"],
            "port": given["http_port"],
            "sslport": given["https_port"],
            "isSslverifyEnabled": given["mirror_tls"],
        }
    )
    return resources.given(
        {
            "displayName": given["display_name"],
            "description": given["description"],
            "hostname": given["hostname"],
            "proxy": {**now["proxy"], **proxy} if proxy else None,
            "mirror": {**now["mirror"], **mirror} if mirror else None,
        }
    )
