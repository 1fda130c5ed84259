"""Who leads, what is staged next, who may remove from a volume, and who shares one."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from stationmaster.hub.db import columns

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Four tables, and a column each for lag, nonces and retention."""
    op.create_table(
        "source_leases",
        sa.Column("group_id", columns.Word, nullable=False),
        sa.Column("source_id", columns.Ocid, nullable=False),
        sa.Column("station_id", columns.Ocid, nullable=True),
        sa.Column("token", columns.Serial, nullable=False),
        sa.Column("time_granted", columns.UtcTime(), nullable=False),
        sa.Column("time_renewed", columns.UtcTime(), nullable=False),
        sa.Column("gained", columns.Serial, nullable=False),
        sa.Column("time_gained", columns.UtcTime(), nullable=False),
        sa.Column("failures", columns.Json, nullable=False),
        _to_source("source_leases"),
        sa.PrimaryKeyConstraint("group_id", "source_id", name=op.f("pk_source_leases")),
    )
    op.create_index(op.f("ix_source_leases_station_id"), "source_leases", ["station_id"])
    op.create_table(
        "candidates",
        sa.Column("group_id", columns.Word, nullable=False),
        sa.Column("source_id", columns.Ocid, nullable=False),
        sa.Column("number", columns.Serial, nullable=False),
        sa.Column("generation", columns.Word, nullable=True),
        sa.Column("time_set", columns.UtcTime(), nullable=False),
        sa.Column("time_lost", columns.UtcTime(), nullable=True),
        _to_source("candidates"),
        sa.PrimaryKeyConstraint("group_id", "source_id", name=op.f("pk_candidates")),
    )
    _create_volume_tables()
    for table, column in _added():
        op.add_column(table, column)


def _create_volume_tables() -> None:
    op.create_table(
        "volume_leases",
        sa.Column("volume_id", columns.Name, nullable=False),
        sa.Column("station_id", columns.Ocid, nullable=True),
        sa.Column("token", columns.Serial, nullable=False),
        sa.Column("time_granted", columns.UtcTime(), nullable=False),
        sa.Column("time_renewed", columns.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("volume_id", name=op.f("pk_volume_leases")),
    )
    op.create_index(op.f("ix_volume_leases_station_id"), "volume_leases", ["station_id"])
    op.create_table(
        "station_volumes",
        sa.Column("station_id", columns.Ocid, nullable=False),
        sa.Column("volume_id", columns.Name, nullable=False),
        sa.Column("time_first_seen", columns.UtcTime(), nullable=False),
        sa.Column("time_doubted", columns.UtcTime(), nullable=True),
        sa.Column("is_refused", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["station_id"], ["stations.id"], name=op.f("fk_station_volumes_station_id_stations"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("station_id", name=op.f("pk_station_volumes")),
    )
    op.create_index(op.f("ix_station_volumes_volume_id"), "station_volumes", ["volume_id"])


def downgrade() -> None:
    """Drop them; what is visible stays."""
    for name in ("station_volumes", "volume_leases", "candidates", "source_leases"):
        op.drop_table(name)
    for table, column in _added():
        with op.batch_alter_table(table) as batch:
            batch.drop_column(column.name)


def _added() -> tuple[tuple[str, sa.Column[Any]], ...]:
    return (
        ("station_lags", sa.Column("generation", columns.Word, nullable=True)),
        ("station_reports", sa.Column("nonces", columns.Json, nullable=True)),
        ("visible", sa.Column("time_left", columns.UtcTime(), nullable=True)),
    )


def _to_source(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["source_id"],
        ["software_sources.id"],
        name=op.f(f"fk_{table}_source_id_software_sources"),
        ondelete="CASCADE",
    )
