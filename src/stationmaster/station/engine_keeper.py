"""A thread for each of nginx and squid: keeps it as last wanted, starts it when it died, ends it when it is wedged.

Threads of their own, since checking and starting take seconds, and one engine must not hold up the other.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from stationmaster.host import clock as clocks
from stationmaster.host import keeper
from stationmaster.model import protocol
from stationmaster.station import board as boards
from stationmaster.station import snapshot as snapshots
from stationmaster.station.sites import program
from stationmaster.station.sites import spec as site_spec

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.2
_WELL_SECONDS = 10.0
_UNWELL_SECONDS = 0.5
_WEDGED_SECONDS = 10.0
_SLOW_VOLUME_SECONDS = 3.0
S_contra = TypeVar("S_contra", contravariant=True)
S = TypeVar("S")


class Site(Protocol[S_contra]):
    """What keeps one engine (``sites.program``)."""

    def keep(self, spec: S_contra) -> keeper.Kept:
        """Bring the engine to ``spec``."""
        ...

    keeper: keeper.Keeper


class EngineKeeper(Generic[S]):
    """One engine. ``want`` returns at once; ``run`` is the thread."""

    def __init__(
        self,
        name: snapshots.EngineName,
        make_site: Callable[[S], Site[S]],
        board: boards.Board,
        clock: clocks.Clock,
    ) -> None:
        self._name = name
        self._make_site = make_site
        self._site: Site[S] | None = None
        self._board = board
        self._clock = clock
        self._wanted: tuple[S, str] | None = None
        self._answered_at = clock.monotonic()
        self._wake = threading.Event()

    def want(self, spec: S, digest: str) -> None:
        """From now on the engine should be this."""
        self._wanted = (spec, digest)
        self._change(wanted=digest)
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; the engine itself goes on. An engine that is well is looked after now and then only."""
        looked_at = float("-inf")
        while not stop.is_set():
            is_told = self._wake.wait(_PAUSE_SECONDS)
            self._wake.clear()
            view = self._view()
            is_well = view.problem is None and view.applied == view.wanted and view.is_answering == view.is_running
            now = self._clock.monotonic()
            if not is_told and now - looked_at < (_WELL_SECONDS if is_well else _UNWELL_SECONDS):
                continue
            looked_at = now
            try:
                self._cycle()
            except Exception:  # noqa: BLE001 - the edge of a thread that must go on
                _log.exception("Keeping an engine failed.", extra={"action": "keep", "engine": self._name})

    def stop_engine(self) -> None:
        """End the engine, if this daemon ever knew what it should be."""
        if self._site is not None:
            self._site.keeper.stop()

    def _cycle(self) -> None:
        if self._wanted is None:
            return
        spec, digest = self._wanted
        site = self._site = self._site or self._make_site(spec)
        kept = site.keep(spec)
        problem = None
        if kept.problem is not None:
            problem = protocol.Problem(code=kept.problem.code, message=str(kept.problem))
        former = self._view()
        self._log_changes(former, kept, problem)
        applied = digest if problem is None else former.applied if former.applied != digest else ""
        is_blind = (
            isinstance(spec, site_spec.NginxSpec) and spec.is_volume_silent if applied == digest else former.is_blind
        )
        ports = program.ports_of(spec) if applied == digest else former.ports
        self._change(applied=applied, is_running=kept.is_running, problem=problem, is_blind=is_blind, ports=ports)
        self._end_wedged(site, kept)

    def _end_wedged(self, site: Site[S], kept: keeper.Kept) -> None:
        now = self._clock.monotonic()
        volume = self._board.read().volume
        # Workers that wait for the volume cannot be ended; others are started beside them (``is_volume_silent``).
        is_excused = self._name == "nginx" and volume is not None and now - volume.seen_at > _SLOW_VOLUME_SECONDS
        if kept.is_changed or not kept.is_running or self._view().is_answering or is_excused:
            self._answered_at = now
        elif now - self._answered_at > _WEDGED_SECONDS:
            _log.warning("An engine lives but does not answer; it is ended.", extra={"engine": self._name})
            self._answered_at = now
            site.keeper.restart_wedged()

    def _log_changes(self, former: snapshots.EngineView, kept: keeper.Kept, problem: protocol.Problem | None) -> None:
        if kept.is_changed:
            _log.info("Configuration is in force.", extra={"engine": self._name})
        if problem is not None and (former.problem is None or former.problem.code != problem.code):
            _log.error(problem.message, extra={"engine": self._name, "code": problem.code})

    def _view(self) -> snapshots.EngineView:
        return self._board.read().engine(self._name)

    def _change(self, **changes: Any) -> None:
        def changed(present: snapshots.Snapshot) -> snapshots.Snapshot:
            view = present.engine(self._name)
            following = dataclasses.replace(view, **changes)
            return present if following == view else present.with_engine(self._name, following)

        self._board.change(changed)
