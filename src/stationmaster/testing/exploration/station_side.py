"""The stations of the exploration: what they hear, prove, sync, copy, record, show and remove."""

from __future__ import annotations

from typing import NamedTuple

from stationmaster.model import protocol
from stationmaster.station import snapshot as snapshots
from stationmaster.testing.exploration import hub_side, state, station_view
from stationmaster.testing.exploration.state import (
    Content,
    Generations,
    Part,
    Removal,
    Report,
    Run,
    Shown,
    Station,
    Upstream,
    Volume,
    changed,
    older,
    remembered,
    replaced,
    shared,
)

_TERMS = protocol.Lease(source_id="", token=1)


@remembered
def grow_older(station: Station) -> Station:
    """One unit later; what balancers think of it follows when they sample."""
    return changed(station, age=older(station.age, state.UNCONFIRMED), ready=max(0, station.ready - 1))


@remembered
def sampled(station: Station, volume: Volume) -> Station:
    """What a balancer sees of it now."""
    if station.works and station_view.verdict(station, volume).is_ready:
        return shared(changed(station, ready=state.SAMPLED))
    return station


def holds_lease(station: Station, source: int) -> bool:
    """Whether it would use the lease of the source now: eight seconds from sending (R5)."""
    return station.parts[source].lease > 0 and _is_valid(station.age)


def holds_volume(station: Station) -> bool:
    """Whether it would use the lease of its volume now."""
    return station.writer > 0 and _is_valid(station.age)


def _is_valid(age: int) -> bool:
    return snapshots.LeaseView(1, _TERMS.stop_after_seconds).holds(age * state.UNIT)


@remembered
def hear_answer(station: Station, answer: hub_side.Answer) -> Station:
    """Take over an answer, as `station.orders.after_answer`: a lower token than one ever seen is ignored (R8)."""
    if answer.is_gone:
        return changed(station, is_gone=True)
    return changed(
        station,
        age=0,
        parts=tuple(map(_told, station.parts, answer.says)),
        is_in_rotation=answer.is_in_rotation,
        is_gone=False,
        writer=answer.writer,
    )


def _told(part: Part, say: hub_side.Say) -> Part:
    lease = say.lease if say.lease >= part.token else 0
    return changed(
        part,
        told=_later(part.told, say.visible),
        wanted=say.number,
        token=max(part.token, lease),
        lease=lease,
        retained=say.retained,
        copies=say.copies,
    )


def _later(former: Shown | None, told: Shown | None) -> Shown | None:
    """`station.board.merge_visible`: numbers only upwards (R8)."""
    if former is None or told is None:
        return told or former
    return told if told.number >= former.number else former


def started(station: Station) -> Station:
    """What is left after a crash: what it was told and showed and proved, and its tokens; nothing was heard since."""
    parts = tuple(changed(one, lease=0, copies=(), retained=state.NONE) for one in station.parts)
    return changed(station, age=state.UNCONFIRMED, parts=parts, writer=0, removal=None)


@remembered
def worked(
    stations: tuple[Station, ...], volumes: tuple[Volume, ...], upstreams: tuple[Upstream, ...]
) -> tuple[tuple[Station, ...], tuple[Volume, ...], tuple[Report, ...]]:
    """All stations one unit later, one after the other, before they speak with the hub; and what they will say."""
    later, changing = [grow_older(one) for one in stations], list(volumes)
    for index, station in enumerate(later):
        later[index], changing[station.volume] = work(_place_of(later, changing, index, upstreams))
    reports = tuple(hub_side.report_of(one, changing[one.volume]) for one in later)
    return shared(tuple(later)), shared(tuple(changing)), reports


class Place(NamedTuple):
    """A station at its volume, and what it meets there.

    ``offered``: by source what others that work hold whole. ``rival``: the highest token that another station on this
    volume has.
    """

    station: Station
    volume: Volume
    upstreams: tuple[Upstream, ...]
    offered: tuple[Generations, ...]
    rival: int


@remembered
def work(place: Place) -> tuple[Station, Volume]:
    """One unit of work: a removal that was begun, a proof, a sync or a copy, a record, the switch."""
    if not place.station.works:
        return place.station, place.volume
    if place.station.removal is not None:
        place = _remove(place, place.station.removal)
    if "slow" not in place.station.trouble:
        place = _prove(place)
        for source in range(len(place.station.parts)):
            place = _copy(_sync(place, source), source)
    for source in range(len(place.station.parts)):
        place = _show(place, source)
    return shared(place.station), shared(place.volume)


