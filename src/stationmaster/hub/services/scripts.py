"""The generated scripts, with what the hub knows put in; their text is the model's."""

from __future__ import annotations

from stationmaster.hub import context
from stationmaster.model import desired, setup_scripts


def instance_setup(hub: context.Hub, station: desired.StationFacts) -> str:
    """``instance-setup.sh`` for the clients of this station's group."""
    del hub
    return setup_scripts.render_instance_setup(station.client_address)


def station_setup(hub: context.Hub, station: desired.StationFacts) -> str:
    """The script that opens a station's ports on its host."""
    del hub
    return setup_scripts.render_station_setup(station.display_name, station.direct, station.balancer)
