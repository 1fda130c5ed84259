"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from stationmaster.hub.db import columns

revision = "0001"
down_revision: str | None = None


def _create_compartments() -> None:
    op.create_table(
        "compartments",
        sa.Column("id", columns.Ocid, nullable=False),
        sa.Column("parent_id", columns.Ocid, nullable=True),
        sa.Column("display_name", columns.Ocid, nullable=False),
        sa.Column("description", columns.Text, nullable=False),
        sa.Column("time_created", columns.UtcTime(), nullable=False),
        sa.Column("created_by", columns.Ocid, nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["compartments.id"], name=op.f("fk_compartments_parent_id_compartments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compartments")),
        sa.UniqueConstraint("parent_id", "display_name", name=op.f("uq_compartments_parent_id_display_name")),
    )
    op.create_index(op.f("ix_compartments_parent_id"), "compartments", ["parent_id"], unique=False)


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", columns.Ocid, nullable=False),
        sa.Column("time_occurred", columns.UtcTime(), nullable=False),
        sa.Column("kind", columns.Word, nullable=False),
        sa.Column("compartment_id", columns.Ocid, nullable=False),
        sa.Column("resource_id", columns.Ocid, nullable=False),
        sa.Column("resource_name", columns.Ocid, nullable=False),
        sa.Column("principal_id", columns.Ocid, nullable=False),
        sa.Column("request_id", columns.Ocid, nullable=False),
        sa.Column("message", columns.Text, nullable=False),
        sa.Column("data", columns.Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_compartment_id"), "events", ["compartment_id"], unique=False)
    op.create_index(op.f("ix_events_resource_id"), "events", ["resource_id"], unique=False)
    op.create_index(op.f("ix_events_time_occurred"), "events", ["time_occurred"], unique=False)


def _create_group_balancers() -> None:
    op.create_table(
        "group_balancers",
        sa.Column("group_id", columns.Word, nullable=False),
        sa.Column("node", columns.Ocid, nullable=False),
        sa.Column("addresses", columns.Json, nullable=False),
        sa.Column("time_seen", columns.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "node", name=op.f("pk_group_balancers")),
    )


def _create_principals() -> None:
    op.create_table(
        "principals",
        sa.Column("id", columns.Ocid, nullable=False),
        sa.Column("kind", columns.Word, nullable=False),
        sa.Column("name", columns.Ocid, nullable=False),
        sa.Column("tenancy_id", columns.Ocid, nullable=False),
        sa.Column("time_created", columns.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_principals")),
    )


def _create_retry_tokens() -> None:
    op.create_table(
        "retry_tokens",
        sa.Column("principal_id", columns.Ocid, nullable=False),
        sa.Column("token", columns.Ocid, nullable=False),
        sa.Column("request_digest", columns.Word, nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", columns.Json, nullable=False),
        sa.Column("body", columns.Bytes, nullable=False),
        sa.Column("time_created", columns.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("principal_id", "token", name=op.f("pk_retry_tokens")),
    )
    op.create_index(op.f("ix_retry_tokens_time_created"), "retry_tokens", ["time_created"], unique=False)


def _create_settings() -> None:
    op.create_table(
        "settings",
        sa.Column("name", columns.Word, nullable=False),
        sa.Column("value", columns.Json, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )


def _create_sync_requests() -> None:
    op.create_table(
        "sync_requests",
        sa.Column("group_id", columns.Word, nullable=False),
        sa.Column("source_id", columns.Ocid, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time_requested", columns.UtcTime(), nullable=False),
        sa.Column("work_request_id", columns.Ocid, nullable=True),
        sa.PrimaryKeyConstraint("group_id", "source_id", "number", name=op.f("pk_sync_requests")),
    )
    op.create_index(op.f("ix_sync_requests_work_request_id"), "sync_requests", ["work_request_id"], unique=False)


def _create_visible() -> None:
    op.create_table(
        "visible",
        sa.Column("group_id", columns.Word, nullable=False),
        sa.Column("source_id", columns.Ocid, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", columns.Word, nullable=False),
        sa.Column("time_visible", columns.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "source_id", "number", name=op.f("pk_visible")),
    )


def _create_work_requests() -> None:
    op.create_table(
        "work_requests",
        sa.Column("id", columns.Ocid, nullable=False),
        sa.Column("compartment_id", columns.Ocid, nullable=False),
        sa.Column("operation_type", columns.Word, nullable=False),
        sa.Column("status", columns.Word, nullable=False),
        sa.Column("display_name", columns.Ocid, nullable=False),
        sa.Column("description", columns.Text, nullable=True),
        sa.Column("message", columns.Text, nullable=True),
        sa.Column("parent_id", columns.Ocid, nullable=True),
        sa.Column("retry_of_id", columns.Ocid, nullable=True),
        sa.Column("rerun_of_id", columns.Ocid, nullable=True),
        sa.Column("scheduled_job_id", columns.Ocid, nullable=True),
        sa.Column("initiator_id", columns.Ocid, nullable=True),
        sa.Column("managed_instance_id", columns.Ocid, nullable=True),
        sa.Column("station_id", columns.Ocid, nullable=True),
        sa.Column("resources", columns.Json, nullable=False),
        sa.Column("payload", columns.Json, nullable=False),
        sa.Column("retry_intervals", columns.Json, nullable=False),
        sa.Column("percent_complete", sa.Float(), nullable=False),
        sa.Column("last_report", sa.Integer(), nullable=False),
        sa.Column("time_created", columns.UtcTime(), nullable=False),
        sa.Column("time_updated", columns.UtcTime(), nullable=False),
        sa.Column("time_scheduled", columns.UtcTime(), nullable=True),
        sa.Column("time_dispatched", columns.UtcTime(), nullable=True),
        sa.Column("time_started", columns.UtcTime(), nullable=True),
        sa.Column("time_finished", columns.UtcTime(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["work_requests.id"],
            name=op.f("fk_work_requests_parent_id_work_requests"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_requests")),
    )
    op.create_index(op.f("ix_work_requests_compartment_id"), "work_requests", ["compartment_id"], unique=False)
    op.create_index(
        op.f("ix_work_requests_managed_instance_id"), "work_requests", ["managed_instance_id"], unique=False
    )
    op.create_index(op.f("ix_work_requests_parent_id"), "work_requests", ["parent_id"], unique=False)
    op.create_index(op.f("ix_work_requests_scheduled_job_id"), "work_requests", ["scheduled_job_id"], unique=False)
    op.create_index(op.f("ix_work_requests_station_id"), "work_requests", ["station_id"], unique=False)
    op.create_index(op.f("ix_work_requests_status"), "work_requests", ["status"], unique=False)
    op.create_index(op.f("ix_work_requests_time_created"), "work_requests", ["time_created"], unique=False)


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("principal_id", columns.Ocid, nullable=False),
        sa.Column("fingerprint", columns.Word, nullable=False),
        sa.Column("public_key", columns.Text, nullable=False),
        sa.Column("time_created", columns.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["principals.id"], name=op.f("fk_api_keys_principal_id_principals"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("principal_id", "fingerprint", name=op.f("pk_api_keys")),
    )


def _create_software_sources() -> None:
    op.create_table(
        "software_sources",
        sa.Column("id", columns.Ocid, nullable=False),
        sa.Column("compartment_id", columns.Ocid, nullable=False),
        sa.Column("display_name", columns.Ocid, nullable=False),
        sa.Column("description", columns.Text, nullable=True),
        sa.Column("software_source_type", columns.Word, nullable=False),
        sa.Column("format", columns.Word, nullable=False),
        sa.Column("repo_id", columns.Ocid, nullable=False),
        sa.Column("url", columns.Text, nullable=False),
        sa.Column("os_family", columns.Word, nullable=False),
        sa.Column("arch_type", columns.Word, nullable=False),
        sa.Column("availability", columns.Word, nullable=False),
        sa.Column("availability_at_oci", columns.Word, nullable=False),
        sa.Column("is_gpg_check_enabled", sa.Boolean(), nullable=False),
        sa.Column("is_ssl_verify_enabled", sa.Boolean(), nullable=False),
        sa.Column("is_mirror_sync_allowed", sa.Boolean(), nullable=False),
        sa.Column("gpg_key_url", columns.Text, nullable=True),
        sa.Column("gpg_keys", columns.Json, nullable=False),
        sa.Column("advanced_repo_options", columns.Text, nullable=True),
        sa.Column("lifecycle_state", columns.Word, nullable=False),
        sa.Column("freeform_tags", columns.Json, nullable=False),
        sa.Column("defined_tags", columns.Json, nullable=False),
        sa.Column("created_by", columns.Ocid, nullable=False),
        sa.Column("time_created", columns.UtcTime(), nullable=False),
        sa.Column("time_updated", columns.UtcTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["compartment_id"], ["compartments.id"], name=op.f("fk_software_sources_compartment_id_compartments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_software_sources")),
        sa.UniqueConstraint("repo_id", name=op.f("uq_software_sources_repo_id")),
    )
    op.create_index(op.f("ix_software_sources_compartment_id"), "software_sources", ["compartment_id"], unique=False)


def _create_stations() -> None:
    op.create_table(
        "stations",
        sa.Column("id", columns.Ocid, nullable=False),
        sa.Column("compartment_id", columns.Ocid, nullable=False),
        sa.Column("display_name", columns.Ocid, nullable=False),
        sa.Column("description", columns.Text, nullable=True),
        sa.Column("hostname", columns.Ocid, nullable=False),
        sa.Column("hostname_key", columns.Ocid, nullable=False),
        sa.Column("is_auto_config_enabled", sa.Boolean(), nullable=False),
        sa.Column("os_family", columns.Word, nullable=False),
        sa.Column("arch_type", columns.Word, nullable=False),
        sa.Column("location", columns.Word, nullable=True),
        sa.Column("is_proxy_enabled", sa.Boolean(), nullable=False),
        sa.Column("proxy_hosts", columns.Json, nullable=False),
        sa.Column("proxy_port", sa.Integer(), nullable=False),
        sa.Column("proxy_forward", columns.Text, nullable=True),
        sa.Column("mirror_directory", columns.Text, nullable=False),
        sa.Column("mirror_port", sa.Integer(), nullable=False),
        sa.Column("mirror_sslport", sa.Integer(), nullable=False),
        sa.Column("mirror_sslcert", columns.Text, nullable=True),
        sa.Column("is_sslverify_enabled", sa.Boolean(), nullable=False),
        sa.Column("balancer_proxy_port", sa.Integer(), nullable=False),
        sa.Column("balancer_http_port", sa.Integer(), nullable=False),
        sa.Column("balancer_https_port", sa.Integer(), nullable=False),
        sa.Column("addresses", columns.Json, nullable=False),
        sa.Column("is_draining", sa.Boolean(), nullable=False),
        sa.Column("lifecycle_state", columns.Word, nullable=False),
        sa.Column("profile_id", columns.Ocid, nullable=True),
        sa.Column("managed_instance_id", columns.Ocid, nullable=True),
        sa.Column("scheduled_job_id", columns.Ocid, nullable=True),
        sa.Column("freeform_tags", columns.Json, nullable=False),
        sa.Column("defined_tags", columns.Json, nullable=False),
        sa.Column("created_by", columns.Ocid, nullable=False),
        sa.Column("time_created", columns.UtcTime(), nullable=False),
        sa.Column("time_updated", columns.UtcTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["compartment_id"], ["compartments.id"], name=op.f("fk_stations_compartment_id_compartments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stations")),
    )
    op.create_index("ix_stations_group", "stations", ["hostname_key", "compartment_id"], unique=False)
    op.create_index(op.f("ix_stations_managed_instance_id"), "stations", ["managed_instance_id"], unique=False)


def _create_work_request_errors() -> None:
    op.create_table(
        "work_request_errors",
        sa.Column("id", columns.Serial, nullable=False),
        sa.Column("work_request_id", columns.Ocid, nullable=False),
        sa.Column("time_logged", columns.UtcTime(), nullable=False),
        sa.Column("code", columns.Ocid, nullable=False),
        sa.Column("message", columns.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["work_request_id"],
            ["work_requests.id"],
            name=op.f("fk_work_request_errors_work_request_id_work_requests"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_request_errors")),
    )
    op.create_index(
        op.f("ix_work_request_errors_work_request_id"), "work_request_errors", ["work_request_id"], unique=False
    )


def _create_work_request_logs() -> None:
    op.create_table(
        "work_request_logs",
        sa.Column("id", columns.Serial, nullable=False),
        sa.Column("work_request_id", columns.Ocid, nullable=False),
        sa.Column("time_logged", columns.UtcTime(), nullable=False),
        sa.Column("message", columns.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["work_request_id"],
            ["work_requests.id"],
            name=op.f("fk_work_request_logs_work_request_id_work_requests"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_request_logs")),
    )
    op.create_index(
        op.f("ix_work_request_logs_work_request_id"), "work_request_logs", ["work_request_id"], unique=False
    )


def _create_managed_instances() -> None:
    op.create_table(
        "managed_instances",
        sa.Column("id", columns.Ocid, nullable=False),
        sa.Column("compartment_id", columns.Ocid, nullable=False),
        sa.Column("display_name", columns.Ocid, nullable=False),
        sa.Column("description", columns.Text, nullable=True),
        sa.Column("location", columns.Word, nullable=False),
        sa.Column("host_name", columns.Ocid, nullable=False),
        sa.Column("os_name", columns.Ocid, nullable=True),
        sa.Column("os_version", columns.Ocid, nullable=True),
        sa.Column("os_kernel_version", columns.Ocid, nullable=True),
        sa.Column("os_family", columns.Word, nullable=True),
        sa.Column("architecture", columns.Word, nullable=True),
        sa.Column("package_manager", columns.Word, nullable=True),
        sa.Column("agent_version", columns.Word, nullable=False),
        sa.Column("lifecycle_state", columns.Word, nullable=False),
        sa.Column("profile_id", columns.Ocid, nullable=True),
        sa.Column("profile_version", sa.Integer(), nullable=True),
        sa.Column("is_management_station", sa.Boolean(), nullable=False),
        sa.Column("primary_station_id", columns.Ocid, nullable=True),
        sa.Column("secondary_station_id", columns.Ocid, nullable=True),
        sa.Column("notification_topic_id", columns.Ocid, nullable=True),
        sa.Column("are_sources_managed", sa.Boolean(), nullable=False),
        sa.Column("is_reboot_required", sa.Boolean(), nullable=False),
        sa.Column("installed_packages", sa.Integer(), nullable=False),
        sa.Column("updates_available", sa.Integer(), nullable=False),
        sa.Column("address_in_use", columns.Json, nullable=True),
        sa.Column("desired_digest", columns.Word, nullable=False),
        sa.Column("applied_digest", columns.Word, nullable=False),
        sa.Column("problems", columns.Json, nullable=False),
        sa.Column("time_last_checkin", columns.UtcTime(), nullable=True),
        sa.Column("time_last_boot", columns.UtcTime(), nullable=True),
        sa.Column("time_last_software_refresh", columns.UtcTime(), nullable=True),
        sa.Column("time_created", columns.UtcTime(), nullable=False),
        sa.Column("time_updated", columns.UtcTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["compartment_id"], ["compartments.id"], name=op.f("fk_managed_instances_compartment_id_compartments")
        ),
        sa.ForeignKeyConstraint(
            ["primary_station_id"], ["stations.id"], name=op.f("fk_managed_instances_primary_station_id_stations")
        ),
        sa.ForeignKeyConstraint(
            ["secondary_station_id"], ["stations.id"], name=op.f("fk_managed_instances_secondary_station_id_stations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_managed_instances")),
    )
    op.create_index(op.f("ix_managed_instances_compartment_id"), "managed_instances", ["compartment_id"], unique=False)
    op.create_index(op.f("ix_managed_instances_display_name"), "managed_instances", ["display_name"], unique=False)
    op.create_index(
        op.f("ix_managed_instances_primary_station_id"), "managed_instances", ["primary_station_id"], unique=False
    )
    op.create_index(
        op.f("ix_managed_instances_secondary_station_id"), "managed_instances", ["secondary_station_id"], unique=False
    )
    op.create_index(op.f("ix_managed_instances_time_created"), "managed_instances", ["time_created"], unique=False)
    op.create_index(
        op.f("ix_managed_instances_time_last_checkin"), "managed_instances", ["time_last_checkin"], unique=False
    )


def _create_profiles() -> None:
    op.create_table(
        "profiles",
        sa.Column("id", columns.Ocid, nullable=False),
        sa.Column("compartment_id", columns.Ocid, nullable=False),
        sa.Column("display_name", columns.Ocid, nullable=False),
        sa.Column("description", columns.Text, nullable=True),
        sa.Column("profile_type", columns.Word, nullable=False),
        sa.Column("vendor_name", columns.Word, nullable=False),
        sa.Column("os_family", columns.Word, nullable=False),
        sa.Column("arch_type", columns.Word, nullable=False),
        sa.Column("registration_type", columns.Word, nullable=False),
        sa.Column("management_station_id", columns.Ocid, nullable=True),
        sa.Column("is_station_own", sa.Boolean(), nullable=False),
        sa.Column("is_default_profile", sa.Boolean(), nullable=False),
        sa.Column("is_service_provided_profile", sa.Boolean(), nullable=False),
        sa.Column("lifecycle_state", columns.Word, nullable=False),
        sa.Column("profile_version", sa.Integer(), nullable=False),
        sa.Column("freeform_tags", columns.Json, nullable=False),
        sa.Column("defined_tags", columns.Json, nullable=False),
        sa.Column("created_by", columns.Ocid, nullable=False),
        sa.Column("time_created", columns.UtcTime(), nullable=False),
        sa.Column("time_modified", columns.UtcTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["compartment_id"], ["compartments.id"], name=op.f("fk_profiles_compartment_id_compartments")
        ),
        sa.ForeignKeyConstraint(
            ["management_station_id"], ["stations.id"], name=op.f("fk_profiles_management_station_id_stations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profiles")),
    )
    op.create_index(op.f("ix_profiles_compartment_id"), "profiles", ["compartment_id"], unique=False)
    op.create_index(op.f("ix_profiles_management_station_id"), "profiles", ["management_station_id"], unique=False)


def _create_scheduled_jobs() -> None:
    op.create_table(
        "scheduled_jobs",
        sa.Column("id", columns.Ocid, nullable=False),
        sa.Column("compartment_id", columns.Ocid, nullable=False),
        sa.Column("display_name", columns.Ocid, nullable=False),
        sa.Column("description", columns.Text, nullable=True),
        sa.Column("schedule_type", columns.Word, nullable=False),
        sa.Column("recurring_rule", columns.Text, nullable=True),
        sa.Column("locations", columns.Json, nullable=False),
        sa.Column("managed_instance_ids", columns.Json, nullable=False),
        sa.Column("managed_instance_group_ids", columns.Json, nullable=False),
        sa.Column("managed_compartment_ids", columns.Json, nullable=False),
        sa.Column("lifecycle_stage_ids", columns.Json, nullable=False),
        sa.Column("dynamic_set_ids", columns.Json, nullable=False),
        sa.Column("is_subcompartment_included", sa.Boolean(), nullable=False),
        sa.Column("operations", columns.Json, nullable=False),
        sa.Column("retry_intervals", columns.Json, nullable=False),
        sa.Column("is_restricted", sa.Boolean(), nullable=False),
        sa.Column("station_id", columns.Ocid, nullable=True),
        sa.Column("lifecycle_state", columns.Word, nullable=False),
        sa.Column("time_next_execution", columns.UtcTime(), nullable=True),
        sa.Column("time_last_execution", columns.UtcTime(), nullable=True),
        sa.Column("freeform_tags", columns.Json, nullable=False),
        sa.Column("defined_tags", columns.Json, nullable=False),
        sa.Column("created_by", columns.Ocid, nullable=False),
        sa.Column("time_created", columns.UtcTime(), nullable=False),
        sa.Column("time_updated", columns.UtcTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["compartment_id"], ["compartments.id"], name=op.f("fk_scheduled_jobs_compartment_id_compartments")
        ),
        sa.ForeignKeyConstraint(
            ["station_id"], ["stations.id"], name=op.f("fk_scheduled_jobs_station_id_stations"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_jobs")),
    )
    op.create_index(op.f("ix_scheduled_jobs_compartment_id"), "scheduled_jobs", ["compartment_id"], unique=False)
    op.create_index(op.f("ix_scheduled_jobs_station_id"), "scheduled_jobs", ["station_id"], unique=False)
    op.create_index(
        op.f("ix_scheduled_jobs_time_next_execution"), "scheduled_jobs", ["time_next_execution"], unique=False
    )


def _create_station_reports() -> None:
    op.create_table(
        "station_reports",
        sa.Column("station_id", columns.Ocid, nullable=False),
        sa.Column("time_received", columns.UtcTime(), nullable=False),
        sa.Column("report", columns.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["station_id"], ["stations.id"], name=op.f("fk_station_reports_station_id_stations"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("station_id", name=op.f("pk_station_reports")),
    )


def _create_instance_inventories() -> None:
    op.create_table(
        "instance_inventories",
        sa.Column("managed_instance_id", columns.Ocid, nullable=False),
        sa.Column("digest", columns.Word, nullable=False),
        sa.Column("time_received", columns.UtcTime(), nullable=False),
        sa.Column("content", columns.Bytes, nullable=False),
        sa.ForeignKeyConstraint(
            ["managed_instance_id"],
            ["managed_instances.id"],
            name=op.f("fk_instance_inventories_managed_instance_id_managed_instances"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("managed_instance_id", name=op.f("pk_instance_inventories")),
    )


def _create_instance_sources() -> None:
    op.create_table(
        "instance_sources",
        sa.Column("managed_instance_id", columns.Ocid, nullable=False),
        sa.Column("source_id", columns.Ocid, nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("time_attached", columns.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["managed_instance_id"],
            ["managed_instances.id"],
            name=op.f("fk_instance_sources_managed_instance_id_managed_instances"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["software_sources.id"], name=op.f("fk_instance_sources_source_id_software_sources")
        ),
        sa.PrimaryKeyConstraint("managed_instance_id", "source_id", name=op.f("pk_instance_sources")),
    )
    op.create_index(op.f("ix_instance_sources_source_id"), "instance_sources", ["source_id"], unique=False)


def _create_profile_sources() -> None:
    op.create_table(
        "profile_sources",
        sa.Column("profile_id", columns.Ocid, nullable=False),
        sa.Column("source_id", columns.Ocid, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["profile_id"], ["profiles.id"], name=op.f("fk_profile_sources_profile_id_profiles"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["software_sources.id"], name=op.f("fk_profile_sources_source_id_software_sources")
        ),
        sa.PrimaryKeyConstraint("profile_id", "source_id", name=op.f("pk_profile_sources")),
    )
    op.create_index(op.f("ix_profile_sources_source_id"), "profile_sources", ["source_id"], unique=False)


def _create_profile_versions() -> None:
    op.create_table(
        "profile_versions",
        sa.Column("profile_id", columns.Ocid, nullable=False),
        sa.Column("profile_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", columns.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["profile_id"], ["profiles.id"], name=op.f("fk_profile_versions_profile_id_profiles"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("profile_id", "profile_version", name=op.f("pk_profile_versions")),
    )


def _create_registration_keys() -> None:
    op.create_table(
        "registration_keys",
        sa.Column("key_digest", columns.Word, nullable=False),
        sa.Column("profile_id", columns.Ocid, nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("time_expires", columns.UtcTime(), nullable=False),
        sa.Column("created_by", columns.Ocid, nullable=False),
        sa.Column("time_created", columns.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["profile_id"], ["profiles.id"], name=op.f("fk_registration_keys_profile_id_profiles"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_digest", name=op.f("pk_registration_keys")),
    )
    op.create_index(op.f("ix_registration_keys_profile_id"), "registration_keys", ["profile_id"], unique=False)


def _create_registrations() -> None:
    op.create_table(
        "registrations",
        sa.Column("key_digest", columns.Word, nullable=False),
        sa.Column("fingerprint", columns.Word, nullable=False),
        sa.Column("managed_instance_id", columns.Ocid, nullable=False),
        sa.Column("station_id", columns.Ocid, nullable=True),
        sa.Column("time_registered", columns.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_digest"],
            ["registration_keys.key_digest"],
            name=op.f("fk_registrations_key_digest_registration_keys"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key_digest", "fingerprint", name=op.f("pk_registrations")),
    )
    op.create_index(
        op.f("ix_registrations_managed_instance_id"), "registrations", ["managed_instance_id"], unique=False
    )


def upgrade() -> None:
    """All tables, referred ones first."""
    _create_compartments()
    _create_events()
    _create_group_balancers()
    _create_principals()
    _create_retry_tokens()
    _create_settings()
    _create_sync_requests()
    _create_visible()
    _create_work_requests()
    _create_api_keys()
    _create_software_sources()
    _create_stations()
    _create_work_request_errors()
    _create_work_request_logs()
    _create_managed_instances()
    _create_profiles()
    _create_scheduled_jobs()
    _create_station_reports()
    _create_instance_inventories()
    _create_instance_sources()
    _create_profile_sources()
    _create_profile_versions()
    _create_registration_keys()
    _create_registrations()


def downgrade() -> None:
    """Drop all, referring ones first."""
    for name in (
        "registrations",
        "registration_keys",
        "profile_versions",
        "profile_sources",
        "instance_sources",
        "instance_inventories",
        "station_reports",
        "scheduled_jobs",
        "profiles",
        "managed_instances",
        "work_request_logs",
        "work_request_errors",
        "stations",
        "software_sources",
        "api_keys",
        "work_requests",
        "visible",
        "sync_requests",
        "settings",
        "retry_tokens",
        "principals",
        "group_balancers",
        "events",
        "compartments",
    ):
        op.drop_table(name)
