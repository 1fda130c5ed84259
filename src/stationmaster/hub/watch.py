"""Whether the database is the one it was, what time it is there, and whether we stood still ourselves.

The database is looked at once a round. Our own standing still is seen by a pulse beside the rounds: one that takes
long, because other replicas decide at the same time, is none, for heartbeats were heard meanwhile.

Whatever of it went wrong makes the process listen anew before it decides (R8, R9). Times in the database that lie in
the future, because its clock was set back, are set to now: whoever they belong to has its full time again.
"""

from __future__ import annotations

import datetime
import logging
import threading

import sqlalchemy as sa

from stationmaster.hub import logs, public_address, settling, shared_clock
from stationmaster.hub.db import schema, store

# A process that stood still for so long, or whose database did, heard nobody either.
STILL_SECONDS = 5.0
PULSE_SECONDS = 0.5
AHEAD = datetime.timedelta(seconds=1)  # clocks of replicas differ by less
# Ages are counted from these; of others a wrong one harms nobody.
_COUNTED = (
    schema.station_reports.c.time_received,
    schema.station_lags.c.time_behind,
    schema.station_lags.c.time_gained,
    schema.station_lags.c.time_excluded,
    schema.orphaned_sources.c.time_orphaned,
    schema.source_leases.c.time_renewed,
    schema.source_leases.c.time_gained,
    schema.candidates.c.time_set,
    schema.candidates.c.time_lost,
    schema.volume_leases.c.time_renewed,
    schema.station_volumes.c.time_first_seen,
    schema.station_volumes.c.time_doubted,
    schema.sync_requests.c.time_requested,
    schema.visible.c.time_left,
)


class Watch:
    """Of one process: its scheduler looks, and one thread feels its pulse; nobody else does either."""

    def __init__(
        self,
        opened: store.Store,
        shared: shared_clock.SharedClock,
        settled: settling.Settling,
        address: public_address.PublicAddress,
    ) -> None:
        self._store = opened
        self._clock = shared
        self._settling = settled
        self._address = address
        self._beat_at: float | None = None
        self._asked_at: float | None = None
        self._is_checked = False

    def feel_pulse(self, stop: threading.Event) -> None:
        """Until told to stop: notice that this process did not run for a while."""
        while not stop.wait(PULSE_SECONDS):
            self.beat()

    def beat(self) -> None:
        """One beat of the pulse."""
        at = self._clock.monotonic()
        if self._beat_at is not None and at - self._beat_at > STILL_SECONDS:
            self.unsettle(f"It stood still for {at - self._beat_at:.0f} s.")
        self._beat_at = at

    def look(self) -> None:
        """One look; what the store raises when the database is not available."""
        asked_at = self._clock.monotonic() if self._asked_at is None else self._asked_at
        self._asked_at = asked_at  # stays when there is no answer
        measured = measure(self._store, self._clock)
        self._asked_at = None
        if measured.answered_at - asked_at > STILL_SECONDS:
            self.unsettle(f"The database did not answer for {measured.answered_at - asked_at:.0f} s.")
        jump = self._clock.follow(measured)
        if jump:
            self.unsettle(f"The database's clock jumped by {jump:.1f} s.")
        if not self._is_checked:
            mended = self._store.transact(lambda tx: mend_future(tx, self._clock.now()))
            if mended:
                logs.write("times of the future set to now", level=logging.WARNING, times=mended)
            self._is_checked = True
        with self._store.read() as tx:
            stored = public_address.read(tx)
        if self._address.follow(stored):
            logs.write("another replica changed the public address", url=self._address.url)

    def unsettle(self, why: str) -> None:
        """Listen anew, and look anew for times of the future."""
        self._is_checked = False
        self._settling.unsettle(why)


def measure(opened: store.Store, shared: shared_clock.SharedClock) -> shared_clock.Measured:
    """The time of the database server; where there is none, this host's."""
    asked_at = shared.monotonic()
    time = opened.look()
    if time is None:
        time = shared.own_time()
    return shared_clock.Measured(time, asked_at, shared.monotonic())


def mend_future(tx: sa.Connection, now: datetime.datetime) -> int:
    """Set to now what lies ahead of it; how many."""
    count = 0
    for column in _COUNTED:
        ahead = column.table.update().where(column > now + AHEAD).values({column.name: now})
        count += tx.execute(ahead).rowcount
    table = schema.source_leases
    for row in tx.execute(sa.select(table)).all():
        failures = {one: min(when, now.isoformat()) for one, when in row.failures.items()}
        if failures != dict(row.failures):
            same = sa.and_(table.c.group_id == row.group_id, table.c.source_id == row.source_id)
            count += tx.execute(table.update().where(same).values(failures=failures)).rowcount
    return count
