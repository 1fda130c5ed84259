from __future__ import annotations

import pytest

from stationmaster.mirror import retry

POLICY = retry.RetryPolicy(attempts=4, first_delay=1.0, longest_delay=3.0, longest_wait=60.0)


@pytest.mark.parametrize(
    ("attempt", "fault", "jitter", "delay"),
    [
        (1, retry.Fault(), 0.0, 0.5),
        (1, retry.Fault(), 0.5, 0.75),
        (2, retry.Fault(503), 0.0, 1.0),
        (3, retry.Fault(502), 0.0, 1.5),  # 4 s would be longer than the longest
        (4, retry.Fault(503), 0.0, None),
        (1, retry.Fault(404), 0.0, None),
        (1, retry.Fault(401), 0.0, None),
        (1, retry.Fault(503, 10.0), 0.0, 10.0),
        (1, retry.Fault(429, 0.1), 0.0, 0.5),
        (1, retry.Fault(503, 61.0), 0.0, None),
    ],
)
def test_decisions(attempt: int, fault: retry.Fault, jitter: float, delay: float | None) -> None:
    assert retry.decide_retry(attempt, fault, POLICY, jitter=jitter) == delay


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry.parse_retry_after(value, now=10.0) == seconds
