"""What may happen in a world, while its budget lasts, and what each of these things does at once."""

from __future__ import annotations

from collections.abc import Iterator

from stationmaster.testing.exploration import hub_rounds, hub_side, state, station_side
from stationmaster.testing.exploration.state import World, changed, replaced

Event = tuple[str, int]
QUIET: Event = ("quiet", 0)
REPAIRS = {"freeze": "thaw", "crash": "start", "cut": "mend", "deafen": "hear", "slow": "hurry"}
_FAULTS = {repair: fault for fault, repair in REPAIRS.items()}
_ORDER = ("g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7", "g8")


def events_of(world: World) -> Iterator[Event]:
    """All that may happen now: nothing, a fault while some are left, its repair, a release, a removal and so on."""
    yield QUIET
    for index, station in enumerate(world.stations):
        yield from _station_events(world, index, station)
    yield from _hub_events(world)
    for source, upstream in enumerate(world.upstreams):
        yield from _upstream_events(world.budget, source, upstream)
    if world.budget.losses:
        yield from (("file vanishes", number) for number in range(len(world.volumes)))
    if world.budget.moves:
        yield from _member_events(world.hub.members)


def _station_events(world: World, index: int, station: state.Station) -> Iterator[Event]:
    for fault, repair in REPAIRS.items():
        if fault in station.trouble:
            yield repair, index
        elif world.budget.faults and station.is_here and "crash" not in station.trouble:
            yield fault, index
    if world.budget.removals:
        for source, generation in station_side.removable(station, world.volumes[station.volume]):
            yield f"remove {source} {generation}", index


def _upstream_events(budget: state.Budget, source: int, upstream: state.Upstream) -> Iterator[Event]:
    if budget.releases:
        yield "release", source
        if upstream.generation != "g0":
            yield "upstream goes back", source
    if upstream.is_broken:
        yield "upstream heals", source
    elif budget.breaks:
        yield "upstream breaks", source


def _member_events(members: tuple[str, ...]) -> Iterator[Event]:
    for index, one in enumerate(members):
        if one == state.ABSENT:
            yield "join", index
        elif one == state.ACTIVE and members.count(state.ACTIVE) > 1:
            yield "delete", index
            yield "rename", index


def _hub_events(world: World) -> Iterator[Event]:
    hub, budget = world.hub, world.budget
    for process, listened in enumerate(hub.processes):
        if listened is None:
            yield "hub returns", process
        elif budget.faults:
            yield "hub stops", process
            yield "hub restarts", process
    if not hub.is_up and world.backup is not None:
        yield "hub is restored", 0
    if budget.backups and hub.is_up:
        yield "hub is backed up", 0


def happen(world: World, event: Event) -> World:
    """The world just after ``event``."""
    name, index = event
    if name in REPAIRS or name in _FAULTS:
        return _happen_to_station(world, name, index)
    if name.startswith("remove "):
        _, source, generation = name.split()
        station = station_side.begin_removal(world.stations[index], int(source), generation)
        return _paid(changed(world, stations=replaced(world.stations, index, station)), "removals")
    if name in {"join", "delete", "rename"}:
        return _paid(changed(world, hub=_moved(world, name, index), stations=_arrived(world, name, index)), "moves")
    if name == "file vanishes":
        return _paid(changed(world, volumes=replaced(world.volumes, index, _torn(world.volumes[index]))), "losses")
    if name.startswith("hub"):
        return _happen_to_hub(world, name, index)
    return world if name == "quiet" else _happen_to_upstream(world, name, index)


def _paid(world: World, kind: str) -> World:
    return changed(world, budget=changed(world.budget, **{kind: getattr(world.budget, kind) - 1}))


def _happen_to_station(world: World, name: str, index: int) -> World:
    station = world.stations[index]
    if name in _FAULTS:
        station = changed(station, trouble=station.trouble - {_FAULTS[name]})
    else:
        station = changed(station, trouble=station.trouble | {name})
        world = _paid(world, "faults")
    if name == "crash":
        station = station_side.started(
            changed(station, trouble=frozenset({"crash"} | (station.trouble & {"cut", "deafen"})))
        )
    if name == "freeze" and station.removal is not None:
        station = changed(station, removal=changed(station.removal, was_frozen=True))
    return changed(world, stations=replaced(world.stations, index, station))


def _happen_to_hub(world: World, name: str, process: int) -> World:
    hub = world.hub
    if name == "hub is backed up":
        return _paid(changed(world, backup=hub), "backups")
    if name == "hub stops":
        stopped = changed(hub, processes=replaced(hub.processes, process, None))
        return _paid(changed(world, hub=stopped), "faults")
    if name == "hub restarts":
        stopped = changed(hub, processes=replaced(hub.processes, process, None))
        return _paid(changed(world, hub=hub_side.returned(stopped, process)), "faults")
    if name == "hub is restored" and world.backup is not None:
        return changed(world, hub=hub_side.returned(changed(world.backup, processes=hub.processes)))
    return changed(world, hub=hub_side.returned(hub, process))


def _happen_to_upstream(world: World, name: str, source: int) -> World:
    upstream = world.upstreams[source]
    if name == "upstream breaks":
        world, upstream = _paid(world, "breaks"), changed(upstream, is_broken=True)
    elif name == "upstream heals":
        upstream = changed(upstream, is_broken=False)
    else:
        following = _ORDER[_ORDER.index(upstream.generation) + 1] if name == "release" else _ORDER[0]
        world, upstream = _paid(world, "releases"), changed(upstream, generation=following)
    hub = hub_side.ask(world.hub, source) if world.hub.is_up and name != "upstream breaks" else world.hub
    return changed(world, hub=hub, upstreams=replaced(world.upstreams, source, upstream))


def _torn(volume: state.Volume) -> state.Volume:
    content = volume.contents[0]
    lost = {content.record.generation} & content.held if content.record else set()
    return changed(volume, contents=replaced(volume.contents, 0, changed(content, torn=content.torn | lost)))


def _moved(world: World, name: str, index: int) -> state.Hub:
    """A membership changes: `hub.services.stations` and `departures`."""
    hub, volumes = world.hub, tuple(one.volume for one in world.stations)
    if name == "join":
        return changed(hub, members=replaced(hub.members, index, state.ACTIVE))
    waits = name == "delete" and hub_rounds.holds_alone(hub, index, volumes)
    following = state.DELETING if waits else state.GONE
    members, deleted = replaced(hub.members, index, following), replaced(hub.deleted, index, 0)
    return changed(hub, members=members, deleted=deleted, parted=hub.parted if waits else 0)


def _arrived(world: World, name: str, index: int) -> tuple[state.Station, ...]:
    station = world.stations[index]
    return replaced(world.stations, index, changed(station, is_here=True)) if name == "join" else world.stations
