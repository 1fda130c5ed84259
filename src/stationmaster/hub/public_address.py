"""The one address that machines are told, whichever replica of the hub they speak with.

It lies in the database. A replica that was started with `--public-url` writes it; the others, and those that run
already, take it over within a second. Without that option the hub that made the database writes what its own names say,
and replicas that joined follow: were each to tell its own, stations would be turned about with every heartbeat.
"""

from __future__ import annotations

import dataclasses
import threading

import msgspec
import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.model import errors

_SETTING = "public_url"


class Stored(msgspec.Struct, frozen=True):
    """What the database has. ``is_given``: an operator said so, it was not derived."""

    url: str
    is_given: bool


@dataclasses.dataclass(frozen=True)
class Own:
    """What one replica was started with; ``is_given`` by `--public-url`."""

    url: str
    is_given: bool
    is_joined: bool = False


def choose(own: Own, stored: Stored | None) -> Stored:
    """What is told from the start of this replica on; CallerError when nobody said it yet. Pure."""
    if own.is_given:
        return Stored(own.url, is_given=True)
    if stored is not None and (stored.is_given or own.is_joined):
        return stored
    if own.is_joined:
        raise errors.CallerError(
            "Nobody has said yet by which address machines reach the hub.",
            hint="Start the first hub, or give --public-url: a name that leads to all replicas.",
        )
    return Stored(own.url, is_given=False)


def settle(tx: sa.Connection, own: Own) -> str:
    """`choose`, and write it down for the others."""
    stored = read(tx)
    chosen = choose(own, stored)
    table = schema.settings
    if stored is None:
        tx.execute(table.insert().values(name=_SETTING, value=msgspec.to_builtins(chosen)))
    elif stored != chosen:
        tx.execute(table.update().where(table.c.name == _SETTING).values(value=msgspec.to_builtins(chosen)))
    return chosen.url


def read(tx: sa.Connection) -> Stored | None:
    """What the database has."""
    table = schema.settings.c
    value = tx.execute(sa.select(table.value).where(table.name == _SETTING)).scalar()
    return None if value is None else msgspec.convert(value, Stored)


class PublicAddress:
    """What one process tells. Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        self._lock = threading.Lock()
        self._url = url

    @property
    def url(self) -> str:
        """At this moment."""
        with self._lock:
            return self._url

    def follow(self, stored: Stored | None) -> bool:
        """Take over what another replica wrote; whether it is news."""
        with self._lock:
            is_news = stored is not None and stored.url != self._url
            if stored is not None:
                self._url = stored.url
            return is_news
