"""One unit of the world, what may happen in it, and what must never be (I4-I9)."""

from __future__ import annotations

from collections.abc import Iterator

from stationmaster.model import protocol
from stationmaster.testing.exploration import hub_side, station_side
from stationmaster.testing.exploration.state import FAR, LIMITS, UNIT, Shown, Station, World

Event = tuple[str, int]
QUIET: Event = ("quiet", 0)
_REPAIRS = {"freeze": "thaw", "crash": "start", "cut": "mend", "deafen": "hear", "slow": "hurry"}
_ORDER = ("g0", "g1", "g2", "g3")


def events_of(world: World) -> Iterator[Event]:
    """All that may happen now: nothing, a fault while there are some left, its repair, a release, a removal."""
    yield QUIET
    for index, station in enumerate(world.stations):
        for fault, repair in _REPAIRS.items():
            if _has(station, fault):
                yield repair, index
            elif world.faults and station.is_up:
                yield fault, index
        if world.removals and station_side.begin_removal(world, index) is not None:
            yield "remove", index
    if not world.hub.is_up:
        yield "hub returns", 0
        yield "hub is restored", 0
    elif world.faults:
        yield "hub stops", 0
        yield "hub restarts", 0
    if world.releases:
        yield "release", 0
        if world.upstream != "g0":
            yield "upstream goes back", 0


def step(world: World, event: Event) -> World:
    """One unit in which ``event`` happens: time, work, heartbeats, the hub's decision, what balancers see."""
    world = _happen(world, event)
    hub = hub_side.grow_older(world.hub) if world.hub.is_up else world.hub
    world = world._replace(hub=hub, stations=tuple(station_side.grow_older(one) for one in world.stations))
    for index in range(len(world.stations)):
        world = station_side.work(world, index)
    for index, station in enumerate(world.stations):
        if station.works and not station.is_cut and world.hub.is_up:
            world = hub_side.hear(world, index)
            if not station.is_deaf:
                world = station_side.hear_answer(world, index)
    if world.hub.is_up:
        world = hub_side.decide(world)
    return world._replace(stations=tuple(station_side.sampled(world, index) for index in range(len(world.stations))))


def broken(former: World, world: World) -> str:
    """Which invariant does not hold after a step; empty when all do."""
    return next(_broken(former, world), "")


def _broken(former: World, world: World) -> Iterator[str]:
    visible = visible_of(world)
    for index, station in enumerate(world.stations):
        held = world.volumes[station.volume].held
        if station.shown is not None and station.shown.generation not in held:
            yield f"I4: s{index} shows {station.shown} and does not hold it"
        if station.works and station.ready and visible is not None and visible.generation not in held:
            yield f"I5, I8: s{index} is taken for ready and does not hold {visible}"
        before = former.stations[index].shown
        if before is not None and (station.shown is None or station.shown.number < before.number):
            yield f"R12: s{index} went back from {before} to {station.shown}"
        if station.works and station_side.verdict(station, world).readiness is protocol.Readiness.NO:
            yield f"I9: s{index} serves nothing"
    if sum(map(station_side.holds_lease, world.stations)) > 1:
        yield "I6: two lead the source"
    for number in range(len(world.volumes)):
        holders = [one for one in world.stations if one.volume == number and station_side.holds_volume(one)]
        if len(holders) > 1:
            yield f"I6: two may remove from volume {number}"
    yield from _broken_r7(former, world)


def visible_of(world: World) -> Shown | None:
    """What the group shows: the highest number, also while a hub from a backup does not know of it (R8)."""
    known = [one for one in (world.hub.visible, *(volume.record for volume in world.volumes)) if one is not None]
    return max(known, default=None)


def is_at_rest(world: World) -> bool:
    """All stations ready and at the newest generation, nothing on its way."""
    visible = world.hub.visible
    return (
        visible is not None
        and visible.generation == world.upstream
        and world.hub.candidate in (None, visible.generation)
        and all(one.shown == visible and one.ready for one in world.stations)
        and all(station_side.verdict(one, world).is_ready for one in world.stations)
    )


def repaired(world: World) -> World:
    """No trouble any more, and a sync is asked for."""
    stations = tuple(
        one._replace(is_up=True, is_frozen=False, is_cut=False, is_deaf=False, is_slow=False) for one in world.stations
    )
    hub = world.hub if world.hub.is_up else hub_side.returned(world.hub)
    return world._replace(stations=stations, hub=hub_side.ask(hub), faults=0, releases=0, removals=0)


def _broken_r7(former: World, world: World) -> Iterator[str]:
    before, now = former.hub.candidate, world.hub.candidate
    shown = {one.generation for one in (former.hub.visible, world.hub.visible) if one}
    if before is None or now in (None, before) or not former.hub.is_up or before in shown:
        return
    if any(one.age * UNIT <= LIMITS.liveness and before in one.held for one in former.hub.reports):
        yield f"R7: the candidate {before} gave way to {now}"


def _has(station: Station, fault: str) -> bool:
    flags = {
        "freeze": station.is_frozen,
        "crash": not station.is_up,
        "cut": station.is_cut,
        "deafen": station.is_deaf,
        "slow": station.is_slow,
    }
    return flags[fault]


_FLAGS: dict[str, tuple[str, bool]] = {
    "freeze": ("is_frozen", True),
    "thaw": ("is_frozen", False),
    "crash": ("is_up", False),
    "start": ("is_up", True),
    "cut": ("is_cut", True),
    "mend": ("is_cut", False),
    "deafen": ("is_deaf", True),
    "hear": ("is_deaf", False),
    "slow": ("is_slow", True),
    "hurry": ("is_slow", False),
}


def _happen(world: World, event: Event) -> World:
    name, index = event
    if name in _FLAGS:
        return _happen_to_station(world, name, index)
    if name == "remove":
        begun = station_side.begin_removal(world, index)
        return (begun or world)._replace(removals=world.removals - 1)
    if name in {"release", "upstream goes back"}:
        upstream = _ORDER[_ORDER.index(world.upstream) + 1] if name == "release" else _ORDER[0]
        hub = hub_side.ask(world.hub) if world.hub.is_up else world.hub
        return world._replace(upstream=upstream, hub=hub, releases=world.releases - 1)
    return _happen_to_hub(world, name)


def _happen_to_hub(world: World, name: str) -> World:
    if name == "hub stops":
        return world._replace(hub=world.hub._replace(is_up=False), faults=world.faults - 1)
    if name == "hub restarts":
        return world._replace(hub=hub_side.returned(world.hub), faults=world.faults - 1)
    if name == "quiet":
        return world
    return world._replace(hub=hub_side.returned(world.hub if name == "hub returns" else world.backup))


def _happen_to_station(world: World, name: str, index: int) -> World:
    flag, value = _FLAGS[name]
    station = world.stations[index]
    station = Station(**{**station._asdict(), flag: value})
    if name == "freeze":
        station = station._replace(was_frozen=station.picked is not None)
    if name == "start":
        # What it remembers: what it was told and showed, and its tokens. Nothing was heard since it began.
        station = station._replace(age=FAR, lease=0, writer=0, copies=(), retained=frozenset(), picked=None)
    cost = 1 if name in _REPAIRS else 0
    stations = (*world.stations[:index], station, *world.stations[index + 1 :])
    return world._replace(stations=stations, faults=world.faults - cost)
