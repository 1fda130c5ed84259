"""Whether an answer may make a station an equal of its peers while the hub has only begun to listen (R2, R8).

What is decided is `model.listening`; here are the facts for it. A station that says of itself that it is ready is not
asked about, and a hub that has listened for long enough has taken over what its stations know.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.services import facts, mirror_lists
from stationmaster.model import listening, protocol

# A round of the scheduler takes over what stations show; it comes once a second after the hub has settled.
_ROUNDS = datetime.timedelta(seconds=3)


_HIGHEST = 2**30  # what is beyond is nonsense, which no hub takes over


def may_join(
    tx: sa.Connection,
    now: datetime.datetime,
    hub: context.Hub,
    station: sa.Row[Any],
    heartbeat: protocol.StationHeartbeat,
    visible: Mapping[str, protocol.Visible],
    mirrored: Collection[str],
) -> bool:
    """Whether the station may count itself among those in rotation, by what is ``visible`` of what is ``mirrored``."""
    if heartbeat.readiness is protocol.Readiness.READY:
        return True
    listened = datetime.timedelta(seconds=hub.settling.listened_seconds(hub.clock))
    others: list[Mapping[str, int] | None] = []
    if listened < hub.times.liveness + _ROUNDS:
        members = mirror_lists.members(tx, station.hostname, station.compartment_id)
        ids = [one.id for one in members if one.managed_instance_id is not None and one.id != station.id]
        reports = facts.last_reports(tx, ids)
        heard = [reports.get(one) for one in ids]
        others = [_shown(one[1], mirrored) if one and one[0] >= now - listened else None for one in heard]
    known = {source_id: one.number for source_id, one in visible.items()}
    return listening.may_join(known, _shown(heartbeat, mirrored), others)


def _shown(heartbeat: protocol.StationHeartbeat, mirrored: Collection[str]) -> Mapping[str, int]:
    shown = {one.source_id: one.shown.number for one in heartbeat.sources if one.shown is not None}
    return {source_id: number for source_id, number in shown.items() if source_id in mirrored and number < _HIGHEST}
