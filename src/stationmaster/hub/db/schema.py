"""All tables of the hub under one name: ``schema.stations``, ``schema.profiles`` and so on.

Conventions: ids are OCIDs; times are UTC; ``revision`` rises with every change that a person made, and is what ETags
are made of; ``…_digest`` is hex. Shown states are computed from facts and times, never stored.
"""

from __future__ import annotations

from stationmaster.hub.db.columns import metadata
from stationmaster.hub.db.tables.content import (
    profile_sources,
    profile_versions,
    profiles,
    registration_keys,
    registrations,
    software_sources,
)
from stationmaster.hub.db.tables.people import api_keys, compartments, events, principals, retry_tokens, settings
from stationmaster.hub.db.tables.rotation import (
    candidates,
    orphaned_sources,
    source_generations,
    source_leases,
    station_healths,
    station_lags,
    station_volumes,
    visible_records,
    volume_leases,
    volume_samples,
)
from stationmaster.hub.db.tables.stations import (
    group_balancers,
    port_changes,
    station_reports,
    stations,
    sync_requests,
    visible,
)
from stationmaster.hub.db.tables.work import (
    instance_inventories,
    instance_sources,
    managed_instances,
    scheduled_jobs,
    work_request_errors,
    work_request_logs,
    work_requests,
)

__all__ = [
    "api_keys",
    "candidates",
    "compartments",
    "events",
    "group_balancers",
    "instance_inventories",
    "instance_sources",
    "managed_instances",
    "metadata",
    "orphaned_sources",
    "port_changes",
    "principals",
    "profile_sources",
    "profile_versions",
    "profiles",
    "registration_keys",
    "registrations",
    "retry_tokens",
    "scheduled_jobs",
    "settings",
    "software_sources",
    "source_generations",
    "source_leases",
    "station_healths",
    "station_lags",
    "station_reports",
    "station_volumes",
    "stations",
    "sync_requests",
    "visible",
    "visible_records",
    "volume_leases",
    "volume_samples",
    "work_request_errors",
    "work_request_logs",
    "work_requests",
]
