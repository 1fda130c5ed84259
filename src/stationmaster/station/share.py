"""How much work a station asks of balancers that speak HAProxy's agent check: a share of its weight. Pure.

A station that returns has a cold cache: its share grows from a tenth to the whole within half a minute. Only a share is
ever said, never ``up``, ``down``, ``ready`` or ``maint``: HAProxy keeps such a word until the agent takes it back, so a
station whose agent falls silent would stay out, and an operator's own ``maint`` would be ended by the next ``ready``
(both seen on HAProxy 2.6). Whether a station gets work at all is for the checks on ``/healthz`` (ADR 15).
"""

from __future__ import annotations

import dataclasses

from stationmaster.station import readiness

FIRST_PERCENT = 10
RAMP_SECONDS = 30.0
_STEP_PERCENT = 5


@dataclasses.dataclass(frozen=True)
class History:
    """Since when, on the monotonic clock, the station has been ready without a break; None when it is not."""

    ready_since: float | None = None

    def after(self, verdict: readiness.Verdict, at: float) -> History:
        """The history once this was found at this moment."""
        if not verdict.is_ready:
            return History()
        return self if self.ready_since is not None else History(at)


def percent(history: History, at: float) -> int:
    """10 to 100, rising in steps while the station is ready; the first step otherwise."""
    if history.ready_since is None:
        return FIRST_PERCENT
    grown = (100 - FIRST_PERCENT) * (at - history.ready_since) / RAMP_SECONDS
    stepped = FIRST_PERCENT + int(max(grown, 0.0)) // _STEP_PERCENT * _STEP_PERCENT
    return min(100, stepped)


def line(history: History, verdict: readiness.Verdict, at: float) -> bytes:
    """What the agent port says: the share, and after ``#`` one word and the first reason for a person who looks."""
    if any(one.code == "Draining" for one in verdict.reasons):
        return b"0% #draining\n"
    share = percent(history, at)
    if verdict.is_ready:
        word = "ready" if share == 100 else "returning"
    else:
        word = verdict.readiness.value.lower().replace("_", "-")
    reasons = "".join(f" {one.code}" for one in verdict.reasons[:1] if one.code.isalnum())
    return f"{share}% #{word}{reasons}\n".encode()
