"""``/metrics`` for Prometheus: outside the frame, since a scraper signs nothing; by address, and closed by default."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from prometheus_client import exposition, metrics_core, registry
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

import stationmaster
from stationmaster.hub import context, logs, measures
from stationmaster.hub.services import group_metrics
from stationmaster.model import addresses, errors

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """An ASGI endpoint. ``monitors`` are the networks that may read it; for others it is not there."""

    def __init__(self, hub: context.Hub, counted: measures.Measures, monitors: Sequence[addresses.Network]) -> None:
        self._monitors = tuple(monitors)
        self._registry = counted.registry
        counted.registry.register(_FromDatabase(hub))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        request = Request(scope, receive)
        if request.client is None or not _is_admitted(request.client.host, self._monitors):
            response = Response("There is nothing here for you.\n", 404, media_type="text/plain")
        elif request.method not in {"GET", "HEAD"}:
            response = Response(status_code=405)
        else:
            text = await run_in_threadpool(exposition.generate_latest, self._registry)
            response = Response(text, headers={"content-type": _CONTENT_TYPE})
        await response(scope, receive, send)


def _is_admitted(host: str, monitors: Sequence[addresses.Network]) -> bool:
    return addresses.is_address(host) and addresses.is_permitted(host, monitors)


class _FromDatabase(registry.Collector):
    """What the database knows, read anew for each scrape; when it is away, that is what is told."""

    def __init__(self, hub: context.Hub) -> None:
        self._hub = hub

    def describe(self) -> list[Any]:
        """Nothing is looked up when it is registered."""
        return []

    def collect(self) -> Iterator[metrics_core.Metric]:
        """The library's protocol."""
        found: list[metrics_core.Metric] = []
        is_up = 1.0
        try:
            with self._hub.store.read() as tx:
                found = list(group_metrics.collect(tx, self._hub.clock.now(), self._hub))
        except (sa.exc.SQLAlchemyError, errors.StationmasterError):
            is_up = 0.0
            logs.write("metrics without the database", level=logging.ERROR, is_traced=True, action="scrape")
        info = metrics_core.GaugeMetricFamily("stationmaster_hub_info", "Release of the hub.", labels=["version"])
        info.add_metric([stationmaster.__version__], 1.0)
        up = metrics_core.GaugeMetricFamily(
            "stationmaster_hub_database_up", "0 when the database did not answer this scrape.", value=is_up
        )
        yield from (info, up, *found)
