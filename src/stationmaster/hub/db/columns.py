"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine


class UtcTime(sa.TypeDecorator[datetime.datetime]):
    """A moment. Goes in and comes out timezone-aware; SQLite keeps it as UTC text, which sorts as time does."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """PostgreSQL has a type for it."""
        return dialect.type_descriptor(sa.DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """A time without a zone is a mistake of ours, and refused here rather than stored wrongly."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time without a zone cannot be stored.")
        utc = value.astimezone(datetime.UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """Always UTC, whatever the session's zone is."""
        del dialect
        if value is None:
            return None
        return value.astimezone(datetime.UTC) if value.tzinfo else value.replace(tzinfo=datetime.UTC)


# The order of bytes on both databases: PostgreSQL would sort by the cluster's locale, and page borders would move.
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Ocid = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
Name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
Word = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Bytes = sa.LargeBinary()

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def resource_columns() -> tuple[sa.Column[Any], ...]:
    """What every resource of the API has: tags, who made it, when, and the revision its ETag is made from."""
    return (
        sa.Column("freeform_tags", Json, nullable=False),
        sa.Column("defined_tags", Json, nullable=False),
        sa.Column("created_by", Ocid, nullable=False),
        sa.Column("time_created", UtcTime, nullable=False),
        sa.Column("time_updated", UtcTime, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
    )
