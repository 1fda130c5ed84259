"""The hub's own work, in a thread beside the API: once a second it looks at every group and at what is due.

Each step stands alone: one that fails is logged and tried again a second later, and keeps none of the others waiting.
Several hub replicas may run this at once; every write is won by one of them.
"""

from __future__ import annotations

import datetime
import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from stationmaster.hub import context, logs, measures
from stationmaster.hub.api import retry_tokens
from stationmaster.hub.db import primary
from stationmaster.hub.jobs import silence, station_health
from stationmaster.hub.services import (
    departures,
    group_view,
    job_runs,
    leaving,
    port_changes,
    station_refresh,
    syncs,
    visibility,
    visible_record,
    volume_samples,
    volumes,
)

INTERVAL_SECONDS = 1.0
_HOUSEKEEPING = datetime.timedelta(minutes=1)


class Scheduler:
    """What one hub process does by itself. ``tick`` is one round."""

    def __init__(self, hub: context.Hub) -> None:
        self._hub = hub
        self._time_kept: datetime.datetime | None = None

    def tick(self) -> None:
        """One round. Whether it may decide is asked at each step: a database may change between two of them."""
        if self._hub.watch is not None:
            self._do("look at the database", self._hub.watch.look)
        now = self._hub.clock.now()
        self._do("look at the volumes", lambda: volumes.step(self._hub, now, is_settled=self._hub.is_settled))
        self._do("look at the groups", lambda: self._look_at_groups(now))
        self._do("run scheduled jobs", lambda: job_runs.run_due(self._hub, now))
        if self._time_kept is None or now - self._time_kept >= _HOUSEKEEPING:
            self._time_kept = now
            self._do("keep house", lambda: self._keep_house(now))

    def _look_at_groups(self, now: datetime.datetime) -> None:
        with self._hub.store.read() as tx:
            heads = group_view.group_heads(tx)
        for head in heads:
            action = f"look at the group {head.hostname_key}"
            self._do(action, functools.partial(self._look_at, now, head))

    def _look_at(self, now: datetime.datetime, head: sa.Row[Any]) -> None:
        is_settled = self._hub.is_settled
        view = visibility.step_group(self._hub, now, head, is_settled=is_settled)
        visible_record.step(self._hub, now, view, is_settled=is_settled)
        station_health.tell_changes(self._hub, now, view)
        syncs.follow_open(self._hub, now, head, view)
        if any(member.lifecycle_state == departures.DELETING for member in view.members):
            self._hub.store.transact(lambda tx: departures.finish(tx, now, self._hub, view))
        station_refresh.follow_open(self._hub, now, view)
        if is_settled:
            port_changes.carry_on(self._hub, now, head)

    def _keep_house(self, now: datetime.datetime) -> None:
        store = self._hub.store
        store.transact(lambda tx: retry_tokens.forget_expired(tx, now))
        store.transact(lambda tx: leaving.finish_overdue(tx, now, self._hub))
        store.transact(lambda tx: syncs.fail_without_station(tx, now))
        store.transact(lambda tx: silence.tell_of_silent_targets(tx, now, self._hub))
        store.transact(lambda tx: volume_samples.keep(tx, now))
        store.transact(port_changes.forget_deserted)

    def _do(self, action: str, work: Callable[[], object]) -> None:
        try:
            work()
        except sa.exc.OperationalError as exc:
            if exc.connection_invalidated:
                self._hub.settling.unsettle("The database was lost.")  # R8
            what = "the database is away" if exc.connection_invalidated else "the database refused"
            logs.write(what, level=logging.ERROR, action=action, error=str(exc.orig))
        except primary.NotDecidingError as exc:
            logs.write("no decision", level=logging.WARNING, action=action, error=str(exc))
        except Exception:  # noqa: BLE001 - the edge of a loop: tried again in a second
            logs.write("scheduler step failed", level=logging.ERROR, is_traced=True, action=action)


def run(hub: context.Hub, stop: threading.Event, counted: measures.Measures | None = None) -> None:
    """Until ``stop`` is set."""
    scheduler = Scheduler(hub)
    if hub.watch is not None:
        threading.Thread(target=hub.watch.feel_pulse, args=(stop,), name="pulse", daemon=True).start()
    while not stop.wait(INTERVAL_SECONDS):
        began = hub.clock.monotonic()
        scheduler.tick()
        if counted is not None:
            counted.round_ended(hub.clock.monotonic() - began)
