"""The byte ledger: what a sync will take of its volume, known before its first package; refused when it does not fit.

Several syncs of one process share a volume's room: what one was granted, and has not written yet, is not free for the
others. Other processes are seen by the room that is left, and by the reserve.
"""

from __future__ import annotations

import collections
import dataclasses
import threading

from stationmaster.mirror import failures, volume


@dataclasses.dataclass(frozen=True)
class Ledger:
    """All in bytes. ``granted`` is what other syncs of this process have still to write; ``reserve`` stays free."""

    needed_files: int
    needed_bytes: int
    held_bytes: int
    free_bytes: int
    granted_bytes: int
    reserve_bytes: int

    @property
    def short_bytes(self) -> int:
        """How much is lacking; 0 when it fits. What needs nothing always fits."""
        lacking = self.needed_bytes + self.granted_bytes + self.reserve_bytes - self.free_bytes
        return max(0, lacking) if self.needed_bytes else 0


class Grants:
    """What the syncs of one process have been granted of each volume; shared by all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._granted: dict[str, collections.Counter[str]] = {}

    def claim(self, place: volume.Volume, source: str, ledger: Ledger) -> Ledger:
        """The ledger as it stands beside the others; granted when it fits."""
        with self._lock:
            granted = self._granted.setdefault(place.id, collections.Counter())
            del granted[source]
            ledger = dataclasses.replace(
                ledger, free_bytes=place.space().available_bytes, granted_bytes=sum(granted.values())
            )
            if not ledger.short_bytes:
                granted[source] = ledger.needed_bytes
            return ledger

    def spend(self, place: volume.Volume, source: str, size: int) -> None:
        """So much of it is on the volume by now, and missing in its free room."""
        with self._lock:
            granted = self._granted.get(place.id, collections.Counter())
            granted[source] = max(0, granted[source] - size)

    def release(self, place: volume.Volume, source: str) -> None:
        """The sync ended, well or not."""
        with self._lock:
            del self._granted.get(place.id, collections.Counter())[source]


def refusal(place: volume.Volume, ledger: Ledger) -> failures.WouldNotFitError:
    """Why it does not fit, with the figures."""
    others = f", {ledger.granted_bytes} are granted to other syncs" if ledger.granted_bytes else ""
    refused = failures.WouldNotFitError(
        f"{place.root} has {ledger.free_bytes} bytes free; this sync needs {ledger.needed_bytes} more than the "
        f"{ledger.held_bytes} that are here{others}, and {ledger.reserve_bytes} stay in reserve: "
        f"{ledger.short_bytes} are lacking.",
        hint="Nothing was brought. Free some room, run `mirror clean`, or lower the reserve.",
    )
    refused.room_bytes = ledger.free_bytes + ledger.short_bytes
    return refused
