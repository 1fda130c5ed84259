"""Stations, what they report, and what the group they form has decided."""

from __future__ import annotations

import sqlalchemy as sa

from stationmaster.hub.db import columns
from stationmaster.hub.db.columns import Json, Name, Ocid, Text, UtcTime, Word, metadata

# ``hostname_key`` is the canonical form by which peers are found (I1). ``profile_id`` is the station's own STATION
# profile; it carries no foreign key, since that profile points back here.
stations = sa.Table(
    "stations",
    metadata,
    sa.Column("id", Ocid, primary_key=True),
    sa.Column("compartment_id", Ocid, sa.ForeignKey("compartments.id"), nullable=False),
    sa.Column("display_name", Name, nullable=False),
    sa.Column("description", Text),
    sa.Column("hostname", Name, nullable=False),
    sa.Column("hostname_key", Name, nullable=False),
    sa.Column("is_auto_config_enabled", sa.Boolean, nullable=False),
    sa.Column("os_family", Word, nullable=False),
    sa.Column("arch_type", Word, nullable=False),
    sa.Column("location", Word),
    sa.Column("is_proxy_enabled", sa.Boolean, nullable=False),
    sa.Column("proxy_hosts", Json, nullable=False),
    sa.Column("proxy_port", sa.Integer, nullable=False),
    sa.Column("proxy_forward", Text),
    sa.Column("mirror_directory", Text, nullable=False),
    sa.Column("mirror_port", sa.Integer, nullable=False),
    sa.Column("mirror_sslport", sa.Integer, nullable=False),
    sa.Column("mirror_sslcert", Text),
    sa.Column("is_sslverify_enabled", sa.Boolean, nullable=False),
    sa.Column("balancer_proxy_port", sa.Integer, nullable=False),
    sa.Column("balancer_http_port", sa.Integer, nullable=False),
    sa.Column("balancer_https_port", sa.Integer, nullable=False),
    sa.Column("addresses", Json, nullable=False),  # where balancer and peers reach it, as it registered
    sa.Column("is_draining", sa.Boolean, nullable=False),
    sa.Column("lifecycle_state", Word, nullable=False),
    sa.Column("profile_id", Ocid),
    sa.Column("managed_instance_id", Ocid, index=True),
    sa.Column("scheduled_job_id", Ocid),
    *columns.resource_columns(),
    sa.Index("ix_stations_group", "hostname_key", "compartment_id"),
)

# The last heartbeat only (ha-protocol R7), as the JSON it came in: protocol.StationHeartbeat.
station_reports = sa.Table(
    "station_reports",
    metadata,
    sa.Column("station_id", Ocid, sa.ForeignKey("stations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("time_received", UtcTime, nullable=False),
    sa.Column("report", Text, nullable=False),
    sa.Column("nonces", Json),  # the last few that it wrote on its volume, newest first (R10)
)

# ``node`` is empty for what an operator stated, else names a running balancer.
group_balancers = sa.Table(
    "group_balancers",
    metadata,
    sa.Column("group_id", Word, primary_key=True),
    sa.Column("node", Name, primary_key=True),
    sa.Column("addresses", Json, nullable=False),
    sa.Column("time_seen", UtcTime, nullable=False),
    sa.Column("serves", Json),  # the clients' ports that a running one serves, those of the hub's view first
)

# All ports of a group change together (`model.port_change`). Stations' own columns are what clients are told; here is
# what is served beside it: the new ports while ``phase`` is OPENING, the former ones while it is MOVING.
port_changes = sa.Table(
    "port_changes",
    metadata,
    sa.Column("group_id", Word, primary_key=True),
    sa.Column("phase", Word, nullable=False),
    sa.Column("beside", Json, nullable=False),
    sa.Column("at_least_seconds", sa.Integer, nullable=False),
    sa.Column("at_most_seconds", sa.Integer, nullable=False),
    sa.Column("time_started", UtcTime, nullable=False),
    sa.Column("time_moved", UtcTime),
)

# Every number a source ever had in a group; the highest is the visible one (ha-protocol R1, R12). ``time_left``: since
# when no station can show it any more, from which its retention runs.
visible = sa.Table(
    "visible",
    metadata,
    sa.Column("group_id", Word, primary_key=True),
    sa.Column("source_id", Ocid, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("generation", Word, nullable=False),
    sa.Column("time_visible", UtcTime, nullable=False),
    sa.Column("time_left", UtcTime),
)

sync_requests = sa.Table(
    "sync_requests",
    metadata,
    sa.Column("group_id", Word, primary_key=True),
    sa.Column("source_id", Ocid, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("time_requested", UtcTime, nullable=False),
    sa.Column("work_request_id", Ocid, index=True),
)
