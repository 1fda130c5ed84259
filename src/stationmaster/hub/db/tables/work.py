"""Managed instances, the jobs people schedule for them, and the work requests that carry them out."""

from __future__ import annotations

import sqlalchemy as sa

from stationmaster.hub.db import columns
from stationmaster.hub.db.columns import Bytes, Json, Name, Ocid, Serial, Text, UtcTime, Word, metadata

# ``profile_id`` has no foreign key: deleting a profile does not touch who registered with it (OSMH rule 71).
managed_instances = sa.Table(
    "managed_instances",
    metadata,
    sa.Column("id", Ocid, primary_key=True),
    sa.Column("compartment_id", Ocid, sa.ForeignKey("compartments.id"), nullable=False, index=True),
    sa.Column("display_name", Name, nullable=False, index=True),
    sa.Column("description", Text),
    sa.Column("location", Word, nullable=False),
    sa.Column("host_name", Name, nullable=False),
    sa.Column("os_name", Name),
    sa.Column("os_version", Name),
    sa.Column("os_kernel_version", Name),
    sa.Column("os_family", Word),
    sa.Column("architecture", Word),
    sa.Column("package_manager", Word),
    sa.Column("agent_version", Word, nullable=False),
    sa.Column("lifecycle_state", Word, nullable=False),  # ONBOARDING, ACTIVE, DELETING: status is computed from it
    sa.Column("profile_id", Ocid),
    sa.Column("profile_version", sa.Integer),
    sa.Column("is_management_station", sa.Boolean, nullable=False),
    sa.Column("primary_station_id", Ocid, sa.ForeignKey("stations.id"), index=True),
    sa.Column("secondary_station_id", Ocid, sa.ForeignKey("stations.id"), index=True),
    sa.Column("notification_topic_id", Ocid),
    sa.Column("are_sources_managed", sa.Boolean, nullable=False),
    sa.Column("is_reboot_required", sa.Boolean, nullable=False),
    sa.Column("installed_packages", sa.Integer, nullable=False),
    sa.Column("updates_available", sa.Integer, nullable=False),
    sa.Column("address_in_use", Json),  # protocol.ClientAddress, as last reported
    sa.Column("desired_digest", Word, nullable=False),
    sa.Column("applied_digest", Word, nullable=False),
    sa.Column("problems", Json, nullable=False),
    sa.Column("time_last_checkin", UtcTime, index=True),
    sa.Column("time_last_boot", UtcTime),
    sa.Column("time_last_software_refresh", UtcTime),
    sa.Column("time_created", UtcTime, nullable=False, index=True),
    sa.Column("time_updated", UtcTime, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
)

instance_sources = sa.Table(
    "instance_sources",
    metadata,
    sa.Column("managed_instance_id", Ocid, sa.ForeignKey("managed_instances.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("source_id", Ocid, sa.ForeignKey("software_sources.id"), primary_key=True, index=True),
    sa.Column("is_enabled", sa.Boolean, nullable=False),
    sa.Column("time_attached", UtcTime, nullable=False),
)

# The whole inventory as JSON (protocol.Inventory), compressed: it is read per instance, and replaced as a whole.
instance_inventories = sa.Table(
    "instance_inventories",
    metadata,
    sa.Column("managed_instance_id", Ocid, sa.ForeignKey("managed_instances.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("digest", Word, nullable=False),
    sa.Column("time_received", UtcTime, nullable=False),
    sa.Column("content", Bytes, nullable=False),
)

scheduled_jobs = sa.Table(
    "scheduled_jobs",
    metadata,
    sa.Column("id", Ocid, primary_key=True),
    sa.Column("compartment_id", Ocid, sa.ForeignKey("compartments.id"), nullable=False, index=True),
    sa.Column("display_name", Name, nullable=False),
    sa.Column("description", Text),
    sa.Column("schedule_type", Word, nullable=False),
    sa.Column("recurring_rule", Text),
    sa.Column("locations", Json, nullable=False),
    sa.Column("managed_instance_ids", Json, nullable=False),
    sa.Column("managed_instance_group_ids", Json, nullable=False),
    sa.Column("managed_compartment_ids", Json, nullable=False),
    sa.Column("lifecycle_stage_ids", Json, nullable=False),
    sa.Column("dynamic_set_ids", Json, nullable=False),
    sa.Column("is_subcompartment_included", sa.Boolean, nullable=False),
    sa.Column("operations", Json, nullable=False),
    sa.Column("retry_intervals", Json, nullable=False),
    sa.Column("is_restricted", sa.Boolean, nullable=False),
    sa.Column("station_id", Ocid, sa.ForeignKey("stations.id", ondelete="CASCADE"), index=True),
    sa.Column("lifecycle_state", Word, nullable=False),
    sa.Column("time_next_execution", UtcTime, index=True),
    sa.Column("time_last_execution", UtcTime),
    *columns.resource_columns(),
)

# ``managed_instance_id`` is the one target of a request that a machine carries out; parents have none.
work_requests = sa.Table(
    "work_requests",
    metadata,
    sa.Column("id", Ocid, primary_key=True),
    sa.Column("compartment_id", Ocid, nullable=False, index=True),
    sa.Column("operation_type", Word, nullable=False),
    sa.Column("status", Word, nullable=False, index=True),
    sa.Column("display_name", Name, nullable=False),
    sa.Column("description", Text),
    sa.Column("message", Text),
    sa.Column("parent_id", Ocid, sa.ForeignKey("work_requests.id", ondelete="CASCADE"), index=True),
    sa.Column("retry_of_id", Ocid),
    sa.Column("rerun_of_id", Ocid),
    sa.Column("scheduled_job_id", Ocid, index=True),
    sa.Column("initiator_id", Ocid),
    sa.Column("managed_instance_id", Ocid, index=True),
    sa.Column("station_id", Ocid, index=True),
    sa.Column("resources", Json, nullable=False),
    sa.Column("payload", Json, nullable=False),
    sa.Column("retry_intervals", Json, nullable=False),
    sa.Column("percent_complete", sa.Float, nullable=False),
    sa.Column("last_report", sa.Integer, nullable=False),  # highest number of protocol.JobReport that is stored
    sa.Column("time_created", UtcTime, nullable=False, index=True),
    sa.Column("time_updated", UtcTime, nullable=False),
    sa.Column("time_scheduled", UtcTime),
    sa.Column("time_dispatched", UtcTime),
    sa.Column("time_started", UtcTime),
    sa.Column("time_finished", UtcTime),
    sa.Column("revision", sa.Integer, nullable=False),
)

work_request_logs = sa.Table(
    "work_request_logs",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column(
        "work_request_id", Ocid, sa.ForeignKey("work_requests.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("time_logged", UtcTime, nullable=False),
    sa.Column("message", Text, nullable=False),
)

work_request_errors = sa.Table(
    "work_request_errors",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column(
        "work_request_id", Ocid, sa.ForeignKey("work_requests.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("time_logged", UtcTime, nullable=False),
    sa.Column("code", Name, nullable=False),
    sa.Column("message", Text, nullable=False),
)
