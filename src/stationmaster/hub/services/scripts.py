"""The generated scripts, with what the hub knows put in; their text is the model's."""

from __future__ import annotations

import importlib
from typing import Any

from stationmaster.hub import context
from stationmaster.hub.services import facts
from stationmaster.model import desired


def instance_setup(hub: context.Hub, station: desired.StationFacts) -> str:
    """``instance-setup.sh`` for the clients of this station's group."""
    known = facts.hub_facts(hub)
    return str(_texts().render_instance_setup(station.client_address, known.address.url, known.ca_pem))


def station_setup(hub: context.Hub, station: desired.StationFacts) -> str:
    """The script that opens a station's ports on its host."""
    del hub
    return str(_texts().render_station_setup(station.direct, station.balancer))


def _texts() -> Any:
    return importlib.import_module("stationmaster.model.setup_scripts")
