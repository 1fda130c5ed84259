"""Recurring rules of scheduled jobs: the subset of RFC 5545 that OSMH names (rule 91), and when one is due next.

Every search has a horizon, so that a rule that never fires (the 31st of February, every hour) costs nothing.
"""

from __future__ import annotations

import datetime

from dateutil import rrule

from stationmaster.model import errors

_PARTS = frozenset(
    {"FREQ", "INTERVAL", "BYMONTHDAY", "BYDAY", "BYSETPOS", "BYMONTH", "BYHOUR", "BYMINUTE", "BYSECOND"},
)
_HORIZONS = {
    "YEARLY": datetime.timedelta(days=366 * 60),
    "MONTHLY": datetime.timedelta(days=366 * 30),
    "WEEKLY": datetime.timedelta(days=366 * 10),
    "DAILY": datetime.timedelta(days=366 * 5),
    "HOURLY": datetime.timedelta(days=100),
}
_LONGEST = 500


def parse_rule(text: str) -> dict[str, str]:
    """The parts of a rule by name. CallerError names the part that is unknown or missing."""
    if len(text) > _LONGEST:
        raise _refusal(text, f"it is longer than {_LONGEST} characters")
    parts: dict[str, str] = {}
    for part in text.strip().removeprefix("RRULE:").rstrip(";").split(";"):
        name, separator, value = part.partition("=")
        name = name.strip().upper()
        if not separator or name not in _PARTS or not value.strip() or name in parts:
            raise _refusal(text, f"the part {part[:40]!r} is not understood")
        parts[name] = value.strip().upper()
    if parts.get("FREQ") not in _HORIZONS:
        raise _refusal(text, f"FREQ must be one of {', '.join(_HORIZONS)}")
    if not parts.get("INTERVAL", "1").isdigit() or not 1 <= int(parts.get("INTERVAL", "1")) <= 1000:
        raise _refusal(text, "INTERVAL must be a number from 1 to 1000")
    return parts


def next_execution(text: str, first: datetime.datetime, after: datetime.datetime) -> datetime.datetime:
    """The first time of the rule later than ``after``, counted from ``first``; CallerError when there is none."""
    parts = parse_rule(text)
    horizon = max(first, after) + _HORIZONS[parts["FREQ"]]
    try:
        found = None if _is_dateless(parts) else _rule(parts, horizon, first).after(after)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as exc:
        raise _refusal(text, str(exc) or "it cannot be read") from exc
    if found is None:
        raise _refusal(text, f"it gives no time before {horizon:%Y-%m-%d}")
    return found


def _rule(parts: dict[str, str], horizon: datetime.datetime, first: datetime.datetime) -> rrule.rrule | rrule.rruleset:
    canonical = ";".join(f"{name}={value}" for name, value in parts.items())
    return rrule.rrulestr(f"{canonical};UNTIL={horizon:%Y%m%dT%H%M%SZ}", dtstart=first.replace(microsecond=0))


def _is_dateless(parts: dict[str, str]) -> bool:
    """Whether no day of any year fits. The library would look at every hour until the year 9999 to find that out."""
    days: dict[str, str] = {name: parts[name] for name in ("BYMONTH", "BYMONTHDAY", "BYDAY") if name in parts}
    if "BYDAY" in days:
        days["BYDAY"] = ",".join(day.strip().lstrip("+-0123456789") for day in days["BYDAY"].split(","))
    start = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    return _rule({"FREQ": "YEARLY", **days}, start + _HORIZONS["YEARLY"], start).after(start) is None


def _refusal(text: str, why: str) -> errors.CallerError:
    return errors.CallerError(
        f"recurringRule is {text[:100]!r}: {why}.",
        hint="Write a rule such as FREQ=DAILY;INTERVAL=1 or FREQ=WEEKLY;BYDAY=SU;BYHOUR=3;BYMINUTE=0;BYSECOND=0.",
    )
