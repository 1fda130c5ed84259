"""`mirror verify --repair`: what of the engine it needs."""

from __future__ import annotations

import random
import threading

from stationmaster.host import clock, files, http
from stationmaster.mirror import fetch, inspection, repair, volume


def repair_findings(place: volume.Volume, report: inspection.Report) -> list[repair.Repair]:
    """Mend what a check found."""
    door = http.Http()
    fetcher = fetch.Fetcher(files.Files(), door, clock.SystemClock(), jitter=random.Random(), stop=threading.Event())
    try:
        return repair.Repairer(files.Files(), place, fetcher).repair(report.findings)
    finally:
        door.close()
