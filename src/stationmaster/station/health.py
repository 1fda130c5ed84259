"""The station's answer for its health, on ``daemon.sock``; nginx passes ``/healthz`` on to it.

The answer is made from what is known now and the time now: nothing is looked at, so it comes at once, and it turns
worse by itself when observers fall silent. Being alive (``/livez``) is another question than being ready. Prometheus'
``/metrics`` are answered here, too.
"""

from __future__ import annotations

import datetime
import urllib.parse
from collections.abc import Callable

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import local_server
from stationmaster.model import protocol
from stationmaster.station import board as boards
from stationmaster.station import certificates, metrics, readiness, visible_record
from stationmaster.station import snapshot as snapshots


class HealthBody(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The JSON body of a health answer. ``warnings`` need a person, and take nothing from the readiness."""

    readiness: protocol.Readiness
    reasons: tuple[protocol.Problem, ...]
    warnings: tuple[protocol.Problem, ...] = ()
    station_id: str


class Health:
    """Answers from the board."""

    def __init__(self, board: boards.Board, clock: clocks.Clock, scrape: Callable[[], bytes] | None = None) -> None:
        self._board = board
        self._clock = clock
        self._scrape = scrape

    def verdict(self) -> readiness.Verdict:
        """I8, now."""
        return readiness.judge(self._board.read(), self._clock.monotonic(), self._clock.now())

    def answer(self, _method: str, target: str) -> local_server.LocalAnswer:
        """``/healthz``: 200 for READY; ``/healthz?tier=serving``: 200 for LAST_RESORT too; 503 otherwise.

        ``port=proxy`` asks for the proxy port, which has to reach the hub as well.
        """
        path, _, query = target.partition("?")
        if path == "/livez":
            return local_server.LocalAnswer(200, {"Content-Type": "text/plain"}, b"alive\n")
        if path == "/metrics" and self._scrape is not None:
            return local_server.LocalAnswer(200, {"Content-Type": metrics.CONTENT_TYPE}, self._scrape())
        if path != "/healthz":
            return local_server.LocalAnswer(404, {"Content-Type": "text/plain"}, b"There is /healthz and /livez.\n")
        verdict, asked = self.verdict(), urllib.parse.parse_qs(query)
        if asked.get("port") == ["proxy"]:
            verdict = readiness.judge_proxy(verdict, self._board.read().contact)
        is_tier = asked.get("tier") == ["serving"]
        is_good = verdict.is_serving if is_tier else verdict.is_ready
        present = self._board.read()
        body = HealthBody(
            readiness=verdict.readiness,
            reasons=verdict.reasons,
            warnings=warnings(present, self._clock.now()),
            station_id=present.station_id,
        )
        headers = {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "X-Stationmaster-Readiness": verdict.readiness.value,
        }
        return local_server.LocalAnswer(200 if is_good else 503, headers, msgspec.json.encode(body) + b"\n")


def warnings(present: snapshots.Snapshot, now: datetime.datetime) -> tuple[protocol.Problem, ...]:
    """What a person should see to, and what takes nothing from the readiness."""
    host = present.desired.client_address.host if present.desired else ""
    return (*visible_record.problems(present, now), *certificates.warnings(present.certificates, host, now))
