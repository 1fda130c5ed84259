"""What the hub remembers between heartbeats in order to decide on them: generations, lag, health, and what is missing.

Rows change only when something happened; a quiet group writes none of them.
"""

from __future__ import annotations

import sqlalchemy as sa

from stationmaster.hub.db.columns import Ocid, Serial, Text, UtcTime, Word, metadata

# Every generation that a station ever reported, with what orders it (ha-protocol R7).
source_generations = sa.Table(
    "source_generations",
    metadata,
    sa.Column("source_id", Ocid, sa.ForeignKey("software_sources.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("generation", Word, primary_key=True),
    sa.Column("time_root", UtcTime),
    sa.Column("time_first_seen", UtcTime, nullable=False),
)

# A station that lacks the newest generation: since when, and when it last gained bytes (R5). No row: it lacks nothing.
station_lags = sa.Table(
    "station_lags",
    metadata,
    sa.Column("station_id", Ocid, sa.ForeignKey("stations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("source_id", Ocid, sa.ForeignKey("software_sources.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("gained", Serial, nullable=False),
    sa.Column("time_behind", UtcTime, nullable=False),
    sa.Column("time_gained", UtcTime, nullable=False),
    sa.Column("time_excluded", UtcTime),
)

# The last health that was made known as an event, and since when nobody in touch holds what is visible of a source.
station_healths = sa.Table(
    "station_healths",
    metadata,
    sa.Column("station_id", Ocid, sa.ForeignKey("stations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("state", Word, nullable=False),
    sa.Column("description", Text, nullable=False),
    sa.Column("time_changed", UtcTime, nullable=False),
)

orphaned_sources = sa.Table(
    "orphaned_sources",
    metadata,
    sa.Column("group_id", Word, primary_key=True),
    sa.Column("source_id", Ocid, sa.ForeignKey("software_sources.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("time_orphaned", UtcTime, nullable=False),
)
