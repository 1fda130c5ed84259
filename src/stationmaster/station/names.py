"""Host names that nginx and squid need addresses of: looked up off the main loop, last good answer kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from stationmaster.host import clock as clocks
from stationmaster.station import snapshot as snapshots

REFRESH_SECONDS = 60.0
RETRY_SECONDS = 5.0


class Names:
    """A name server that is away takes no address away: what was found last stays."""

    def __init__(
        self,
        resolve: Callable[[str], tuple[str, ...]],
        clock: clocks.Clock,
        remembered: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._resolve = resolve
        self._clock = clock
        self._found = snapshots.frozen_map(remembered)
        self._looked_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def read(self) -> Mapping[str, tuple[str, ...]]:
        """What is known now; a name that never resolved has no addresses."""
        return self._found

    def are_known(self, names: Iterable[str]) -> bool:
        """Whether each was looked up at least once, now or by a former daemon: before that, nobody is shut out."""
        return all(name in self._looked_at or name in self._found for name in names)

    def refresh(self, names: Iterable[str]) -> bool:
        """Look up what is due, and say whether anything changed."""
        now = self._clock.monotonic()
        is_changed = False
        for name in sorted(names):
            pause = REFRESH_SECONDS if self._found.get(name) else RETRY_SECONDS
            if now - self._looked_at.get(name, float("-inf")) < pause:
                continue
            found = self._resolve(name)
            with self._lock:
                self._looked_at[name] = now
                if found and found != self._found.get(name):
                    self._found = snapshots.frozen_map({**self._found, name: found})
                    is_changed = True
        return is_changed
