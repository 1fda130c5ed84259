"""What clients get: balancers choose by what they last sampled, pinned paths are answered by any station (R2, R3, R11).

A balancer's idea of a station may be late by its check window, and each balancer's is late in its own way. So a client
may be sent to any station that was ready within the window; and to one of last resort where none is ready now, for a
balancer that does not yet know, or that has just found it out. A station that does not answer is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stationmaster.station import miss_rules
from stationmaster.testing.exploration import station_view
from stationmaster.testing.exploration.state import Station, Volume

_PROVED_ABSENT = frozenset({miss_rules.Verdict.DROPPED, miss_rules.Verdict.ABSENT})


class Group(NamedTuple):
    """What clients can meet."""

    stations: tuple[Station, ...]
    volumes: tuple[Volume, ...]


def taken_for_ready(group: Group) -> list[int]:
    """Stations that answer and that a balancer may take for ready."""
    return [index for index, one in enumerate(group.stations) if one.works and one.ready]


def is_serving(group: Group, station: Station) -> bool:
    """Whether it is at least a last resort: it answers to ``/healthz?tier=serving``."""
    return station.works and station_view.verdict(station, group.volumes[station.volume]).is_serving


def last_resorts(group: Group) -> list[int]:
    """All that answer, ready ones too."""
    return [index for index, one in enumerate(group.stations) if is_serving(group, one)]


def answer(group: Group, index: int, source: int, generation: str, *, is_hop: bool = False) -> int:
    """The status for a path that a client, or a peer, knows from the generation's own metadata."""
    station = group.stations[index]
    volume = group.volumes[station.volume]
    content = volume.contents[source]
    if generation in content.held and generation not in content.torn:
        return 200
    verdict = station_view.judge_miss(station, volume, source, generation, is_hop=is_hop)
    if verdict is miss_rules.Verdict.FILL:
        return 200 if can_be_filled(group, index, source, generation) else 503
    return 404 if verdict in _PROVED_ABSENT else 503


def can_be_filled(group: Group, index: int, source: int, generation: str) -> bool:
    """Whether a peer answers with the file; a peer asks nobody else."""
    return any(
        answer(group, other, source, generation, is_hop=True) == 200
        for other, one in enumerate(group.stations)
        if other != index and one.works and not one.is_gone
    )


def broken_promises(group: Group) -> Iterator[str]:
    """What a client meets that it should not: a list that names what another station cannot serve."""
    equals, all_ = taken_for_ready(group), last_resorts(group)
    for first in sorted({*equals, *all_}):
        for source, part in enumerate(group.stations[first].parts):
            if part.shown is not None:
                yield from _broken_after_list(group, first, source, part.shown.generation, equals, all_)


def _broken_after_list(
    group: Group, first: int, source: int, generation: str, equals: list[int], all_: list[int]
) -> Iterator[str]:
    for index in all_:
        content = group.volumes[group.stations[index].volume].contents[source]
        status = answer(group, index, source, generation)
        if status == 404:
            yield f"R11: s{first} names {generation} of {source}, and s{index} says that there is no such thing"
        is_lost = generation in content.torn and not can_be_filled(group, index, source, generation)
        if first in equals and index in equals and status != 200 and not is_lost:
            yield f"R3: s{first} names {generation} of {source}; s{index} is taken for ready and answers {status}"
