"""Keeps one real engine as wanted: carries out the steps of ``engine.plan_engine``, goes back when one fails.

An engine that a predecessor left running is taken over: found by its pid file, proved by ``/proc``. Engines run in the
background on their own, so that serving does not stop when the daemon that configured them dies.
"""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable

from stationmaster.host import engine as engines
from stationmaster.host import engine_process
from stationmaster.model import errors

# A refusal touches nothing, so it is tried again every time; these failures cost something each time.
_COSTLY = frozenset({"EngineSilent", errors.ProgramFailedError.code})


@dataclasses.dataclass(frozen=True)
class Kept:
    """What one look came to. ``problem`` is None when the engine runs what is wanted."""

    is_running: bool
    is_changed: bool
    problem: errors.HostError | None = None


@dataclasses.dataclass(frozen=True)
class _Resting:
    """A configuration that failed, and how long it is left alone."""

    text: str
    patience: engines.Patience
    problem: errors.HostError


class Keeper:
    """One engine of this host. Call ``keep`` every cycle; it never raises for the engine's sake."""

    def __init__(self, engine: engines.Engine, doors: engine_process.Doors) -> None:
        self.engine = engine
        self._doors = doors
        self._process = engine_process.EngineProcess(engine, doors)
        self._resting: _Resting | None = None
        self._starts = engines.Patience()

    def pid(self) -> int | None:
        """The engine's master process, None when it does not run."""
        return self._process.pid()

    def keep(self, wanted: engines.Wanted | None) -> Kept:
        """Bring the engine to ``wanted`` if it is not there, start it if it died; waits after failures."""
        now = self._doors.clock.monotonic()
        resting = self._resting if wanted and self._resting and self._resting.text == wanted.text else None
        if resting and not resting.patience.is_over(now):
            return self._keep_former(resting)
        try:
            is_changed = self.apply(wanted)
        except errors.HostError as exc:
            if wanted is not None and exc.code in _COSTLY:
                patience = resting.patience if resting else engines.Patience()
                self._resting = _Resting(wanted.text, patience.after_failure(now), exc)
            return Kept(self.pid() is not None, is_changed=False, problem=exc)
        self._resting = None
        return Kept(wanted is not None, is_changed)

    def _keep_former(self, resting: _Resting) -> Kept:
        """While a configuration rests after a failure, the one in force must not stay down."""
        observed = self._process.observe(None)
        is_other = observed.verified is not None and observed.verified != resting.text
        if observed.pid is None and is_other and not observed.leftovers and observed.is_installed:
            try:
                self._start()
            except errors.HostError as exc:
                return Kept(is_running=False, is_changed=False, problem=exc)
        return Kept(self.pid() is not None, is_changed=False, problem=resting.problem)

    def apply(self, wanted: engines.Wanted | None) -> bool:
        """Do what is due, once; True when something was. HostError says why not; what was verified is then back."""
        observed = self._process.observe(wanted)
        evidence = self._process.evidence(wanted) if wanted and observed.pid is not None else None
        steps = engines.plan_engine(observed, wanted)
        for step in steps:
            try:
                self._do(step, observed, wanted, evidence)
            except errors.HostError:
                self._go_back(step, observed, wanted)
                raise
        return bool(steps)

    def _do(
        self,
        step: engines.Step,
        observed: engines.Observed,
        wanted: engines.Wanted | None,
        evidence: frozenset[object] | None,
    ) -> None:
        process = self._process
        actions: dict[engines.Step, Callable[[], None]] = {
            engines.Step.REFUSE_MISSING_PROGRAM: process.require_program,
            engines.Step.REFUSE_TAKEN_PORT: lambda: process.refuse_taken(observed.taken),
            engines.Step.INSTALL: process.install,
            engines.Step.END_LEFTOVERS: lambda: process.end(observed.leftovers),
            engines.Step.START: self._start,
            engines.Step.RELOAD: process.reload,
            engines.Step.STOP: process.stop,
        }
        if wanted is not None:
            actions[engines.Step.CHECK] = lambda: process.check(wanted)
            actions[engines.Step.VERIFY] = lambda: process.verify(wanted, evidence)
            actions[engines.Step.REMEMBER] = lambda: process.remember(wanted)
        actions[step]()

    def _start(self) -> None:
        now = self._doors.clock.monotonic()
        if not self._starts.is_over(now):
            raise errors.HostError(
                f"{self.engine.name} died again and is left alone for {self._starts.until - now:.0f} s.",
                hint=f"Its own words are in {self.engine.log.parent}.",
                code="EngineCrashing",
            )
        self._starts = self._starts.after_failure(now)
        self._process.start()

    def _go_back(self, failed: engines.Step, observed: engines.Observed, wanted: engines.Wanted | None) -> None:
        """Bring the last verified text back into force; without one, an engine that did not run before is stopped."""
        if wanted is None or observed.verified == wanted.text:
            return
        is_placed = failed in (engines.Step.END_LEFTOVERS, engines.Step.START, engines.Step.RELOAD, engines.Step.VERIFY)
        if observed.verified is None:
            if is_placed and observed.pid is None:
                self._process.stop()
            return
        if is_placed:
            self._process.restore(observed.verified)
        if is_placed and self.pid() is not None:
            self._process.reload()
        elif self.pid() is None and not observed.taken and observed.is_installed:
            self._process.start()

    def install_quietly(self, wanted: engines.Wanted) -> None:
        """Make ``wanted`` the configuration of the next start or reload, for a change that is already in force.

        For what was told to the running program through its own socket (HAProxy: drain, weight). HostError when the
        program refuses the text.
        """
        self._process.check(wanted)
        self._process.install()
        self._process.remember(wanted)

    def stop(self) -> None:
        """End the engine."""
        self._process.stop()

    def restart_wedged(self) -> None:
        """End an engine that lives and does not answer, at once and whole; the next ``keep`` starts it."""
        self._process.kill_all()

    def reopen_logs(self, names: tuple[str, ...], *, limit_bytes: int) -> None:
        """Rename logs that grew beyond ``limit_bytes`` to ``<name>.1`` and let the program open new ones."""
        paths = [self.engine.log.with_name(name) for name in names]
        grown = [path for path in paths if path.exists() and path.stat().st_size > limit_bytes]
        for path in grown:
            self._doors.files.rename(path, path.with_name(path.name + ".1"))
        pid = self.pid()
        if grown and pid is not None:
            self._doors.processes.signal(pid, signal.SIGUSR1)
