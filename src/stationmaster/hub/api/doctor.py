"""The doctor's findings about one group, for whoever asks."""

from __future__ import annotations

import sqlalchemy as sa

from stationmaster.hub.api import group_shapes
from stationmaster.hub.api.call import Answer, Call
from stationmaster.hub.api.routes import OWN, Route
from stationmaster.hub.api.wire import groups as wire
from stationmaster.hub.services import doctor, ha_groups


def diagnose_group(call: Call, tx: sa.Connection) -> Answer:
    """GET groups/doctor: what is wrong, most severe first."""
    query = call.query(wire.GroupQuery)
    head = ha_groups.find_group(tx, query.hostname, query.compartment_id)
    found = doctor.examine(tx, call.now, call.hub, head)
    items = [group_shapes.finding(one) for one in found]
    is_trouble = any(one.severity.is_trouble for one in found)
    return Answer(200, wire.Diagnosis(hostname=head.hostname_key, is_trouble=is_trouble, items=items))


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path=f"{OWN}/groups/doctor", handler=diagnose_group, query=wire.GroupQuery),
)
