"""What the hub remembers between heartbeats: generations, lag, health, orphaned sources."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from stationmaster.hub.db import columns

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """Four tables that hang on stations and sources."""
    op.create_table(
        "source_generations",
        sa.Column("source_id", columns.Ocid, nullable=False),
        sa.Column("generation", columns.Word, nullable=False),
        sa.Column("time_root", columns.UtcTime(), nullable=True),
        sa.Column("time_first_seen", columns.UtcTime(), nullable=False),
        _to_source("source_generations"),
        sa.PrimaryKeyConstraint("source_id", "generation", name=op.f("pk_source_generations")),
    )
    op.create_table(
        "station_lags",
        sa.Column("station_id", columns.Ocid, nullable=False),
        sa.Column("source_id", columns.Ocid, nullable=False),
        sa.Column("gained", columns.Serial, nullable=False),
        sa.Column("time_behind", columns.UtcTime(), nullable=False),
        sa.Column("time_gained", columns.UtcTime(), nullable=False),
        sa.Column("time_excluded", columns.UtcTime(), nullable=True),
        _to_station("station_lags"),
        _to_source("station_lags"),
        sa.PrimaryKeyConstraint("station_id", "source_id", name=op.f("pk_station_lags")),
    )
    op.create_table(
        "station_healths",
        sa.Column("station_id", columns.Ocid, nullable=False),
        sa.Column("state", columns.Word, nullable=False),
        sa.Column("description", columns.Text, nullable=False),
        sa.Column("time_changed", columns.UtcTime(), nullable=False),
        _to_station("station_healths"),
        sa.PrimaryKeyConstraint("station_id", name=op.f("pk_station_healths")),
    )
    op.create_table(
        "orphaned_sources",
        sa.Column("group_id", columns.Word, nullable=False),
        sa.Column("source_id", columns.Ocid, nullable=False),
        sa.Column("time_orphaned", columns.UtcTime(), nullable=False),
        _to_source("orphaned_sources"),
        sa.PrimaryKeyConstraint("group_id", "source_id", name=op.f("pk_orphaned_sources")),
    )


def downgrade() -> None:
    """Drop them; nothing refers to them."""
    for name in ("orphaned_sources", "station_healths", "station_lags", "source_generations"):
        op.drop_table(name)


def _to_station(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_station_id_stations")
    return sa.ForeignKeyConstraint(["station_id"], ["stations.id"], name=name, ondelete="CASCADE")


def _to_source(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_source_id_software_sources")
    return sa.ForeignKeyConstraint(["source_id"], ["software_sources.id"], name=name, ondelete="CASCADE")
