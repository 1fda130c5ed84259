"""What must never be (I3-I9 and the rules), looked at after each step."""

from __future__ import annotations

from collections.abc import Iterator

from stationmaster.model import rotation
from stationmaster.testing.exploration import hub_view, serving, station_side
from stationmaster.testing.exploration.state import LIMITS, UNIT, Hub, Shown, Station, World, remembered

Visible = tuple[Shown | None, ...]


def broken(former: World, world: World) -> str:
    """Which invariant does not hold after a step; empty when all do."""
    return broken_step(former, world) or broken_world(world)


def broken_world(world: World) -> str:
    """What is wrong with a world, however it came about."""
    visible = tuple(visible_of(world, source) for source in range(len(world.upstreams)))
    return _broken_group(serving.Group(world.stations, world.volumes), visible)


def broken_step(former: World, world: World) -> str:
    """What is wrong with a step."""
    layout = tuple(one.volume for one in world.stations)
    return _broken_hub(former.hub, world.hub, layout) or _broken_stations(former.stations, world.stations)


def visible_of(world: World, source: int) -> Shown | None:
    """What the group shows: the highest number, also while a hub from a backup does not know of it (R8).

    A number that only stations show which get no clients is none yet: they may be the only ones that know of it.
    """
    shown = [one.parts[source].shown for one in world.stations if one.works and one.ready]
    known = [one for one in (world.hub.rows[source].visible, *shown) if one is not None]
    return max(known, default=None)


@remembered
def _broken_group(group: serving.Group, visible: Visible) -> str:
    found = (*_broken_serving(group, visible), *_broken_volumes(group), *serving.broken_promises(group))
    return next(iter(found), "")


def _broken_serving(group: serving.Group, visible: Visible) -> Iterator[str]:
    for index, station in enumerate(group.stations):
        contents = group.volumes[station.volume].contents
        for part, content, now in zip(station.parts, contents, visible, strict=True):
            if part.shown is not None and part.shown.generation not in content.held:
                yield f"I4: s{index} shows {part.shown} and does not hold it"
            if now is not None and station.works and station.ready and now.generation not in content.held:
                yield f"I5, I8: s{index} is taken for ready and does not hold {now}"
            if now is not None and station.works and station.ready and now.generation not in part.proved:
                yield f"I5, R4: s{index} is taken for ready and cannot serve {now}"
        has_served = any(part.shown for part in station.parts)
        if station.works and has_served and not station.is_gone and not serving.is_serving(group, station):
            yield f"I9: s{index} serves nothing"


def _broken_volumes(group: serving.Group) -> Iterator[str]:
    for number, volume in enumerate(group.volumes):
        holders = [one for one in group.stations if one.volume == number and station_side.holds_volume(one)]
        if len(holders) > 1:
            yield f"I6: two may remove from volume {number}"
        if not all(volume.elsewhere <= content.held for content in volume.contents):
            yield f"R10: volume {number} lost what another group shows"
    for source in range(len(group.volumes[0].contents)):
        if sum(station_side.holds_lease(one, source) for one in group.stations) > 1:
            yield "I6: two lead the source"


@remembered
def _broken_stations(former: tuple[Station, ...], stations: tuple[Station, ...]) -> str:
    for index, (one, following) in enumerate(zip(former, stations, strict=True)):
        for before, now in zip(one.parts, following.parts, strict=True):
            if before.shown is not None and (now.shown is None or now.shown.number < before.shown.number):
                return f"R12: s{index} went back from {before.shown} to {now.shown}"
    return ""


@remembered
def _broken_hub(former: Hub, hub: Hub, layout: tuple[int, ...]) -> str:
    for source in range(len(hub.rows)):
        found = (
            _broken_candidate(former, hub, source)
            or _broken_advance(former, hub, source, layout)
            or _broken_grant(former, hub, source)
        )
        if found:
            return found
    return ""


def _broken_candidate(former: Hub, hub: Hub, source: int) -> str:
    row = former.rows[source]
    before, now = row.candidate, hub.rows[source].candidate
    shown = {one.generation for one in (row.visible, hub.rows[source].visible) if one}
    if before is None or now == before or not former.is_up or before in shown:
        return ""
    reports = [former.reports[index] for index in hub_view.members(hub)]
    is_held = any(one.age * UNIT <= LIMITS.liveness and before in one.told[source].held for one in reports)
    return f"R7: the candidate {before} gave way to {now}" if is_held else ""


def _broken_grant(former: Hub, hub: Hub, source: int) -> str:
    before, now = former.rows[source].lease, hub.rows[source].lease
    if now.holder is None or (now.holder, now.token) == (before.holder, before.token) or not former.is_up:
        return ""
    highest = max(one.told[source].token for one in hub.reports)
    return f"R8: token {now.token} was given, and {highest} had been used" if now.token <= highest else ""


def _broken_advance(former: Hub, hub: Hub, source: int, layout: tuple[int, ...]) -> str:
    before, now = former.rows[source].visible, hub.rows[source].visible
    if now is None or not hub.is_up or (before is not None and now.number <= before.number):
        return ""
    snapshot = hub_view.view(hub, source, layout)
    told = {one.told[source].shown for one in hub.reports}
    if now not in told and not rotation.holders_in_touch(snapshot, now.generation, LIMITS):
        return f"R9: {now} became visible, and nobody in touch holds it"
    if not former.is_settled and not hub.is_settled:
        return f"R8: {now} became visible while the hub only listened"
    return ""
