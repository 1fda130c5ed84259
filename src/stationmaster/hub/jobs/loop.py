"""The hub's own work, in a thread beside the API."""

from __future__ import annotations

import threading

from stationmaster.hub import context


def run(hub: context.Hub, stop: threading.Event) -> None:
    """Until ``stop`` is set."""
    del hub
    stop.wait()
