"""When a station last left a group: until balancers have seen it go, what it lacks does not become visible (R2).

Its event is the record of that; a station that never registered served nobody.
"""

from __future__ import annotations

import datetime
import math
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.services import station_facts
from stationmaster.model import addresses

LEFT = "STATION_LEFT_GROUP"
REGISTERED = "isRegistered"
_LONGEST = datetime.timedelta(minutes=1)


def parted_seconds(tx: sa.Connection, now: datetime.datetime, head: sa.Row[Any]) -> float:
    """Since a registered station left the group of ``head``; infinite when that is long ago."""
    table = schema.events.c
    query = sa.select(table.time_occurred, table.data).where(
        table.time_occurred >= now - _LONGEST, table.kind == LEFT, table.compartment_id == head.compartment_id
    )
    return min(
        (
            station_facts.seconds(now, row.time_occurred)
            for row in tx.execute(query)
            if row.data.get(REGISTERED) and addresses.canonical_host(row.data["hostname"]) == head.hostname_key
        ),
        default=math.inf,
    )
