"""What a hub process counts of itself while it runs: requests, their time, and how its own work keeps up.

What the database knows is looked up at each scrape (``services.group_metrics``); here is only what would be lost
otherwise. Labels are few on purpose: kinds of operations, not paths.
"""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, process_collector

_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_P = "stationmaster_hub_"


class Measures:
    """Safe to use from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        process_collector.ProcessCollector(registry=self.registry)
        self._requests = Counter(_P + "requests", "Requests answered.", ["operation", "status"], registry=self.registry)
        self._seconds = Histogram(
            _P + "request_duration_seconds",
            "Time to answer, from the head of the request on.",
            ["operation"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._round = Gauge(
            _P + "scheduler_round_duration_seconds", "How long the last round took.", registry=self.registry
        )
        self._rounds = Counter(_P + "scheduler_rounds", "Rounds of the scheduler.", registry=self.registry)
        self._lag = Gauge(
            _P + "scheduler_lag_seconds", "Since the last round ended; above a few seconds nothing is decided.",
            registry=self.registry,
        )  # fmt: skip
        self._round_ended = time.perf_counter()
        self._lag.set_function(lambda: time.perf_counter() - self._round_ended)

    def request(self, operation: str, status: int, seconds: float) -> None:
        """One answer."""
        self._requests.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)

    def round_ended(self, seconds: float) -> None:
        """One round of the scheduler."""
        self._round_ended = time.perf_counter()
        self._round.set(seconds)
        self._rounds.inc()


def operation_of(path: str) -> str:
    """The kind of an operation, which has few values whatever path was asked for."""
    path = path.rstrip("/")
    if path.endswith("/heartbeat"):
        return "heartbeat"
    if path.endswith("/checkin"):
        return "checkin"
    return "osmh" if path.lstrip("/").startswith("20220901") else "own"
