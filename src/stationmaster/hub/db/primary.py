"""Which PostgreSQL server a transaction is on, and that it is one that may decide (ha-protocol R8).

Behind a pooler a connection outlives its server: a standby takes over, or a backup is put in place, and no error is
seen. So each transaction that writes begins with one statement that asks what cannot stay equal over such a change:
when the server was started, its timeline, the hub's own table, and a write-ahead log that only grows. No right is
needed for it.

The same statement sets what this transaction may cost the other replicas: a process that is frozen with locks in its
hands loses them within `IDLE_SECONDS`, before stations lose their confirmation. The limits hold for the transaction
alone, so they pass through poolers as well.

A server without some of these functions (managed ones) is asked for the rest.
"""

from __future__ import annotations

import dataclasses
import datetime
import threading
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from stationmaster.model import errors

IDLE_SECONDS = 3
_FACT_LOCK_SECONDS = 4  # longer than a station waits for an answer
_DECISION_LOCK_SECONDS = 10
_STATEMENT_SECONDS = 60
# Timeline and position are asked of a primary alone: a standby refuses.
_WAL = """
    CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline,
    CASE WHEN pg_is_in_recovery() THEN 0 ELSE (pg_current_wal_insert_lsn() - '0/0')::bigint END AS position"""
_NO_WAL = "'' AS timeline, 0::bigint AS position"
_LOOK = """
SELECT set_config('synchronous_commit', {commit}, true),
    set_config('idle_in_transaction_session_timeout', '{idle}s', true),
    set_config('lock_timeout', '{lock}s', true),
    set_config('statement_timeout', '{statement}s', true),
    pg_is_in_recovery() AS is_standby,
    pg_postmaster_start_time() AS started,
    coalesce(to_regclass('settings')::oid::bigint, 0) AS tables,
    clock_timestamp() AS time,
    {wal}"""
_DURABLE = (
    "CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'"
    " ELSE current_setting('synchronous_commit') END"
)
_RELAXED = "'off'"
_STANDBY_STATES = frozenset({"25006", "0A000"})  # read-only transaction; no writing mode during recovery


class NotDecidingError(errors.HostError):
    """The database cannot take decisions at the moment."""

    code = "ServiceUnavailable"


class ChangedError(NotDecidingError):
    """Another server was put in the place of the former, just now: who decides anew knows of it."""


@dataclasses.dataclass(frozen=True)
class Server:
    """What was seen of a server. ``position`` grows as long as it is the same one."""

    started: datetime.datetime
    timeline: str
    tables: int
    position: int

    def change_since(self, former: Server | None) -> str:
        """Why this is not the server as it was; empty when it is. Pure."""
        if former is None:
            return ""
        if self.started != former.started:
            return "it was started anew, or another server took over"
        if self.timeline != former.timeline:
            return f"its timeline went from {former.timeline} to {self.timeline}"
        if self.tables != former.tables:
            return "its tables were made anew"
        return "its log went back" if self.position < former.position else ""


class Guard:
    """Opens each writing transaction of one store. ``on_change`` is told of a server that is not the former."""

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._statements = _statements(_WAL)

    def enter(self, tx: sa.Connection, *, is_durable: bool) -> datetime.datetime:
        """The server's own time; NotDecidingError when it may not decide, or changed."""
        with self._lock:
            former = self._server  # before asking: what others see meanwhile may be further on
        row = tx.execute(self._statements[is_durable]).one()
        if row.is_standby:
            raise standby()
        present = Server(row.started, row.timeline, row.tables, row.position)
        change = present.change_since(former)
        with self._lock:
            if change or not present.change_since(self._server):  # a slow answer of a former server is no news
                self._server = present
        if change:
            self._on_change(change)
            raise ChangedError(f"The hub's database changed: {change}.", hint="Try again.")
        moment: datetime.datetime = row.time
        return moment.astimezone(datetime.UTC)

    def prepare(self, connection: sa.Connection) -> None:
        """Find out, once, whether the server answers all that is asked."""
        try:
            connection.exec_driver_sql(f"SELECT {_WAL}")
        except (sa.exc.ProgrammingError, sa.exc.NotSupportedError, sa.exc.InternalError):
            connection.rollback()
            self._statements = _statements(_NO_WAL)


def _statements(wal: str) -> dict[bool, sa.TextClause]:
    """For facts and for decisions; as a clause, of which SQLAlchemy remembers what the columns are."""
    return {
        is_durable: sa.text(
            _LOOK.format(
                commit=_DURABLE if is_durable else _RELAXED,
                idle=IDLE_SECONDS,
                lock=_DECISION_LOCK_SECONDS if is_durable else _FACT_LOCK_SECONDS,
                statement=_STATEMENT_SECONDS,
                wal=wal,
            ).replace("::", "\\:\\:")
        )
        for is_durable in (False, True)
    }


def standby() -> NotDecidingError:
    """What is answered while only a standby is there."""
    return NotDecidingError(
        "The hub's database is a standby, or may not be written: nothing can be decided.",
        hint="Point the hub at the primary, or promote the standby.",
    )


def is_standby_refusal(exc: Any) -> bool:
    """Whether PostgreSQL refused to write because it is no primary."""
    return getattr(getattr(exc, "orig", None), "sqlstate", None) in _STANDBY_STATES
