"""Scheduled jobs: made, changed, run. A restricted one belongs to its station and cannot be removed (OSMH 14, 15)."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.services import events
from stationmaster.model import ocid

SYNC_MIRRORS = "SYNC_MANAGEMENT_STATION_MIRROR"
USUAL_SYNC_RULE = "FREQ=DAILY;INTERVAL=1"


def create_sync_job(tx: sa.Connection, now: datetime.datetime, station: sa.Row[Any], instance_id: str) -> str:
    """The recurring mirror sync of a station that has just registered; its id."""
    return insert_job(
        tx,
        now,
        compartment_id=station.compartment_id,
        display_name=f"Mirror sync of {station.display_name}"[:255],
        description="Made when the station registered; its time and rule can be changed.",
        schedule_type="RECURRING",
        recurring_rule=USUAL_SYNC_RULE,
        managed_instance_ids=[instance_id],
        operations=[{"operationType": SYNC_MIRRORS}],
        is_restricted=True,
        station_id=station.id,
        time_next_execution=now.replace(microsecond=0) + datetime.timedelta(days=1),
        created_by=events.HUB_ITSELF,
    )


def insert_job(tx: sa.Connection, now: datetime.datetime, **values: Any) -> str:
    """A new job row; what is not given has the usual value."""
    job_id = ocid.mint(ocid.Kind.SCHEDULED_JOB, events.region_of(values["compartment_id"]))
    usual: dict[str, Any] = {
        "id": job_id,
        "description": None,
        "recurring_rule": None,
        "locations": [],
        "managed_instance_ids": [],
        "managed_instance_group_ids": [],
        "managed_compartment_ids": [],
        "lifecycle_stage_ids": [],
        "dynamic_set_ids": [],
        "is_subcompartment_included": False,
        "retry_intervals": [],
        "is_restricted": False,
        "station_id": None,
        "lifecycle_state": "ACTIVE",
        "freeform_tags": {},
        "defined_tags": {},
        "time_created": now,
        "time_updated": now,
        "revision": 1,
    }
    tx.execute(schema.scheduled_jobs.insert().values(usual | values))
    return job_id
