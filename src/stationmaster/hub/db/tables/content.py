"""Software sources, profiles, and the keys with which machines register by a profile."""

from __future__ import annotations

import sqlalchemy as sa

from stationmaster.hub.db import columns
from stationmaster.hub.db.columns import Json, Name, Ocid, Text, UtcTime, Word, metadata

software_sources = sa.Table(
    "software_sources",
    metadata,
    sa.Column("id", Ocid, primary_key=True),
    sa.Column("compartment_id", Ocid, sa.ForeignKey("compartments.id"), nullable=False, index=True),
    sa.Column("display_name", Name, nullable=False),
    sa.Column("description", Text),
    sa.Column("software_source_type", Word, nullable=False),
    sa.Column("format", Word, nullable=False),  # protocol.SourceFormat
    sa.Column("repo_id", Name, nullable=False, unique=True),
    sa.Column("url", Text, nullable=False),
    sa.Column("os_family", Word, nullable=False),
    sa.Column("arch_type", Word, nullable=False),
    sa.Column("availability", Word, nullable=False),
    sa.Column("availability_at_oci", Word, nullable=False),
    sa.Column("is_gpg_check_enabled", sa.Boolean, nullable=False),
    sa.Column("is_ssl_verify_enabled", sa.Boolean, nullable=False),
    sa.Column("is_mirror_sync_allowed", sa.Boolean, nullable=False),
    sa.Column("gpg_key_url", Text),
    sa.Column("gpg_keys", Json, nullable=False),  # armoured keys, once a station has mirrored them
    sa.Column("advanced_repo_options", Text),
    sa.Column("lifecycle_state", Word, nullable=False),
    *columns.resource_columns(),
)

# ``is_station_own``: made with its station, goes with it (design section 9).
profiles = sa.Table(
    "profiles",
    metadata,
    sa.Column("id", Ocid, primary_key=True),
    sa.Column("compartment_id", Ocid, sa.ForeignKey("compartments.id"), nullable=False, index=True),
    sa.Column("display_name", Name, nullable=False),
    sa.Column("description", Text),
    sa.Column("profile_type", Word, nullable=False),
    sa.Column("vendor_name", Word, nullable=False),
    sa.Column("os_family", Word, nullable=False),
    sa.Column("arch_type", Word, nullable=False),
    sa.Column("registration_type", Word, nullable=False),
    sa.Column("management_station_id", Ocid, sa.ForeignKey("stations.id"), index=True),
    sa.Column("is_station_own", sa.Boolean, nullable=False),
    sa.Column("is_default_profile", sa.Boolean, nullable=False),
    sa.Column("is_service_provided_profile", sa.Boolean, nullable=False),
    sa.Column("lifecycle_state", Word, nullable=False),
    sa.Column("profile_version", sa.Integer, nullable=False),
    sa.Column("freeform_tags", Json, nullable=False),
    sa.Column("defined_tags", Json, nullable=False),
    sa.Column("created_by", Ocid, nullable=False),
    sa.Column("time_created", UtcTime, nullable=False),
    sa.Column("time_modified", UtcTime, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
)

profile_sources = sa.Table(
    "profile_sources",
    metadata,
    sa.Column("profile_id", Ocid, sa.ForeignKey("profiles.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("source_id", Ocid, sa.ForeignKey("software_sources.id"), primary_key=True, index=True),
    sa.Column("position", sa.Integer, nullable=False),
)

# The wire form of each version as it was (OSMH rule 72).
profile_versions = sa.Table(
    "profile_versions",
    metadata,
    sa.Column("profile_id", Ocid, sa.ForeignKey("profiles.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("profile_version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("content", Json, nullable=False),
)

# Only the SHA-256 (hex) of a registration key is kept.
registration_keys = sa.Table(
    "registration_keys",
    metadata,
    sa.Column("key_digest", Word, primary_key=True),
    sa.Column("profile_id", Ocid, sa.ForeignKey("profiles.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("uses_left", sa.Integer, nullable=False),
    sa.Column("time_expires", UtcTime, nullable=False),
    sa.Column("created_by", Ocid, nullable=False),
    sa.Column("time_created", UtcTime, nullable=False),
)

# Who registered with a key: the same key and public key again give the same machine.
registrations = sa.Table(
    "registrations",
    metadata,
    sa.Column("key_digest", Word, sa.ForeignKey("registration_keys.key_digest", ondelete="CASCADE"), primary_key=True),
    sa.Column("fingerprint", Word, primary_key=True),
    sa.Column("managed_instance_id", Ocid, nullable=False, index=True),
    sa.Column("station_id", Ocid),
    sa.Column("time_registered", UtcTime, nullable=False),
)
