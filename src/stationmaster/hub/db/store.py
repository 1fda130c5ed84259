"""Transactions on the hub's database. Rules are decided inside one; two statements that belong together share it.

A *decision* (``write``, ``transact``) is serializable and durable: SQLite has one writer at a time (BEGIN IMMEDIATE,
taken under a lock of this process so that threads queue fairly), PostgreSQL runs SERIALIZABLE and may ask for a second
try, which ``transact`` makes. A *fact* (``transact(..., kind=Kind.FACT)``) is something a machine says again anyway: it
skips the wait for the disk, and on PostgreSQL runs READ COMMITTED. On PostgreSQL each of both begins with a look at the
server (`primary`), and ``on_change`` is told of a server that is not the former, or was lost.
"""

from __future__ import annotations

import contextlib
import datetime
import enum
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import alembic.command
import alembic.config
import sqlalchemy as sa

from stationmaster.host import clock
from stationmaster.hub.db import engine as engines
from stationmaster.hub.db import primary
from stationmaster.model import errors

T = TypeVar("T")

_ATTEMPTS = 8
# Serialization failure, deadlock, and a pause in the midst of a transaction for which the server ended it.
_RACE_STATES = frozenset({"40001", "40P01", "25P03"})
_MIGRATION_LOCK = 7_264_001  # any number, the same in all releases
_CLAIM = sa.text("SELECT pg_try_advisory_xact_lock(7264002, :what)")
_MIGRATION_PATIENCE = "60s"


class Kind(enum.Enum):
    """What a write is; see the module."""

    DECISION = "decision"
    FACT = "fact"


class RaceError(Exception):
    """Raised inside a transaction: somebody else did it at the same moment; ``transact`` tries again."""


def insert_first(tx: sa.Connection, table: sa.Table, **values: Any) -> None:
    """Insert a row that nobody else has inserted meanwhile; RaceError when somebody has."""
    try:
        tx.execute(table.insert().values(values))
    except sa.exc.IntegrityError as exc:
        raise RaceError from exc


def update_unchanged(tx: sa.Connection, table: sa.Table, same: sa.ColumnElement[bool], values: dict[str, Any]) -> None:
    """Compare and set: update the one row that is still as ``same`` says; RaceError when it is not."""
    if tx.execute(table.update().where(same).values(values)).rowcount != 1:
        raise RaceError


class Store:
    """One database. Safe to use from several threads."""

    def __init__(self, url: str, wall_clock: clock.Clock, *, pool_size: int = 10) -> None:
        self._engine = engines.make_engine(url, pool_size)
        self._clock = wall_clock
        self._is_sqlite = self._engine.dialect.name == "sqlite"
        self._writer = threading.Lock()
        self._guard = primary.Guard(self._changed)
        self.on_change: Callable[[str], None] = _ignored

    @property
    def engine(self) -> sa.Engine:
        """For migrations and tests."""
        return self._engine

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent view; nothing is written."""
        options: dict[str, Any] = {"sm_begin": "BEGIN"}
        if not self._is_sqlite:
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._engine.connect().execution_options(**options) as tx, tx.begin():
            yield tx

    @contextlib.contextmanager
    def write(self, kind: Kind = Kind.DECISION) -> Iterator[sa.Connection]:
        """One transaction, committed when the block ends well. Prefer ``transact``: PostgreSQL may ask to repeat."""
        if self._is_sqlite:
            with self._writing_sqlite(kind) as tx:
                yield tx
            return
        with self._writing_postgres(kind) as (tx, _):
            yield tx

    def look(self) -> datetime.datetime | None:
        """The database server's own time, after a look whether it may decide; None where there is no server."""
        if self._is_sqlite:
            return None
        with self._writing_postgres(Kind.FACT) as (_, time):
            return time

    def prepare(self) -> None:
        """Once, before the first transaction that writes: what the server can be asked."""
        if not self._is_sqlite:
            with self._engine.connect() as connection:
                self._guard.prepare(connection)

    def transact(self, work: Callable[[sa.Connection], T], *, kind: Kind = Kind.DECISION) -> T:
        """``work`` in a transaction of its own, again from the start when it lost a race; so it has no other effect."""
        for attempt in range(1, _ATTEMPTS):
            try:
                with self.write(kind) as tx:
                    return work(tx)
            except (sa.exc.DBAPIError, RaceError) as exc:
                if not _is_race(exc):
                    raise
            self._clock.sleep(0.005 * attempt * attempt)
        with self.write(kind) as tx:
            return work(tx)

    def transact_as_one(self, what: str, work: Callable[[sa.Connection], T]) -> T | None:
        """As ``transact``, by one replica at a time: None when another is at ``what`` just now.

        It only spares them to lose races against each other; what must not happen twice is guarded by the rows.
        """

        def claimed(tx: sa.Connection) -> T | None:
            if not self._is_sqlite and not tx.execute(_CLAIM, {"what": zlib.crc32(what.encode()) - 2**31}).scalar_one():
                return None
            return work(tx)

        return self.transact(claimed)

    def migrate(self) -> None:
        """Bring the database to this release's schema; a database that is there already is left as it is."""
        with self._engine.connect().execution_options(sm_begin="BEGIN IMMEDIATE") as connection:
            if not self._is_sqlite:  # replicas that start together take turns; SQLite's writer lock does that
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_MIGRATION_PATIENCE}'")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            alembic.command.upgrade(migration_config(connection), "head")
            connection.commit()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _changed(self, what: str) -> None:
        self.on_change(f"The database changed: {what}.")

    @contextlib.contextmanager
    def _writing_postgres(self, kind: Kind) -> Iterator[tuple[sa.Connection, datetime.datetime]]:
        level = "SERIALIZABLE" if kind is Kind.DECISION else "READ COMMITTED"
        options: dict[str, Any] = {"isolation_level": level, "postgresql_readonly": False}
        try:
            with self._engine.connect().execution_options(**options) as tx, tx.begin():
                yield tx, self._guard.enter(tx, is_durable=kind is Kind.DECISION)
        except sa.exc.DBAPIError as exc:
            if primary.is_standby_refusal(exc):
                raise primary.standby() from exc
            if exc.connection_invalidated and not _is_race(exc):
                self.on_change("The connection to the database broke.")
            raise

    @contextlib.contextmanager
    def _writing_sqlite(self, kind: Kind) -> Iterator[sa.Connection]:
        if not self._writer.acquire(timeout=engines.WRITER_WAIT_SECONDS):
            raise errors.HostError("The database is busy.", code="ServiceUnavailable", hint="Try again.")
        try:
            with self._engine.connect().execution_options(sm_begin="BEGIN IMMEDIATE") as tx:
                # Outside a transaction, where SQLite allows it: a decision waits for the disk, a fact does not.
                level = "FULL" if kind is Kind.DECISION else "NORMAL"
                _driver(tx).execute(f"PRAGMA synchronous = {level}")
                with tx.begin():
                    yield tx
        finally:
            self._writer.release()


def migration_config(connection: sa.Connection) -> alembic.config.Config:
    """Alembic's configuration for the packaged migrations, bound to an open connection."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _driver(connection: sa.Connection) -> Any:
    return connection.connection.driver_connection


def _ignored(_: str) -> None:
    """Nobody listens."""


def _is_race(exc: Exception) -> bool:
    if isinstance(exc, RaceError):
        return True
    return getattr(getattr(exc, "orig", None), "sqlstate", None) in _RACE_STATES
