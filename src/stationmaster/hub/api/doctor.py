"""The doctor's findings about one group, for whoever asks."""

from __future__ import annotations

import concurrent.futures

import sqlalchemy as sa

from stationmaster.host import network
from stationmaster.hub.api import group_shapes
from stationmaster.hub.api.call import Answer, Call
from stationmaster.hub.api.routes import OWN, Route
from stationmaster.hub.api.wire import groups as wire
from stationmaster.hub.services import doctor, facts, ha_groups, mirror_lists

_KNOCK_SECONDS = 1.0
_MOST_AT_ONCE = 16


def knock(call: Call) -> dict[str, bool]:
    """Before the transaction: by address, whether each station's mirror takes a connection from here."""
    query = call.query(wire.GroupQuery)
    with call.hub.store.read() as tx:
        head = ha_groups.find_group(tx, query.hostname, query.compartment_id)
        members = [facts.station_facts(row) for row in mirror_lists.members(tx, head.hostname, head.compartment_id)]
    asked = {one.addresses[0]: one.direct.http for one in members if one.addresses}
    if not asked:
        return {}
    with concurrent.futures.ThreadPoolExecutor(min(_MOST_AT_ONCE, len(asked))) as pool:
        answers = pool.map(lambda one: network.is_answering(*one, timeout=_KNOCK_SECONDS), asked.items())
        return dict(zip(asked, answers, strict=True))


def diagnose_group(call: Call, tx: sa.Connection) -> Answer:
    """GET groups/doctor: what is wrong, most severe first."""
    query = call.query(wire.GroupQuery)
    head = ha_groups.find_group(tx, query.hostname, query.compartment_id)
    found = doctor.examine(tx, call.now, call.hub, head, call.prepared)
    items = [group_shapes.finding(one) for one in found]
    is_trouble = any(one.severity.is_trouble for one in found)
    return Answer(200, wire.Diagnosis(hostname=head.hostname_key, is_trouble=is_trouble, items=items))


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path=f"{OWN}/groups/doctor",
        handler=diagnose_group,
        query=wire.GroupQuery,
        answers=wire.Diagnosis,
        prepare=knock,
    ),
)
