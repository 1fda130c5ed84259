"""Whether a failed request is tried again, and when: pure, so that tables can test it."""

from __future__ import annotations

import dataclasses

from stationmaster.mirror import dates

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """How patient to be. Delays grow by doubling from ``first_delay`` seconds to ``longest_delay``."""

    attempts: int = 5
    first_delay: float = 0.3
    longest_delay: float = 20.0
    longest_wait: float = 120.0  # a Retry-After beyond it is taken as "not today"


def hurried(policy: RetryPolicy) -> RetryPolicy:
    """The policy where somebody else can be asked: one more try, since a single lost packet is no broken mirror."""
    return dataclasses.replace(policy, attempts=min(2, policy.attempts), longest_wait=min(5.0, policy.longest_wait))


@dataclasses.dataclass(frozen=True)
class Fault:
    """What went wrong: an HTTP status, or None when no whole answer came."""

    status: int | None = None
    retry_after: float | None = None


def decide_retry(attempt: int, fault: Fault, policy: RetryPolicy, *, jitter: float) -> float | None:
    """Seconds to wait before the next try after the ``attempt``-th (from 1) failed; None to give up.

    ``jitter`` in [0, 1) spreads clients that failed together. A server's own Retry-After is honoured, never shortened.
    """
    if attempt >= policy.attempts or not is_passing(fault):
        return None
    delay = min(policy.first_delay * 2.0 ** (attempt - 1), policy.longest_delay) * (0.5 + jitter / 2)
    if fault.retry_after is None:
        return delay
    if fault.retry_after > policy.longest_wait:
        return None
    return max(fault.retry_after, delay)


def is_passing(fault: Fault) -> bool:
    """Whether the fault may go by itself: broken connections, overload, gateways; not what the server refuses."""
    return fault.status is None or fault.status in _PASSING


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110 section 10.2.3), a number or a date; None when unusable."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value.strip()), 1e9)
    date = dates.parse_mail_date(value)
    return None if date is None else max(0.0, date.timestamp() - now)
