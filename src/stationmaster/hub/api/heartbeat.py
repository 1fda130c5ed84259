"""Operations on heartbeat."""

from __future__ import annotations

from stationmaster.hub.api.routes import Route

ROUTES: tuple[Route, ...] = ()
