"""What goes from a volume that has no room for what is to come, also before its time (R12-R18).

Only generations that nobody shows, shows next, or could go back to: what the caller says is pinned, what is published,
the two highest records of each source, and the newest generation of each stay whatever is lacking. Of the others the
oldest go first, over all sources, and no more of them than are needed. Each removal is a cleaner's, and so is fenced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, lock, retention
from stationmaster.mirror import volume as volumes


def going(
    held: Iterable[tuple[catalog.HeldGeneration, ...]], pinned: Mapping[str, frozenset[str]]
) -> list[catalog.HeldGeneration]:
    """What may go under pressure, in this order. ``held`` are the generations of each source, oldest first."""
    spare = [
        one
        for generations in held
        for one in generations[:-1]
        if one.generation not in pinned.get(one.source, frozenset())
    ]
    return sorted(spare, key=lambda one: (one.held_since, one.source, one.generation))


class Relief:
    """Makes room on one volume. ``pinned`` is asked before each removal: it may grow meanwhile."""

    def __init__(
        self,
        files: host_files.Files,
        volume: volumes.Volume,
        clock: clocks.Clock,
        cleaner: retention.Cleaner,
        pinned: Callable[[str], frozenset[str]],
    ) -> None:
        self._files = files
        self._volume = volume
        self._clock = clock
        self._cleaner = cleaner
        self._pinned = pinned

    def make_room(self, room_bytes: int) -> Iterator[tuple[tuple[str, str], retention.Verdict]]:
        """Source and name of each generation that goes, until ``room_bytes`` are free or nothing more may go."""
        self._volume.require()
        watch = lock.Watch(self._clock)
        control = self._volume.control
        with lock.SourceLock(self._files, control, lock.CLEANING, watch=watch), self._cleaner.removing():
            while (free := self._volume.space().available_bytes) < room_bytes:
                busy = set(lock.live_locks(control)) - {lock.CLEANING}
                following = next((one for one in self._spare() if one.source not in busy), None)
                if following is None or busy:
                    return  # what a sync is about to refer to is not known: the pool stays as it is meanwhile
                self._cleaner.drop(following.source, following.generation)
                reason = (
                    f"{room_bytes} bytes are needed and {free} were free; it was the oldest that nobody shows, "
                    "shows next, or could go back to"
                )
                what = f"generation {following.source}/{following.generation}"
                verdict = retention.Verdict(what, is_removed=True, reason=reason)
                yield (following.source, following.generation), verdict

    def _spare(self) -> list[catalog.HeldGeneration]:
        sources = catalog.list_sources(self._volume)
        pinned = {one: self._pinned(one) | self._cleaner.needed(one) for one in sources}
        return going([catalog.list_generations(self._volume, one) for one in sources], pinned)
