"""The two scripts that are generated for hosts, as text; the shell itself lies in ``templates``.

``instance-setup.sh`` points an instance at an address, ``station-setup.sh`` opens the firewall of a station and labels
its ports for SELinux. Only values that are checked already go in, and only between single quotes.
"""

from __future__ import annotations

import importlib.resources
import re

from stationmaster.model import addresses, errors, port_change, ports, protocol

_PEM_LINE = re.compile(r"[A-Za-z0-9+/=]+|-----(BEGIN|END) CERTIFICATE-----")
_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")


def render_instance_setup(address: protocol.ClientAddress, hub_url: str = "", ca_pem: str = "") -> str:
    """`instance-setup.sh` for the instances of one group: its address is the default of the script's options (I12).

    The hub's URL and CA serve the rehearsal on a host whose agent keeps its state elsewhere.
    """
    if hub_url and not re.fullmatch(r"https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._/-]*)?", hub_url):
        raise errors.CallerError(f"The hub's URL is {hub_url!r}, which cannot stand in a script.")
    return _fill(
        "instance-setup.sh",
        {
            "HOST": addresses.canonical_host(addresses.require_host(address.host, field="hostname")),
            "PROXY_PORT": str(address.ports.proxy),
            "HTTP_PORT": str(address.ports.http),
            "HTTPS_PORT": str(address.ports.https),
            "HUB_URL": hub_url.rstrip("/"),
            "CA_PEM": "\n".join(line for line in ca_pem.splitlines() if _PEM_LINE.fullmatch(line)),
        },
    )


def render_station_setup(own: port_change.PortSet, beside: port_change.PortSet | None = None) -> str:
    """`station-setup.sh` for one station: its three ports, the three that its balancers use, and the agent check.

    ``beside``: what else it serves while the ports of its group change.
    """
    proxy: dict[int, None] = {}
    mirror: dict[int, None] = {}
    agent: dict[int, None] = {}
    for one in (own, *([beside] if beside else [])):
        proxy |= dict.fromkeys((one.direct.proxy, one.balancer.proxy))
        mirror |= dict.fromkeys((one.direct.http, one.direct.https, one.balancer.http, one.balancer.https))
        agent |= {ports.agent_port(one.direct, one.balancer): None}
    return _fill(
        "station-setup.sh",
        {
            name: " ".join(str(port) for port in found)
            for name, found in (("PROXY_PORTS", proxy), ("MIRROR_PORTS", mirror), ("AGENT_PORTS", agent))
        },
    )


def _fill(template: str, values: dict[str, str]) -> str:
    text = importlib.resources.files(__package__).joinpath("templates", template).read_text()

    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], text)
