"""All ports of a group change together: what is served beside what clients are told, and what balancers serve."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from stationmaster.hub.db import columns

revision = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """One table, and a column for balancers."""
    op.create_table(
        "port_changes",
        sa.Column("group_id", columns.Word, nullable=False),
        sa.Column("phase", columns.Word, nullable=False),
        sa.Column("beside", columns.Json, nullable=False),
        sa.Column("at_least_seconds", sa.Integer(), nullable=False),
        sa.Column("at_most_seconds", sa.Integer(), nullable=False),
        sa.Column("time_started", columns.UtcTime(), nullable=False),
        sa.Column("time_moved", columns.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_port_changes")),
    )
    op.add_column("group_balancers", sa.Column("serves", columns.Json, nullable=True))


def downgrade() -> None:
    """Drop them; stations keep the ports that clients were told last."""
    with op.batch_alter_table("group_balancers") as batch:
        batch.drop_column("serves")
    op.drop_table("port_changes")
