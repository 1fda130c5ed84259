"""The generated scripts, for people to download."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api.call import Answer, Call
from stationmaster.hub.api.routes import OWN, Route
from stationmaster.hub.api.wire.base import Shown
from stationmaster.hub.api.wire.groups import GroupQuery
from stationmaster.hub.services import facts, ha_groups, port_changes, scripts, stations


class Script(Shown, frozen=True):
    """A shell script."""

    content: str


def station_script(call: Call, tx: sa.Connection) -> Answer:
    """GET stations/{stationId}/setupScript."""
    station: Any = stations.find(tx, call.path["stationId"], field="stationId")
    known = facts.station_facts(station)
    return Answer(200, Script(content=scripts.station_setup(known, port_changes.beside(tx, known.group_id))))


def instance_script(call: Call, tx: sa.Connection) -> Answer:
    """GET groups/instanceSetupScript."""
    query = call.query(GroupQuery)
    head = ha_groups.find_group(tx, query.hostname, query.compartment_id)
    return Answer(200, Script(content=scripts.instance_setup(call.hub, facts.station_facts(head))))


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path=f"{OWN}/stations/{{stationId}}/setupScript", handler=station_script, answers=Script),
    Route(
        method="GET",
        path=f"{OWN}/groups/instanceSetupScript",
        handler=instance_script,
        query=GroupQuery,
        answers=Script,
    ),
)
