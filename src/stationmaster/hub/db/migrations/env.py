"""Run by Alembic: applies revisions on the connection that ``Store.migrate`` opened. There is no offline mode."""

from __future__ import annotations

from alembic import context

from stationmaster.hub.db import schema

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=schema.metadata,
    compare_type=True,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
