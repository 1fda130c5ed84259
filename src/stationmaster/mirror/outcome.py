"""What a sync tells: its progress while it runs, and its outcome."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Callable

from stationmaster.mirror import ledger as ledgers
from stationmaster.model import errors


class State(enum.StrEnum):
    """How a sync ended; the words are fixed (design section 12)."""

    SYNCED = "SYNCED"
    UNCHANGED = "UNCHANGED"
    FAILED = "FAILED"
    PENDING = "PENDING"  # of a dry run: there is something to bring, and it fits


class Phase(enum.StrEnum):
    """What a sync is doing, in this order; a changing upstream sends it back to the first."""

    ROOT = "root document"
    METADATA = "metadata"
    PACKAGES = "packages"
    PUBLISH = "publishing"


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a phase is. Bytes are verified bytes of this run; totals are 0 while they are not known.

    ``note``: what is being waited for, in words. ``ledger``: said before the metadata comes, and
    before the packages come.
    """

    phase: Phase
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    note: str = ""
    ledger: ledgers.Ledger | None = None


Listener = Callable[[Progress], None]


@dataclasses.dataclass(frozen=True)
class SyncOutcome:
    """How a sync ended. ``generation`` is the newest generation held afterwards, None when there is none."""

    state: State
    generation: str | None
    packages: int
    bytes_downloaded: int
    requests: int
    error: errors.StationmasterError | None = None
    warnings: tuple[str, ...] = ()
    ledger: ledgers.Ledger | None = None  # None: it did not come so far


@dataclasses.dataclass(frozen=True)
class SyncPolicy:
    """Guards that an operator may lift for one source, and what is left free.

    ``is_dry``: bring metadata only and say what the rest would cost.
    ``token`` is the lease under which a station writes (ha-protocol R1): others of a lower one, or none, give way.
    ``lapse_seconds``: how long another host's record may stand unrenewed before it does not hold (``lock``); less where
    a hub says who writes.
    """

    is_dry: bool = False

    allow_rollback: bool = False
    allow_shrink: bool = False
    allow_expired: bool = False
    shrink_ratio: float = 0.5  # refused when fewer packages than this share of the former generation are left
    shrink_floor: int = 10  # below so many packages in the former generation only an empty one is refused
    reserve_bytes: int = 64 << 20  # kept free on the volume
    restarts: int = 3  # from the root, while the upstream changes under our hands
    restart_pause: datetime.timedelta = datetime.timedelta(seconds=0.5)
    token: int = 0
    lapse_seconds: float = 120.0


def ignore_progress(_: Progress) -> None:
    """The listener of those who do not listen."""
