"""What was free on the stations' volumes at earlier times."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from stationmaster.hub.db import columns

revision = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    """One table."""
    op.create_table(
        "volume_samples",
        sa.Column("station_id", columns.Ocid, nullable=False),
        sa.Column("time_sampled", columns.UtcTime(), nullable=False),
        sa.Column("available_bytes", columns.Serial, nullable=False),
        sa.Column("total_bytes", columns.Serial, nullable=False),
        sa.ForeignKeyConstraint(
            ["station_id"], ["stations.id"], name=op.f("fk_volume_samples_station_id_stations"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("station_id", "time_sampled", name=op.f("pk_volume_samples")),
    )


def downgrade() -> None:
    """Samples come anew."""
    op.drop_table("volume_samples")
