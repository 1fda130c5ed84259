"""Dates as mail and HTTP write them, from people who write what they like."""

from __future__ import annotations

import datetime


def parse_mail_date(text: str) -> datetime.datetime | None:
    """The moment, with its zone (UTC where none is named); None when the text is no date that can be."""
    from email import utils  # here: a no-op does without

    try:
        found = utils.parsedate_to_datetime(text)
        found = found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
        found.timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found