def _place_of(stations: list[Station], volumes: list[Volume], index: int, upstreams: tuple[Upstream, ...]) -> Place:
    """Where a station is; what it does not look at is left out, so that equal places are found to be equal."""
    station = stations[index]
    others = [one for number, one in enumerate(stations) if number != index]
    offered = tuple(
        _offered(others, volumes, source) if part.copies else state.NONE for source, part in enumerate(station.parts)
    )
    rival = max((one.writer for one in others if one.volume == station.volume), default=0)
    return Place(station, volumes[station.volume], upstreams, offered, rival)


def _offered(others: list[Station], volumes: list[Volume], source: int) -> Generations:
    contents = [volumes[one.volume].contents[source] for one in others if one.works]
    return frozenset().union(*(one.held - one.torn for one in contents))


def removable(station: Station, volume: Volume) -> list[tuple[int, str]]:
    """Under the volume's lease, by source what need not stay."""
    if not (station.works and holds_volume(station)) or station.writer <= volume.closed or station.removal:
        return []
    found = []
    for source, content in enumerate(volume.contents):
        older_ones = sorted(content.held)[:-1]
        found += [(source, one) for one in older_ones if _may_go(station, volume, source, one)]
    return found


def begin_removal(station: Station, source: int, generation: str) -> Station:
    """It looked, and will act in the unit after the next."""
    return changed(station, removal=Removal(station.writer, source, generation))


def _may_go(station: Station, volume: Volume, source: int, generation: str) -> bool:
    part, content = station.parts[source], volume.contents[source]
    kept = part.retained | {one.generation for one in (part.shown, part.told, content.record) if one}
    return holds_volume(station) and generation not in kept


def _remove(place: Place, begun: Removal) -> Place:
    station, volume = place.station, place.volume
    if not begun.is_due:
        return place._replace(station=changed(station, removal=changed(begun, is_due=True)))
    place = place._replace(station=changed(station, removal=None))
    if is_closed(volume, begun.token):
        return place  # closed meanwhile: there is no directory to rename into (R1)
    if not begun.was_frozen and not _may_go(station, volume, begun.source, begun.generation):
        return place  # looked at again before the act; one that was frozen in between has looked already
    content, gone = volume.contents[begun.source], {begun.generation}
    return _with_content(place, begun.source, changed(content, held=content.held - gone, torn=content.torn - gone))


def is_closed(volume: Volume, token: int) -> bool:
    """R1: whether a removal under this token can no longer succeed."""
    return token <= volume.closed


def _prove(place: Place) -> Place:
    parts = tuple(
        changed(part, proved=content.held)
        for part, content in zip(place.station.parts, place.volume.contents, strict=True)
    )
    return place._replace(station=changed(place.station, parts=parts))


def _sync(place: Place, source: int) -> Place:
    station, upstream = place.station, place.upstreams[source]
    part = station.parts[source]
    is_due = part.run.number < part.wanted or (part.run.has_failed and part.run.token != part.lease)
    if not holds_lease(station, source) or not is_due:
        return place
    if upstream.is_broken:
        return _with_part(place, source, changed(part, run=Run(part.wanted, part.lease, None, has_failed=True)))
    place = _add(place, source, upstream.generation)
    return _with_part(place, source, changed(part, run=Run(part.wanted, part.lease, upstream.generation)))


def _copy(place: Place, source: int) -> Place:
    for generation in place.station.parts[source].copies:
        if generation in place.offered[source] and generation not in place.volume.contents[source].held:
            place = _add(place, source, generation)
    return place


def _add(place: Place, source: int, generation: str) -> Place:
    """Before it is believed to be there, every token is closed: who begins to remove later sees it (R1).

    What is there already is looked at as well, and what it lacks is brought.
    """
    volume = changed(place.volume, closed=max(place.volume.closed, place.station.writer, place.rival))
    content = volume.contents[source]
    content = changed(content, held=content.held | {generation}, torn=content.torn - {generation})
    return _with_content(place._replace(volume=volume), source, content)


def _show(place: Place, source: int) -> Place:
    station, contents = place.station, place.volume.contents
    part, content = station.parts[source], contents[source]
    target = station_view.target_of(station.parts, contents, source)
    can_fetch = target is not None and target.generation in content.held & part.proved
    if target is not None and can_fetch and (content.record is None or content.record.number < target.number):
        place = _with_content(place, source, changed(content, record=target))
    following = station_view.next_shown(station.parts, place.volume.contents, source)
    return place if following == part.shown else _with_part(place, source, changed(part, shown=following))


def _with_part(place: Place, source: int, part: Part) -> Place:
    return place._replace(station=changed(place.station, parts=replaced(place.station.parts, source, part)))


def _with_content(place: Place, source: int, content: Content) -> Place:
    return place._replace(volume=changed(place.volume, contents=replaced(place.volume.contents, source, content)))
