"""What the hub remembers between heartbeats in order to decide on them: generations, lag, health, and what is missing.

Rows change only when something happened; a quiet group writes none of them.
"""

from __future__ import annotations

import sqlalchemy as sa

from stationmaster.hub.db.columns import Json, Name, Ocid, Serial, Text, UtcTime, Word, metadata

# Every generation that a station ever reported, with what orders it (ha-protocol R7).
source_generations = sa.Table(
    "source_generations",
    metadata,
    sa.Column("source_id", Ocid, sa.ForeignKey("software_sources.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("generation", Word, primary_key=True),
    sa.Column("time_root", UtcTime),
    sa.Column("time_first_seen", UtcTime, nullable=False),
)

# A station that lacks ``generation``, which all should hold: since when, and when its volume last gained bytes (R5).
station_lags = sa.Table(
    "station_lags",
    metadata,
    sa.Column("station_id", Ocid, sa.ForeignKey("stations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("source_id", Ocid, sa.ForeignKey("software_sources.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("gained", Serial, nullable=False),
    sa.Column("time_behind", UtcTime, nullable=False),
    sa.Column("time_gained", UtcTime, nullable=False),
    sa.Column("time_excluded", UtcTime),
    sa.Column("generation", Word),
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

# Who stages a source from its upstream for the group (R1, R5), and by station when it failed last under the lease.
# ``station_id`` is empty while nobody may; ``time_renewed`` is when the last holder was last told.
source_leases = sa.Table(
    "source_leases",
    metadata,
    sa.Column("group_id", Word, primary_key=True),
    sa.Column("source_id", Ocid, sa.ForeignKey("software_sources.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("station_id", Ocid, index=True),
    sa.Column("token", Serial, nullable=False),
    sa.Column("time_granted", UtcTime, nullable=False),
    sa.Column("time_renewed", UtcTime, nullable=False),
    sa.Column("gained", Serial, nullable=False),
    sa.Column("time_gained", UtcTime, nullable=False),
    sa.Column("failures", Json, nullable=False),
)

# The one generation that a group stages next (R7); ``number`` rises with each, ``generation`` is empty between two.
candidates = sa.Table(
    "candidates",
    metadata,
    sa.Column("group_id", Word, primary_key=True),
    sa.Column("source_id", Ocid, sa.ForeignKey("software_sources.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", Serial, nullable=False),
    sa.Column("generation", Word),
    sa.Column("time_set", UtcTime, nullable=False),
    sa.Column("time_lost", UtcTime),
)

# Who may remove from a volume, by its id alone (R10).
volume_leases = sa.Table(
    "volume_leases",
    metadata,
    sa.Column("volume_id", Name, primary_key=True),
    sa.Column("station_id", Ocid, index=True),
    sa.Column("token", Serial, nullable=False),
    sa.Column("time_granted", UtcTime, nullable=False),
    sa.Column("time_renewed", UtcTime, nullable=False),
)

# The volume that a station shows: since when, and since when others show its id without proof of sharing (R10), for
# which it is refused at last.
station_volumes = sa.Table(
    "station_volumes",
    metadata,
    sa.Column("station_id", Ocid, sa.ForeignKey("stations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("volume_id", Name, nullable=False, index=True),
    sa.Column("time_first_seen", UtcTime, nullable=False),
    sa.Column("time_doubted", UtcTime),
    sa.Column("is_refused", sa.Boolean, nullable=False),
)

# What was free on a station's volume, once an hour for two weeks (`model.volume_trend`).
volume_samples = sa.Table(
    "volume_samples",
    metadata,
    sa.Column("station_id", Ocid, sa.ForeignKey("stations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("time_sampled", UtcTime, primary_key=True),
    sa.Column("available_bytes", Serial, nullable=False),
    sa.Column("total_bytes", Serial, nullable=False),
)

# What a restart without the hub needs, signed, for each group (R12); ``counter`` only rises, ``digest`` is of what it
# says without counter and time.
visible_records = sa.Table(
    "visible_records",
    metadata,
    sa.Column("group_id", Word, primary_key=True),
    sa.Column("counter", Serial, nullable=False),
    sa.Column("digest", Word, nullable=False),
    sa.Column("signed", Text, nullable=False),
    sa.Column("time_signed", UtcTime, nullable=False),
)
