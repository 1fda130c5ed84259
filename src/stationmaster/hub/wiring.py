"""Puts the hub together: which modules serve which operations, and the application that serves them all."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import Route as StarletteRoute

from stationmaster.hub import context, measures
from stationmaster.hub.api import (
    checkin,
    compartments,
    doctor,
    events,
    frame,
    groups,
    health,
    heartbeat,
    managed_instances,
    metrics,
    openapi,
    profiles,
    registrations,
    routes,
    scheduled_jobs,
    scripts,
    software_sources,
    stations,
    work_requests,
)
from stationmaster.model import addresses

LOOPBACK = addresses.parse_networks(("127.0.0.0/8", "::1"), option="loopback")
MODULES = (
    compartments,
    stations,
    software_sources,
    profiles,
    managed_instances,
    scheduled_jobs,
    work_requests,
    registrations,
    heartbeat,
    checkin,
    doctor,
    groups,
    scripts,
    events,
    health,
)


def route_table() -> routes.RouteTable:
    """Every operation of the hub."""
    found = tuple(route for module in MODULES for route in module.ROUTES)
    return routes.RouteTable((*found, openapi.route_for(found)))


def build_app(
    hub: context.Hub, counted: measures.Measures | None = None, monitors: Sequence[addresses.Network] = LOOPBACK
) -> Starlette:
    """The ASGI application. It answers at every path itself, so that nothing is ever redirected.

    ``monitors`` may read ``/metrics``.
    """
    counted = counted or measures.Measures()
    scraped = metrics.Metrics(hub, counted, monitors)
    return Starlette(
        routes=[
            StarletteRoute("/metrics", scraped),
            StarletteRoute("/{path:path}", frame.Frame(hub, route_table(), counted)),
        ]
    )
