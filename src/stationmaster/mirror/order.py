"""What one sync was asked to do."""

from __future__ import annotations

import dataclasses
import threading

from stationmaster.mirror import outcome, source


@dataclasses.dataclass(frozen=True)
class Order:
    """``is_alone``: the engine itself shows the result; ``expected``: the one generation that may come, if not any."""

    source: source.Source
    progress: outcome.Listener
    is_alone: bool
    expected: str | None
    policy: outcome.SyncPolicy
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)
