"""The one entry: sync a source onto a volume. Decides the order of a sync; what each step does lies beside it."""

from __future__ import annotations

import random
import threading

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.host import http as host_http
from stationmaster.mirror import outcome, source, volume


class Engine:
    """Syncs sources; holds no state between two syncs, so one engine serves several threads."""

    def __init__(
        self,
        files: host_files.Files,
        http: host_http.Http,
        clock: clocks.Clock,
        *,
        jitter: random.Random | None = None,
        connections: int = 8,
    ) -> None:
        self._files = files
        self._http = http
        self._clock = clock
        self._jitter = jitter or random.Random()
        self._connections = connections

    def sync(
        self,
        volume: volume.Volume,
        source: source.Source,
        *,
        progress: outcome.Listener = outcome.ignore_progress,
        stop: threading.Event | None = None,
        publish_alone: bool = True,
        expected_generation: str | None = None,
        policy: outcome.SyncPolicy | None = None,
    ) -> outcome.SyncOutcome:
        """Bring the upstream's present generation whole onto the volume; never raises for upstream or volume.

        ``publish_alone``: also switch ``published/<source>`` to it; a station leaves that out. With
        ``expected_generation`` another one found at the address is refused (a follower copies what the leader staged).
        """
        raise NotImplementedError
