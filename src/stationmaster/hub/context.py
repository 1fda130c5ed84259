"""What every part of the hub is given: its database, clock, names and settings. Made once, by ``hub.serve``."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence

from stationmaster.host import clock
from stationmaster.hub import orders, public_address, settling, watch
from stationmaster.hub.db import store
from stationmaster.hub.services import authority


@dataclasses.dataclass(frozen=True)
class Times:
    """The intervals of design section 12a; settings of the hub, so that the whole group follows the same ones."""

    heartbeat: datetime.timedelta = datetime.timedelta(seconds=2)
    confirmed: datetime.timedelta = datetime.timedelta(seconds=6)
    liveness: datetime.timedelta = datetime.timedelta(seconds=10)
    lease: datetime.timedelta = datetime.timedelta(seconds=10)
    lag_limit: datetime.timedelta = datetime.timedelta(seconds=60)
    retention: datetime.timedelta = datetime.timedelta(days=3)
    checkin: datetime.timedelta = datetime.timedelta(seconds=120)
    instance_inactive: datetime.timedelta = datetime.timedelta(minutes=30)
    instance_offline: datetime.timedelta = datetime.timedelta(hours=24)


@dataclasses.dataclass(frozen=True)
class Hub:
    """One hub process. ``resolve`` gives the addresses of a host name; ``page_secret`` seals page tokens.

    ``clock`` is the hub's time, one for all replicas. ``settling`` and ``orders`` are what the process remembers
    without the database, ``watch`` what it looks at each round; without one nothing is watched.
    """

    store: store.Store
    clock: clock.Clock
    authority: authority.Authority
    tenancy_id: str
    region: str
    address: public_address.PublicAddress
    resolve: Callable[[str], Sequence[str]]
    page_secret: bytes
    times: Times = Times()
    settling: settling.Settling = dataclasses.field(default_factory=settling.Settling)
    orders: orders.Orders = dataclasses.field(default_factory=orders.Orders)
    watch: watch.Watch | None = None

    @property
    def public_url(self) -> str:
        """The address that machines are told."""
        return self.address.url

    @property
    def is_settled(self) -> bool:
        """R8: whether the process has listened long enough to decide."""
        return self.settling.is_settled(self.clock, self.times.liveness)
