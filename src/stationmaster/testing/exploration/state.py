"""The world of the exploration: immutable values, equal when everything in them is.

Ages are counted in units and stop at the first value beyond every limit with which they are compared, each at its own:
two worlds that no rule can tell apart are then one. The same is why a station that lost its memory forgets it at once,
and why a backup that nobody can restore any more is dropped.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import msgspec

from stationmaster.model import rotation

UNIT = 2.0
# In the order in which the real ones stand: confirmed, lease stopped, liveness = lease, stall = resync, lag, retry.
LIMITS = rotation.Limits(liveness=10.0, lag=14.0, resync=12.0, resync_after_failure=14.0, lonely_factor=1.5)
STALL, RETRY = 12.0, 16.0
SAMPLED = 2  # units until every balancer has seen a change (R2: 4 s)

# Where ages stop, in units, and the comparison that is the last to change its answer.
UNCONFIRMED = 4  # no confirmation after 6 s, no lease from 8 s
HEARD = 11  # more than twice the liveness time: it does not count as one that fell silent just now (R9)
SETTLED = RENEWED = WAITED = LOST = 5  # the liveness time and the lease, 10 s
SURE = 6  # a round after it settled, a hub knows what its stations show
IDLE = 6  # the stall limit
RAISED = 7  # until somebody is asked again after a failure
BEHIND = 11  # the lag limit of one that would leave fewer than half
EXCLUDED = 6  # beyond the liveness time

ACTIVE, DELETING, ABSENT, GONE = "active", "deleting", "absent", "gone"

T = TypeVar("T")
P = ParamSpec("P")
changed = msgspec.structs.replace


class Value(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """Compared by content; its hash is computed once."""


class Shown(Value, frozen=True, order=True, cache_hash=True, gc=False):
    """A number and the generation it names."""

    number: int
    generation: str


class Run(Value, frozen=True, cache_hash=True, gc=False):
    """The last sync that ended."""

    number: int = 0
    token: int = 0
    generation: str | None = None
    has_failed: bool = False


Generations = frozenset[str]
NONE: Generations = frozenset()


class Content(Value, frozen=True, cache_hash=True, gc=False):
    """What lies of one source on a volume: generations with their manifests, and of those the ones that lost a file."""

    held: Generations = NONE
    torn: Generations = NONE
    record: Shown | None = None


class Volume(Value, frozen=True, cache_hash=True, gc=False):
    """``closed``: no removal under this token or a lower one succeeds (R1). ``elsewhere``: shown by another group."""

    contents: tuple[Content, ...]
    closed: int = 0
    elsewhere: Generations = NONE


class Part(Value, frozen=True, cache_hash=True, gc=False):
    """What a station has of one source. ``proved``: it saw its own web server serve all of it (R4)."""

    told: Shown | None = None
    shown: Shown | None = None
    proved: Generations = NONE
    wanted: int = 0
    token: int = 0
    lease: int = 0
    retained: Generations = NONE
    copies: tuple[str, ...] = ()
    run: Run = Run()


class Removal(Value, frozen=True, cache_hash=True, gc=False):
    """Begun under a token; ``is_due``: the next moment is its own. ``was_frozen``: since it looked."""

    token: int
    source: int
    generation: str
    is_due: bool = False
    was_frozen: bool = False


class Station(Value, frozen=True, cache_hash=True, gc=False):
    """A station. ``trouble`` is of ``events.REPAIRS``.

    ``age``: units since it sent the last heartbeat whose answer it got. ``ready``: units for which a balancer may still
    take it for ready. ``is_gone``: the hub said that it does not know it.
    """

    volume: int
    parts: tuple[Part, ...]
    trouble: frozenset[str] = frozenset()
    age: int = UNCONFIRMED
    ready: int = 0
    is_in_rotation: bool = True
    is_gone: bool = False
    is_here: bool = True
    writer: int = 0
    removal: Removal | None = None

    @property
    def works(self) -> bool:
        """Whether its host does anything at all."""
        return self.is_here and not ("crash" in self.trouble or "freeze" in self.trouble)


class Told(Value, frozen=True, cache_hash=True, gc=False):
    """What a heartbeat said of one source."""

    held: Generations = NONE
    fetchable: Generations = NONE
    shown: Shown | None = None
    run: Run = Run()
    token: int = 0


class Report(Value, frozen=True, cache_hash=True, gc=False):
    """A station's last heartbeat, as the hub has it. ``writer``: the highest token that its volume carries."""

    age: int
    told: tuple[Told, ...]
    writer: int = 0


