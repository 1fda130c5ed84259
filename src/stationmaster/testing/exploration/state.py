"""The world of the exploration: immutable values that can be compared and hashed."""

from __future__ import annotations

from typing import NamedTuple

from stationmaster.model import rotation

UNIT = 2.0
FAR = 13  # units: beyond every limit below
LIMITS = rotation.Limits(liveness=10.0, lag=12.0, resync=6.0, resync_after_failure=12.0, lonely_factor=2.0)
STALL, RETRY = 8.0, 16.0
SAMPLED = 2  # units until every balancer has seen a change (R2: 4 s)
SOURCE = "s"


class Shown(NamedTuple):
    """A number and the generation it names."""

    number: int
    generation: str


class Run(NamedTuple):
    """The last sync that ended."""

    number: int = 0
    token: int = 0
    generation: str | None = None


class Volume(NamedTuple):
    """What lies on a volume. ``closed``: no removal under this token or a lower one succeeds (R1)."""

    held: frozenset[str] = frozenset()
    record: Shown | None = None
    closed: int = 0


class Station(NamedTuple):
    """A station.

    ``picked``: a removal that began under a token, what it is to remove, and whether now is the time; ``was_frozen``:
    since it began.
    ``age``: units since it sent the last heartbeat whose answer it got. ``ready``: units for which a balancer may still
    take it for ready. ``leaving``: held, and not reported any more.
    """

    volume: int
    is_up: bool = True
    is_frozen: bool = False
    was_frozen: bool = False
    is_cut: bool = False
    is_deaf: bool = False
    is_slow: bool = False
    age: int = FAR
    told: Shown | None = None
    shown: Shown | None = None
    is_in_rotation: bool = True
    wanted: int = 0
    token: int = 0
    lease: int = 0
    writer: int = 0
    retained: frozenset[str] = frozenset()
    leaving: str | None = None
    copies: tuple[str, ...] = ()
    run: Run = Run()
    ready: int = 0
    picked: tuple[int, str, bool] | None = None

    @property
    def works(self) -> bool:
        """Whether it does anything at all."""
        return self.is_up and not self.is_frozen


class Report(NamedTuple):
    """What the hub has of a station's last heartbeat."""

    age: int = FAR
    held: frozenset[str] = frozenset()
    shown: Shown | None = None
    run: Run = Run()
    token: int = 0
    writer: int = 0


class Lease(NamedTuple):
    """A stored lease; ``failed`` are pairs of station and units since it failed."""

    holder: int | None = None
    token: int = 0
    renewed: int = FAR
    idle: int = 0
    failed: tuple[tuple[int, int], ...] = ()


class Lag(NamedTuple):
    """A station that lacks a generation: since when, and since when it was told to leave."""

    generation: str | None
    behind: int = 0
    excluded: int | None = None


class Hub(NamedTuple):
    """What the hub stores, and ``settling``: units since it began to listen. ``known`` was visible at some time."""

    reports: tuple[Report, ...]
    lags: tuple[Lag | None, ...]
    writers: tuple[Lease, ...]
    is_up: bool = True
    settling: int = FAR
    visible: Shown | None = None
    former: str | None = None
    candidate: str | None = None
    candidate_age: int = 0
    known: frozenset[str] = frozenset()
    lost: int | None = None
    orphaned: int | None = None
    lease: Lease = Lease()
    number: int = 1
    raised: int = 0
    copies: tuple[tuple[str, ...], ...] = ()


class World(NamedTuple):
    """Everything, and what may still go wrong."""

    stations: tuple[Station, ...]
    volumes: tuple[Volume, ...]
    hub: Hub
    backup: Hub
    upstream: str = "g0"
    faults: int = 0
    releases: int = 0
    removals: int = 0


def older(age: int) -> int:
    """One unit later."""
    return min(FAR, age + 1)


def older_or_none(age: int | None) -> int | None:
    """One unit later, where it runs."""
    return None if age is None else older(age)


def first(volumes_of: tuple[int, ...], *, faults: int, releases: int, removals: int) -> World:
    """A group at rest that shows ``g0``, whose stations use the volumes named."""
    shown = Shown(1, "g0")
    count = max(volumes_of) + 1
    run = Run(1, 1, "g0")
    stations = tuple(
        Station(
            volume,
            age=0,
            told=shown,
            shown=shown,
            wanted=1,
            token=1 if index == 0 else 0,
            run=run if index == 0 else Run(),
            ready=SAMPLED,
            retained=frozenset({"g0"}),
        )
        for index, volume in enumerate(volumes_of)
    )
    volume = Volume(frozenset({"g0"}), shown)
    hub = Hub(
        reports=tuple(Report(0, frozenset({"g0"}), shown, one.run, one.token) for one in stations),
        lags=tuple(None for _ in stations),
        writers=tuple(Lease() for _ in range(count)),
        visible=shown,
        known=frozenset({"g0"}),
        lease=Lease(0, 1, 0),
        raised=FAR,
        copies=tuple(() for _ in stations),
    )
    return World(stations, (volume,) * count, hub, hub, "g0", faults, releases, removals)
