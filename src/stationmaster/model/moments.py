"""Times that come from outside."""

from __future__ import annotations

import datetime


def as_utc(time: datetime.datetime) -> datetime.datetime:
    """The same moment in UTC; a time without a zone is taken as UTC, which is what the protocol says it is."""
    return time.astimezone(datetime.UTC) if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def as_utc_or_none(time: datetime.datetime | None) -> datetime.datetime | None:
    """A time that may be missing."""
    return None if time is None else as_utc(time)
