from __future__ import annotations

import pathlib
from typing import Any

import sqlalchemy as sa
from alembic import autogenerate
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from stationmaster.hub.db import schema
from stationmaster.hub.db import store as stores


def differences(connection: sa.Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True}
    return autogenerate.compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata)


def test_migrations_make_exactly_the_schema(store: Any) -> None:
    with store.engine.connect() as connection:
        assert differences(connection) == []


def test_the_comparison_notices_a_missing_column(store: Any) -> None:
    with store.engine.connect() as connection:
        connection.execute(sa.text("ALTER TABLE settings DROP COLUMN value"))
        assert [change[0] for change in differences(connection)] == ["add_column"]


def test_migrating_twice_changes_nothing(store: Any) -> None:
    with store.write() as tx:
        tx.execute(schema.settings.insert().values(name="kept", value=1))
    store.migrate()
    with store.read() as tx:
        assert tx.execute(sa.select(schema.settings.c.value)).scalars().all() == [1]


def test_there_is_one_head_and_each_revision_has_a_module(store: Any) -> None:
    with store.engine.connect() as connection:
        scripts = ScriptDirectory.from_config(stores.migration_config(connection))
    assert len(scripts.get_heads()) == 1
    versions = pathlib.Path(stores.__file__).parent / "migrations" / "versions"
    assert len(list(scripts.walk_revisions())) == len(list(versions.glob("rev_*.py")))