class Lease(Value, frozen=True, cache_hash=True, gc=False):
    """A stored lease; ``failed`` are pairs of station and units since it failed."""

    holder: int | None = None
    token: int = 0
    renewed: int = RENEWED
    idle: int = 0
    failed: tuple[tuple[int, int], ...] = ()


class Lag(Value, frozen=True, cache_hash=True, gc=False):
    """A station that lacks a generation: since when, and since when it was told to leave."""

    generation: str | None
    behind: int = 0
    excluded: int | None = None


class Row(Value, frozen=True, cache_hash=True, gc=False):
    """What the hub stores of one source. ``recent``: numbers that some station may show; ``known``: of old."""

    lags: tuple[Lag | None, ...]
    copies: tuple[tuple[str, ...], ...]
    visible: Shown | None = None
    recent: tuple[Shown, ...] = ()
    known: Generations = NONE
    candidate: str | None = None
    candidate_age: int = 0
    lost: int | None = None
    orphaned: int | None = None
    lease: Lease = Lease()
    number: int = 1
    raised: int = RAISED


class Hub(Value, frozen=True, cache_hash=True, gc=False):
    """The database, and for each process that serves it how long it has listened; None: it stopped, or lost it.

    ``members`` are the stations' states, ``deleted`` since when one is being deleted; ``parted``: since one left.
    """

    reports: tuple[Report, ...]
    writers: tuple[Lease, ...]
    rows: tuple[Row, ...]
    members: tuple[str, ...]
    processes: tuple[int | None, ...] = (SURE,)
    deleted: tuple[int, ...] = ()
    parted: int = 6

    @property
    def is_up(self) -> bool:
        """Whether any process serves."""
        return any(one is not None for one in self.processes)

    @property
    def is_settled(self) -> bool:
        """R8: whether a process has listened for one liveness period."""
        return any(one in (SETTLED, SURE) for one in self.processes)


class Upstream(Value, frozen=True, cache_hash=True, gc=False):
    """What a source's upstream has; ``is_broken``: nobody can read it."""

    generation: str
    is_broken: bool = False


class Budget(Value, frozen=True, cache_hash=True, gc=False):
    """How often each kind of thing may still happen. ``losses``: files vanish. ``moves``: membership changes."""

    faults: int = 0
    releases: int = 0
    removals: int = 0
    losses: int = 0
    breaks: int = 0
    moves: int = 0
    backups: int = 0


class World(Value, frozen=True, cache_hash=True, gc=False):
    """Everything, and what may still go wrong."""

    stations: tuple[Station, ...]
    volumes: tuple[Volume, ...]
    hub: Hub
    backup: Hub | None
    upstreams: tuple[Upstream, ...]
    budget: Budget


def tried(stations: int) -> int:
    """Units until one that failed is no worse than others: at least a round in which all others fail."""
    return int(max(RETRY, (stations - 1) * (STALL + LIMITS.liveness)) / UNIT)


_remembered: list[Any] = []
_known: dict[Any, Any] = {}


def shared(value: T) -> T:
    """The one object that stands for all equal values: compared at once, and kept once."""
    found: T = _known.setdefault(value, value)
    return found


def remembered(function: Callable[P, T]) -> Callable[P, T]:
    """The function, computed once for equal arguments. Most of a world is as in many others, so little is computed."""
    cached = functools.lru_cache(maxsize=1 << 16)(function)  # worlds that are alike come close together
    _remembered.append(cached)
    return cast("Callable[P, T]", functools.wraps(function)(cached))


def forget() -> None:
    """Compute everything anew: a rule was exchanged."""
    _known.clear()
    for one in _remembered:
        one.cache_clear()


def older(age: int, limit: int) -> int:
    """One unit later; ``limit`` is where it stops."""
    return age + 1 if age < limit else limit


def replaced(values: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    """With another value at ``index``."""
    return (*values[:index], value, *values[index + 1 :])
