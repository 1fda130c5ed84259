"""The station daemon: observe, plan, apply, a few times a second, until told to stop.

Threads: one heartbeat, the observers, a keeper for each engine, syncs, a few for slow steps, and the health answer.
The main loop only reads the board, plans, and takes quick steps. nginx and squid are left running when the daemon
ends, and taken over by the next one: serving does not stop for a daemon's death or upgrade.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

import msgspec

from stationmaster.host import local_server, network
from stationmaster.model import errors, protocol
from stationmaster.station import agent_port, health, hub_link, metrics, misses, report, specs, steps, wiring
from stationmaster.station import plan as plans
from stationmaster.station.sites import serving

_log = logging.getLogger(__name__)
TICK_SECONDS = 0.5
_SERVING_SECONDS = 2.0
_FAILED_STEP_SECONDS = 1.0
_JOIN_SECONDS = 2.0
_NAMES_SECONDS = 5.0


class Daemon:
    """One station's daemon on one state directory."""

    def __init__(self, parts: wiring.Parts) -> None:
        self._parts = parts
        self._board = parts.board
        self._clock = parts.clock
        self._stop = parts.stop
        self._plan = plans.Plan()
        self._tally = metrics.Tally()
        self._health = health.Health(parts.board, parts.clock, self._scrape)
        self._agent = agent_port.AgentPort(
            parts.board, parts.clock, parts.names, parts.host.listen, self._health.verdict
        )
        self._serving = serving.ServingRecord(parts.state.serving, parts.files)
        self._heartbeat = hub_link.HeartbeatThread(parts.link, parts.board, parts.clock, self._compose, parts.records)
        self._reported: object = None
        self._begun_at = parts.clock.monotonic()
        self._served_at = float("-inf")
        self._failed_until: dict[str, float] = {}

    def request_stop(self) -> None:
        """End soon; safe in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Until told to stop; nginx and squid go on."""
        parts = self._parts
        answering = local_server.LocalServer(parts.state.socket, self._answer, parts.files)
        threads = [
            *parts.watch.start(self._stop),
            _start("nginx", parts.doors.nginx.run, self._stop),
            _start("squid", parts.doors.squid.run, self._stop),
            _start("heartbeat", self._heartbeat.run, self._stop),
        ]
        _log.info("The station daemon runs.", extra={"station": parts.config.station_id, "pid": os.getpid()})
        _notify("READY=1")
        try:
            while not self._stop.is_set():
                self._cycle()
                self._board.wait(TICK_SECONDS)
        finally:
            _notify("STOPPING=1")
            self._stop.set()
            self._heartbeat.wake()
            parts.doors.syncs.close()
            parts.doors.mending.close()
            parts.doors.work.close()
            parts.doors.volume_work.close()
            for thread in threads:
                thread.join(timeout=_JOIN_SECONDS)
            answering.close()
            self._agent.close()

    def _answer(self, method: str, target: str) -> local_server.LocalAnswer:
        if target.startswith((misses.FILL, misses.LACK, misses.UNION)):
            return self._parts.misses.answer(target)
        return self._health.answer(method, target)

    def stop_engines(self) -> None:
        """End nginx and squid too; after ``run``."""
        self._serving.withdraw()
        self._parts.doors.nginx.stop_engine()
        self._parts.doors.squid.stop_engine()

    def _cycle(self) -> None:
        moment = plans.Moment(self._clock.monotonic(), self._clock.now())
        snapshot = self._board.read()
        names = self._parts.names
        is_patient = moment.at - self._begun_at < _NAMES_SECONDS
        if snapshot.desired is None or not is_patient or names.are_known(specs.names_to_resolve(snapshot.desired)):
            self._plan = plans.plan(snapshot, self._parts.host, names.read(), moment)
            for step in self._plan.steps:
                self._take(step, moment)
        self._renew_serving(moment)
        self._agent.keep()
        self._tally.look(self._board.read())
        self._report_news()
        _notify("WATCHDOG=1")

    def _take(self, step: steps.Step, moment: plans.Moment) -> None:
        """A step that fails is left alone for a moment, and holds up no other."""
        key = repr(step)
        if moment.at < self._failed_until.get(key, float("-inf")):
            return
        try:
            self._parts.apply.take(step)
        except (errors.StationmasterError, OSError) as exc:
            _log.error(str(exc), extra={"action": type(step).__name__})
            self._failed_until = {name: until for name, until in self._failed_until.items() if until > moment.at}
            self._failed_until[key] = moment.at + _FAILED_STEP_SECONDS

    def _renew_serving(self, moment: plans.Moment) -> None:
        verdict = self._health.verdict()
        if not verdict.is_serving:
            self._serving.withdraw()
            self._served_at = float("-inf")
        elif moment.at - self._served_at >= _SERVING_SECONDS:
            self._serving.renew(moment.time)
            self._served_at = moment.at

    def _report_news(self) -> None:
        """What others wait for (held, shown, ready) reaches the hub at once, not with the next regular heartbeat."""
        news = report.news_of(self._board.read(), self._health.verdict())
        if news != self._reported:
            self._reported = news
            self._heartbeat.wake()

    def _scrape(self) -> bytes:
        return metrics.render(
            metrics.Moment(
                snapshot=self._board.read(),
                verdict=self._health.verdict(),
                origins=self._tally.read(),
                at=self._clock.monotonic(),
                now=self._clock.now(),
            )
        )

    def _compose(self) -> protocol.StationHeartbeat:
        message = report.heartbeat(self._board.read(), self._plan, self._health.verdict(), self._clock.now())
        found = [one for one in (self._agent.problem, self._parts.link.problem) if one is not None]
        return msgspec.structs.replace(message, problems=[*message.problems, *found]) if found else message


def _start(name: str, run: Callable[[threading.Event], None], stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=run, args=(stop,), name=name, daemon=True)
    thread.start()
    return thread


def _notify(state: str) -> None:
    """sd_notify(3), where a service manager listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        network.notify_service_manager(state, address)
