"""From a database URL to SQLAlchemy's engine: how each kind of database is connected to."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from stationmaster.model import errors

WRITER_WAIT_SECONDS = 30.0
# A server whose host is gone is noticed in seconds, not when the kernel gives up.
_POSTGRES_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "stationmaster",
}


def make_engine(url: str, pool_size: int) -> sa.Engine:
    """An engine for a database URL; CallerError when it is none of ours."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as exc:
        # The URL may carry a password, so neither it nor the parser's words are shown.
        raise errors.CallerError(
            "The database URL cannot be read.", hint="Write postgresql://USER@HOST/NAME; escape odd characters by %XX."
        ) from exc
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise errors.CallerError(
            f"The database URL has the scheme {parsed.drivername}, which is not supported.",
            hint="Use postgresql://USER@HOST/NAME, or leave the URL out for the built-in SQLite.",
        )
    options: dict[str, Any] = {
        "json_serializer": lambda value: msgspec.json.encode(value).decode(),
        "json_deserializer": msgspec.json.decode,
        "hide_parameters": True,  # an error's text comes into logs, the values of a statement are secrets at times
        "pool_size": pool_size,
        "max_overflow": 3 * pool_size,  # as many as the frame has worker threads
    }
    if parsed.get_backend_name() == "postgresql":
        given = {name: value for name, value in _POSTGRES_CONNECTION.items() if name not in parsed.query}
        engine = sa.create_engine(parsed, pool_pre_ping=True, connect_args=given, **options)
        sa.event.listen(engine, "handle_error", _notice_other_server)
        return engine
    engine = sa.create_engine(parsed, connect_args={"timeout": WRITER_WAIT_SECONDS}, **options)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _notice_other_server(context: Any) -> None:
    """A pooler went over to a server that does not know what was prepared: begin anew with fresh connections."""
    if getattr(context.original_exception, "sqlstate", None) == "26000":
        context.is_disconnect = True


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin by itself, and never IMMEDIATE
    for pragma in ("journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sm_begin", "BEGIN"))
