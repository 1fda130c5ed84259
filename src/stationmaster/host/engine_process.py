"""One engine's files and processes: looking at them, and each single effect that ``keeper`` may ask for."""

from __future__ import annotations

import dataclasses
import re
import signal

from stationmaster.host import clock as host_clock
from stationmaster.host import engine as engines
from stationmaster.host import files as host_files
from stationmaster.host import processes as host_processes
from stationmaster.host import programs as host_programs
from stationmaster.model import errors

_PAUSE = 0.02
_NOISE = re.compile(r"\| (Processing|Startup|Initializing|Starting|Squid|Service Name|Not currently)|^\s*$|\[notice\]")
_SECRET = re.compile(r"login=\S+")


@dataclasses.dataclass(frozen=True)
class Doors:
    """The effects that keeping an engine needs."""

    files: host_files.Files
    programs: host_programs.Programs
    processes: host_processes.Processes
    clock: host_clock.Clock


def real_doors() -> Doors:
    """Those of this host."""
    return Doors(host_files.Files(), host_programs.Programs(), host_processes.Processes(), host_clock.SystemClock())


class EngineProcess:
    """Methods look, or are one effect. Those that fail raise HostError with the program's own words."""

    def __init__(self, engine: engines.Engine, doors: Doors) -> None:
        self._engine = engine
        self._files = doors.files
        self._programs = doors.programs
        self._processes = doors.processes
        self._clock = doors.clock

    # --- looking ---------------------------------------------------------------------------------------------

    def pid(self) -> int | None:
        """The engine's master process, when it lives and is this engine with this configuration."""
        text = host_files.read_text_or_none(self._engine.pid_file) or ""
        return int(text) if text.strip().isdigit() and self._is_ours(int(text)) else None

    def observe(self, wanted: engines.Wanted | None) -> engines.Observed:
        """One look, as a value."""
        pid = self.pid()
        missing, taken = self._look_at_ports(pid, wanted)
        if taken and pid is not None and self.pid() != pid:
            return self.observe(wanted)  # the master died while we looked: its workers seemed to be strangers
        # Looking for leftovers reads all processes, so only where it matters: not beside a master that lives.
        leftovers = self._leftovers() if pid is None and (wanted is None or taken) else ()
        return engines.Observed(
            is_installed=self._programs.find(self._engine.program) is not None,
            pid=pid,
            installed=host_files.read_text_or_none(self._engine.configuration),
            verified=host_files.read_text_or_none(self._engine.verified),
            missing_ports=missing,
            taken=tuple(holder for holder in taken if holder.pid not in leftovers),
            leftovers=leftovers,
        )

    def evidence(self, wanted: engines.Wanted) -> frozenset[object]:
        """Who takes connections on the wanted ports now; after a reload none of these may be left.

        nginx starts new workers a tenth of a second before the former ones stop accepting: until then a client may
        still be let in by the former rules.
        """
        pid = self.pid()
        if pid is None:
            return frozenset()
        listen = frozenset(wanted.listen)
        sockets = frozenset(one for port in wanted.ports for one in self._processes.listening_sockets(port, listen))
        if self._engine.evidence is engines.Evidence.NEW_SOCKETS:
            return sockets
        workers = self._processes.family(pid) - {pid}
        return frozenset(one for one in workers if sockets & self._processes.open_files(one))

    def _is_ours(self, pid: int) -> bool:
        is_program = self._processes.program(pid) == self._engine.program
        return is_program and str(self._engine.configuration) in self._processes.arguments(pid)

    def _look_at_ports(
        self, pid: int | None, wanted: engines.Wanted | None
    ) -> tuple[tuple[int, ...], tuple[engines.Holder, ...]]:
        """Which wanted ports the engine does not have, and who has them instead."""
        if wanted is None:
            return (), ()
        family = self._processes.family(pid) if pid is not None else frozenset[int]()
        own = frozenset[str]().union(*(self._processes.open_files(one) for one in family))
        missing, taken = [], []
        for port in wanted.ports:
            sockets = self._processes.listening_sockets(port, frozenset(wanted.listen))
            if not sockets & own:
                missing.append(port)
            if sockets and not sockets & own:
                pid_of_holder = next(iter(self._processes.holders(sockets)), None)
                program = self._processes.program(pid_of_holder) if pid_of_holder is not None else None
                taken.append(engines.Holder(port, pid_of_holder, program))
        return tuple(missing), tuple(taken)

    def _leftovers(self) -> tuple[int, ...]:
        """Processes of this engine whose master is gone: they still hold its log open, and its ports."""
        log = str(self._engine.log)
        return tuple(
            pid
            for pid in self._processes.with_program(self._engine.program)
            if self._is_ours(pid) or log in self._processes.open_files(pid)
        )

    # --- doing -----------------------------------------------------------------------------------------------

    def require_program(self) -> None:
        """ProgramMissingError when the engine is not installed."""
        self._programs.require(self._engine.program)

    def refuse_taken(self, taken: tuple[engines.Holder, ...]) -> None:
        """HostError that names the ports and who has them."""
        raise errors.HostError(
            f"{self._engine.name} cannot have its ports, which are taken: {', '.join(map(str, taken))}.",
            hint="Stop that program, or choose other ports.",
            code="PortTaken",
        )

    def check(self, wanted: engines.Wanted) -> None:
        """Write the candidate and let the program itself check it."""
        for path, text in wanted.beside:
            self._files.write_atomic(path, text.encode(), mode=0o644)
        # Readable by this user only: squid's may hold the password of a forward proxy.
        self._files.write_atomic(self._engine.candidate, wanted.text.encode(), mode=0o600)
        program = self._programs.require(self._engine.program)
        arguments = [one.replace(engines.CANDIDATE, str(self._engine.candidate)) for one in self._engine.check]
        done = self._programs.run([program, *arguments], timeout=30.0)
        if not done.is_success:
            self._files.remove(self._engine.candidate)
            raise errors.HostError(
                f"{self._engine.name} refuses its new configuration: {telling_words(done.stderr + done.stdout)}",
                hint="The former configuration stays in force.",
                code="ConfigurationRefused",
            )

    def install(self) -> None:
        """The checked candidate becomes the configuration, in one rename."""
        self._files.rename(self._engine.candidate, self._engine.configuration)

    def restore(self, text: str) -> None:
        """A former text becomes the configuration again."""
        self._files.write_atomic(self._engine.configuration, text.encode(), mode=0o600)

    def remember(self, wanted: engines.Wanted) -> None:
        """The configuration in force is the one to come back to."""
        self._files.write_atomic(self._engine.verified, wanted.text.encode(), mode=0o600)

    def start(self) -> None:
        """Start it in the background."""
        self._files.remove(self._engine.pid_file)
        program = self._programs.require(self._engine.program)
        done = self._programs.run([program, *self._engine.start], timeout=30.0)
        if not done.is_success:
            raise errors.ProgramFailedError(
                f"{self._engine.name} does not start: {telling_words(done.stderr + done.stdout)}",
                hint=f"Its own words are in {self._engine.log.parent}.",
            )

    def reload(self) -> None:
        """Tell it to read its configuration."""
        pid = self.pid()
        if pid is not None:
            self._processes.signal(pid, self._engine.reload_signal)

    def verify(self, wanted: engines.Wanted, former_evidence: frozenset[object] | None) -> None:
        """Wait until a reload has happened (None: no reload) and the engine holds every port."""
        end = self._clock.monotonic() + self._engine.seconds_to_answer
        while True:
            pid = self.pid()
            missing, taken = self._look_at_ports(pid, wanted)
            evidence = self.evidence(wanted)
            former = former_evidence or frozenset()
            is_new = former_evidence is None or bool(evidence - former if wanted.is_beside_stuck else evidence)
            is_new = is_new and (wanted.is_beside_stuck or not evidence & former)
            if pid is not None and is_new and not missing:
                return
            if self._clock.monotonic() > end:
                break
            self._clock.sleep(_PAUSE)
        if taken:
            self.refuse_taken(taken)
        shown = ", ".join(map(str, missing))
        what = f"does not answer on port {shown}" if missing else "did not take its new configuration"
        raise errors.HostError(
            f"{self._engine.name} {what} within {self._engine.seconds_to_answer:g} s.",
            hint=f"Its own words are in {self._engine.log.parent}.",
            code="EngineSilent",
        )

    def stop(self) -> None:
        """End the engine: by its own signal, then for certain."""
        pid = self.pid()
        if pid is not None:
            family = self._processes.family(pid)
            self._processes.signal(pid, self._engine.stop_signal)
            if not self._wait_for_end(family, seconds=5.0):
                self.kill(tuple(family))
        self._kill_leftovers()

    def end(self, pids: tuple[int, ...]) -> None:
        """End processes that outlived their master."""
        for pid in pids:
            self._processes.signal(pid, signal.SIGTERM)
        if not self._wait_for_end(frozenset(pids), seconds=1.0):
            self.kill(pids)

    def kill_all(self) -> None:
        """End the engine at once and whole, frozen or not."""
        pid = self.pid()
        if pid is not None:
            self.kill(tuple(sorted(self._processes.family(pid), key=lambda one: one != pid)))
        self._kill_leftovers()

    def kill(self, pids: tuple[int, ...]) -> None:
        """End these processes at once."""
        for pid in pids:
            self._processes.signal(pid, signal.SIGKILL)
        self._wait_for_end(frozenset(pids), seconds=5.0)

    def _kill_leftovers(self) -> None:
        """A master may start a worker after its family was looked at, and before it ended itself."""
        leftovers = self._leftovers()
        if leftovers:
            self.kill(leftovers)

    def _wait_for_end(self, pids: frozenset[int], *, seconds: float) -> bool:
        end = self._clock.monotonic() + seconds
        while any(self._is_left(pid) for pid in pids):
            if self._clock.monotonic() > end:
                return False
            self._clock.sleep(_PAUSE)
        return True

    def _is_left(self, pid: int) -> bool:
        """Whether the engine's process is there, be it dying; another program may have its number by now."""
        return self._processes.program(pid) in (self._engine.program, None) and not self._processes.has_ended(pid)


def telling_words(output: str) -> str:
    """The last lines of a program's complaint that say something, without secrets that it repeats."""
    lines = [line.strip() for line in output.splitlines() if not _NOISE.search(line)]
    return _SECRET.sub("login=…", " / ".join(lines[-6:]) or "it said nothing")
