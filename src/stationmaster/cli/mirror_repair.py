"""`mirror verify --repair`: what of the engine it needs."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Sequence

from stationmaster.cli import mirror_plan
from stationmaster.host import clock, files, http
from stationmaster.mirror import access, exchange, fetch, inspection, repair, volume


def repair_findings(
    place: volume.Volume, report: inspection.Report, tasks: Sequence[mirror_plan.Task]
) -> list[repair.Repair]:
    """Mend what a check found; ``tasks`` say what upstreams want to see."""
    with contextlib.ExitStack() as stack:
        common = http.Http()
        stack.callback(common.close)
        door: exchange.HttpDoor = common
        for task in tasks:
            door = stack.enter_context(access.opened(task.credentials, task.source, door))
        fetcher = fetch.Fetcher(
            files.Files(), door, clock.SystemClock(), jitter=random.Random(), stop=threading.Event()
        )
        return repair.Repairer(files.Files(), place, fetcher).repair(report.findings)
