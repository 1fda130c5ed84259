"""What a restart without the hub needs, signed (ADR 22)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from stationmaster.hub.db import columns

revision = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    """One table."""
    op.create_table(
        "visible_records",
        sa.Column("group_id", columns.Word, nullable=False),
        sa.Column("counter", columns.Serial, nullable=False),
        sa.Column("digest", columns.Word, nullable=False),
        sa.Column("signed", columns.Text, nullable=False),
        sa.Column("time_signed", columns.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_visible_records")),
    )


def downgrade() -> None:
    """Records are signed anew, with higher counters than stations report."""
    op.drop_table("visible_records")
