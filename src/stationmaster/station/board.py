"""Where observers, the hub's thread and the main loop meet: one frozen snapshot, exchanged under a lock."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from stationmaster.model import protocol
from stationmaster.station import snapshot as snapshots

_K = TypeVar("_K")
_V = TypeVar("_V")


class Board:
    """The present snapshot. Reading never waits for slow work: whoever looks at something slow does it elsewhere."""

    def __init__(self, first: snapshots.Snapshot) -> None:
        self._snapshot = first
        self._lock = threading.Lock()
        self._changed = threading.Event()

    def read(self) -> snapshots.Snapshot:
        """What is known now."""
        return self._snapshot

    def change(
        self, of: Callable[[snapshots.Snapshot], snapshots.Snapshot], *, is_news: bool = True
    ) -> snapshots.Snapshot:
        """Replace the snapshot by a function of it; the main loop wakes for news, not for another look at the same."""
        with self._lock:
            former, self._snapshot = self._snapshot, of(self._snapshot)
            if is_news and former is not self._snapshot:
                self._changed.set()
            return self._snapshot

    def update(self, **changes: Any) -> snapshots.Snapshot:
        """Replace some fields."""
        return self.change(lambda present: dataclasses.replace(present, **changes))

    def wait(self, seconds: float) -> None:
        """Until something changed, or time is over."""
        self._changed.wait(seconds)
        self._changed.clear()


def with_entry(mapping: Mapping[_K, _V], key: _K, value: _V) -> Mapping[_K, _V]:
    """A copy of a frozen map with one entry replaced."""
    return snapshots.frozen_map({**mapping, key: value})


def merge_visible(
    known: tuple[protocol.Visible, ...], heard: tuple[protocol.Visible, ...]
) -> tuple[protocol.Visible, ...]:
    """R8: the highest number of each source; a hub that went back in time changes nothing."""
    best = {one.source_id: one for one in known}
    for one in heard:
        former = best.get(one.source_id)
        if former is None or one.number > former.number:
            best[one.source_id] = one
    return tuple(best[source_id] for source_id in sorted(best))
