"""The generated scripts for a station and its clients; their text is the model's."""

from __future__ import annotations

from stationmaster.hub import context
from stationmaster.hub.services import facts
from stationmaster.model import desired, port_change, setup_scripts


def instance_setup(hub: context.Hub, station: desired.StationFacts) -> str:
    """``instance-setup.sh`` for the clients of this station's group (I12)."""
    known = facts.hub_facts(hub)
    is_tls = known.address.url.startswith("https:")
    ca_pem = known.ca_pem if is_tls else ""
    return setup_scripts.render_instance_setup(station.client_address, known.address.url, ca_pem)


def station_setup(station: desired.StationFacts, beside: port_change.PortSet | None) -> str:
    """The script that opens a station's ports on its host, those that are served ``beside`` too."""
    return setup_scripts.render_station_setup(port_change.PortSet(station.direct, station.balancer), beside)
