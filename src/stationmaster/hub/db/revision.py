"""Which schema a database has, beside the one that this release knows. Looking changes nothing."""

from __future__ import annotations

import enum

import alembic.runtime.migration
import alembic.script
import sqlalchemy as sa

from stationmaster.hub.db import store
from stationmaster.model import errors


class Age(enum.Enum):
    """Of a database's schema, seen from this release. ``NONE``: no hub's tables are there."""

    NONE = "none"
    OLDER = "older"
    SAME = "same"
    NEWER = "newer"


def age_of(connection: sa.Connection) -> Age:
    """How the schema stands to this release's; what this release does not know is newer."""
    present = alembic.runtime.migration.MigrationContext.configure(connection).get_current_revision()
    if present is None:
        return Age.NONE
    known = alembic.script.ScriptDirectory.from_config(store.migration_config(connection))
    if present == known.get_current_head():
        return Age.SAME
    return Age.OLDER if present in {one.revision for one in known.walk_revisions()} else Age.NEWER


def require_usable(age: Age) -> None:
    """CallerError when this release cannot serve the database, whatever it does."""
    if age is Age.NONE:
        raise errors.CallerError(
            "The database holds no hub.",
            hint="Check which database is named: a hub's tables are made by `stationmaster hub init` alone.",
        )
    if age is Age.NEWER:
        raise errors.CallerError(
            "The database was brought to the schema of a newer release; this one would not understand it.",
            hint="Upgrade Stationmaster on this host to the release of the other replicas.",
        )
