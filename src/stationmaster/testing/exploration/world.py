"""One unit of the world, where it begins, and its way to rest."""

from __future__ import annotations

from stationmaster.testing.exploration import events, hub_rounds, hub_side, hub_view, state, station_side, station_view
from stationmaster.testing.exploration.events import QUIET, Event
from stationmaster.testing.exploration.state import (
    Budget,
    Content,
    Hub,
    Lease,
    Part,
    Report,
    Row,
    Run,
    Shown,
    Station,
    Told,
    Upstream,
    Volume,
    World,
    changed,
    shared,
)

__all__ = ["QUIET", "Event", "first", "is_at_rest", "is_well", "left_alone", "repaired", "step"]

_OLD, _NEW = "g0", "g1"


def first(
    volumes: tuple[int, ...],
    budget: Budget,
    *,
    sources: int = 1,
    processes: int = 1,
    absent: frozenset[int] = frozenset(),
    elsewhere: frozenset[str] = frozenset(),
) -> World:
    """A group at rest that shows ``g1`` and may remove ``g0``, whose stations use the volumes named.

    ``absent`` stations may join, on volumes that hold nothing. ``elsewhere`` is shown by another group of each volume.
    """
    shown, held, count = Shown(2, _NEW), frozenset({_OLD, _NEW}), max(volumes) + 1
    run = Run(1, 1, _NEW)
    stations, reports = [], []
    for index, volume in enumerate(volumes):
        leads = index == 0
        part = Part(
            told=shown,
            shown=shown,
            proved=held,
            wanted=1,
            token=1 if leads else 0,
            lease=1 if leads else 0,
            retained=frozenset({_NEW}) | elsewhere,
            run=run if leads else Run(),
        )
        told = Told(held, held, shown, part.run, part.token)
        if index in absent:
            stations.append(Station(volume, (Part(),) * sources, is_here=False))
            reports.append(Report(state.HEARD, (Told(),) * sources))
        else:
            stations.append(Station(volume, (part,) * sources, age=0, ready=state.SAMPLED))
            reports.append(Report(0, (told,) * sources))
    whole = Volume((Content(held, frozenset(), shown),) * sources, 0, elsewhere)
    used = {volume for index, volume in enumerate(volumes) if index not in absent}
    row = Row(
        lags=(None,) * len(volumes),
        copies=((),) * len(volumes),
        visible=shown,
        recent=(shown,),
        known=held,
        lease=Lease(0, 1, 0),
    )
    hub = Hub(
        reports=tuple(reports),
        writers=(Lease(),) * count,
        rows=(row,) * sources,
        members=tuple(state.ABSENT if index in absent else state.ACTIVE for index in range(len(volumes))),
        processes=(state.SURE,) * processes,
        deleted=(0,) * len(volumes),
    )
    empty = Volume((Content(),) * sources)
    present = tuple(whole if number in used else empty for number in range(count))
    start = World(tuple(stations), present, hub, hub, (Upstream(_NEW),) * sources, budget)
    for _ in range(3):
        start = step(start, QUIET)
    return changed(start, backup=start.hub)


def step(world: World, event: Event) -> World:
    """One unit in which ``event`` happens: time, work, heartbeats, the hub's decision, what balancers see."""
    world = events.happen(world, event)
    stations, volumes, reports = station_side.worked(world.stations, world.volumes, world.upstreams)
    layout = tuple(one.volume for one in stations)
    hub, talking = hub_side.grow_older(world.hub), tuple(map(is_talking, hub_side.answering(world.hub), stations))
    hub = hub_side.heard(
        hub, tuple(one if is_on else None for one, is_on in zip(reports, talking, strict=True)), layout
    )
    following = []
    for index, station in enumerate(stations):
        volume = volumes[station.volume]
        if talking[index] and "deafen" not in station.trouble:
            is_ready = station_view.verdict(station, volume).is_ready
            answer = hub_side.answer_of(hub, index, station.volume, volume.elsewhere, is_ready=is_ready)
            station = station_side.hear_answer(station, answer)  # noqa: PLW2901 - the same station, one answer later
        following.append(station_side.sampled(station, volume))
    return forgotten(
        changed(world, stations=shared(tuple(following)), volumes=volumes, hub=hub_rounds.decide(hub, layout))
    )


def is_talking(is_answered: object, station: Station) -> bool:
    """Whether its heartbeats arrive."""
    return bool(is_answered) and station.works and "cut" not in station.trouble


def forgotten(world: World) -> World:
    """Without what cannot matter any more: a backup, when no hub that is up can stop."""
    if world.backup is not None and world.hub.is_up and not world.budget.faults:
        return changed(world, backup=None)
    return world


def repaired(world: World, *, is_upstream_broken: bool = False) -> World:
    """No trouble any more, and a sync is asked for; ``is_upstream_broken``: but for an upstream that stays broken."""
    stations = tuple(changed(one, trouble=frozenset()) for one in world.stations)
    volumes = tuple(
        changed(volume, contents=tuple(changed(one, torn=state.NONE) for one in volume.contents))
        for volume in world.volumes
    )
    hub = _asked(world.hub if world.hub.is_up else hub_side.returned(world.hub))
    upstreams = tuple(changed(one, is_broken=one.is_broken and is_upstream_broken) for one in world.upstreams)
    return changed(
        world, stations=stations, volumes=volumes, hub=hub, backup=None, upstreams=upstreams, budget=Budget()
    )


def left_alone(world: World) -> World:
    """All trouble stays, but for the hub, which comes back and is asked for a sync."""
    hub = world.hub if world.hub.is_up else hub_side.returned(world.hub)
    return changed(world, hub=_asked(hub), backup=None, budget=Budget())


def _asked(hub: Hub) -> Hub:
    for source in range(len(hub.rows)):
        hub = hub_side.ask(hub, source)
    return hub


def is_at_rest(world: World) -> bool:
    """All stations ready and at the newest generation, nothing on its way; what has a broken upstream is as it was."""
    here = [world.stations[index] for index in hub_view.members(world.hub)]
    for source, (row, upstream) in enumerate(zip(world.hub.rows, world.upstreams, strict=True)):
        if row.visible is None or any(one.parts[source].shown != row.visible for one in here):
            return False
        is_newest = upstream.is_broken or row.visible.generation == upstream.generation
        if not is_newest or row.candidate not in (None, row.visible.generation):
            return False
    return all(one.ready and station_view.verdict(one, world.volumes[one.volume]).is_ready for one in here)


def is_well(world: World) -> bool:
    """As well as can be with the trouble there is: whoever is sound makes the group go on (R5, R6).

    With a sound station, the newest generation that can be had is visible, and such a station is ready. One that is
    slow for ever may never prove what it holds; that it serves as a last resort is looked at after each step (I9).
    """
    here = [world.stations[index] for index in hub_view.members(world.hub)]
    sound = [one for one in here if one.works and not one.trouble]
    if not sound:
        return True
    if not any(one.ready for one in sound):
        return False
    rows = zip(world.hub.rows, world.upstreams, strict=True)
    return all(
        upstream.is_broken or (row.visible is not None and row.visible.generation == upstream.generation)
        for row, upstream in rows
    )
