"""Compartments, who signs requests, and what the frame of the API remembers."""

from __future__ import annotations

import sqlalchemy as sa

from stationmaster.hub.db.columns import Bytes, Json, Name, Ocid, Text, UtcTime, Word, metadata

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", Word, primary_key=True),
    sa.Column("value", Json, nullable=False),
)

# The root compartment has the tenancy's own OCID, and no parent.
compartments = sa.Table(
    "compartments",
    metadata,
    sa.Column("id", Ocid, primary_key=True),
    sa.Column("parent_id", Ocid, sa.ForeignKey("compartments.id"), index=True),
    sa.Column("display_name", Name, nullable=False),
    sa.Column("description", Text, nullable=False),
    sa.Column("time_created", UtcTime, nullable=False),
    sa.Column("created_by", Ocid, nullable=False),
    sa.UniqueConstraint("parent_id", "display_name"),
)

# A machine's principal id is its managed instance OCID; a station host signs as the managed instance that it is.
principals = sa.Table(
    "principals",
    metadata,
    sa.Column("id", Ocid, primary_key=True),
    sa.Column("kind", Word, nullable=False),  # USER or MACHINE
    sa.Column("name", Name, nullable=False),
    sa.Column("tenancy_id", Ocid, nullable=False),
    sa.Column("time_created", UtcTime, nullable=False),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("principal_id", Ocid, sa.ForeignKey("principals.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("fingerprint", Word, primary_key=True),
    sa.Column("public_key", Text, nullable=False),
    sa.Column("time_created", UtcTime, nullable=False),
)

retry_tokens = sa.Table(
    "retry_tokens",
    metadata,
    sa.Column("principal_id", Ocid, primary_key=True),
    sa.Column("token", Name, primary_key=True),
    sa.Column("request_digest", Word, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("headers", Json, nullable=False),
    sa.Column("body", Bytes, nullable=False),
    sa.Column("time_created", UtcTime, nullable=False, index=True),
)

# What happened, for people: written in the transaction that made it happen.
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", Ocid, primary_key=True),
    sa.Column("time_occurred", UtcTime, nullable=False, index=True),
    sa.Column("kind", Word, nullable=False),
    sa.Column("compartment_id", Ocid, nullable=False, index=True),
    sa.Column("resource_id", Ocid, nullable=False, index=True),
    sa.Column("resource_name", Name, nullable=False),
    sa.Column("principal_id", Ocid, nullable=False),
    sa.Column("request_id", Name, nullable=False),
    sa.Column("message", Text, nullable=False),
    sa.Column("data", Json, nullable=False),
)
