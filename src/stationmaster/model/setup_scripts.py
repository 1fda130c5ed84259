"""The two scripts that are generated for hosts, as text; the shell itself lies in ``templates``.

``instance-setup.sh`` points an instance at an address, ``station-setup.sh`` opens the firewall of a station and labels
its ports for SELinux. Only values that are checked already go in, and only between single quotes.
"""

from __future__ import annotations

import importlib.resources
import re

from stationmaster.model import addresses, errors, ports, protocol

_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")


def render_instance_setup(address: protocol.ClientAddress) -> str:
    """`instance-setup.sh` for the instances of one group: its address is the default of the script's options (I12)."""
    return _fill(
        "instance-setup.sh",
        {
            "HOST": addresses.canonical_host(addresses.require_host(address.host, field="hostname")),
            "PROXY_PORT": str(address.ports.proxy),
            "HTTP_PORT": str(address.ports.http),
            "HTTPS_PORT": str(address.ports.https),
        },
    )


def render_station_setup(display_name: str, direct: ports.PortTriple, balancer: ports.PortTriple) -> str:
    """`station-setup.sh` for one station: its three ports, and the three that its balancers use."""
    return _fill(
        "station-setup.sh",
        {
            "STATION": re.sub(r"[^A-Za-z0-9 ._-]", "_", display_name),
            "PROXY_PORTS": f"{direct.proxy} {balancer.proxy}",
            "MIRROR_PORTS": f"{direct.http} {direct.https} {balancer.http} {balancer.https}",
        },
    )


def _fill(template: str, values: dict[str, str]) -> str:
    text = importlib.resources.files(__package__).joinpath("templates", template).read_text()

    def value_of(match: re.Match[str]) -> str:
        value = values[match.group(1)]
        if "'" in value or "\n" in value:  # never true for what the callers check; a script is no place to find out
            raise errors.CallerError(f"{match.group(1)} is {value!r}, which cannot stand in a script.")
        return value

    return _PLACEHOLDER.sub(value_of, text)
