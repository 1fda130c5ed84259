"""What must happen so that a real engine (nginx, squid, HAProxy) runs a wanted configuration: the decision, pure.

Order of every change: render whole text -> candidate file -> the program's own check -> rename -> reload -> verify ->
remember as verified. When anything from the rename on fails, the last verified text comes back. ``plan_engine`` looks
at one observation and says which of these are due; nothing to do means nothing touched. After any prefix of its steps,
a new observation leads to the same end, so a daemon may die between any two of them. ``keeper`` carries the steps out.
"""

from __future__ import annotations

import dataclasses
import enum
import signal
from pathlib import Path

CANDIDATE = "{candidate}"


class Evidence(enum.Enum):
    """By what a reload is seen to have happened, engine by engine."""

    NEW_WORKERS = "workers that were not there before"
    NEW_SOCKETS = "listening sockets that were not there before"


@dataclasses.dataclass(frozen=True)
class Engine:
    """How one program is checked, started, told to reload, and told to stop.

    ``check`` and ``start`` are arguments after the program; CANDIDATE in ``check`` is the file to check. The program
    must go into the background by itself and write its process id to ``pid_file``. ``log`` is a file that every process
    of it keeps open: by that, workers are known that outlived their master.
    """

    name: str
    program: str
    configuration: Path
    pid_file: Path
    log: Path
    check: tuple[str, ...]
    start: tuple[str, ...]
    evidence: Evidence
    reload_signal: signal.Signals = signal.SIGHUP
    stop_signal: signal.Signals = signal.SIGTERM
    seconds_to_answer: float = 8.0

    @property
    def verified(self) -> Path:
        """The last configuration with which the program was seen to answer."""
        return self.configuration.with_name(self.configuration.name + ".verified")

    @property
    def candidate(self) -> Path:
        """A configuration that was not checked yet."""
        return self.configuration.with_name(self.configuration.name + ".candidate")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A whole configuration, its ports, and the files it names (written first; named by content, so never changed).

    ``listen`` are the local addresses of the ports; empty means all. ``is_beside_stuck``: processes of the former
    configuration may hang for good, so it is enough that new ones take connections beside them.
    """

    text: str = dataclasses.field(repr=False)
    ports: tuple[int, ...]
    beside: tuple[tuple[Path, str], ...] = ()
    listen: tuple[str, ...] = ()
    is_beside_stuck: bool = False


@dataclasses.dataclass(frozen=True)
class Holder:
    """Who listens on a port that we want; ``pid`` None when this user may not see it."""

    port: int
    pid: int | None
    program: str | None

    def __str__(self) -> str:
        if self.pid is None:
            return f"port {self.port} by a process that this user may not see"
        return f"port {self.port} by {self.program or 'a process'} (pid {self.pid})"


@dataclasses.dataclass(frozen=True)
class Observed:
    """One look at an engine. ``pid`` is proved to be it; ``leftovers`` are its processes without a master."""

    is_installed: bool
    pid: int | None
    installed: str | None
    verified: str | None
    missing_ports: tuple[int, ...] = ()
    taken: tuple[Holder, ...] = ()
    leftovers: tuple[int, ...] = ()


class Step(enum.Enum):
    """One effect."""

    REFUSE_MISSING_PROGRAM = "the program is not installed"
    REFUSE_TAKEN_PORT = "a port belongs to somebody else"
    CHECK = "the program checks the candidate"
    INSTALL = "the candidate becomes the configuration"
    END_LEFTOVERS = "processes that outlived their master end"
    START = "start"
    RELOAD = "reload"
    VERIFY = "all ports answer from this program"
    REMEMBER = "the configuration is the verified one"
    STOP = "stop"


def plan_engine(observed: Observed, wanted: Wanted | None) -> tuple[Step, ...]:
    """The steps from ``observed`` to ``wanted``; None wants the engine stopped."""
    if wanted is None:
        ending = (Step.END_LEFTOVERS,) if observed.leftovers else ()
        return (Step.STOP, *ending) if observed.pid is not None else ending
    is_settled = observed.installed == wanted.text and observed.verified == wanted.text
    if observed.pid is not None and is_settled and not observed.missing_ports:
        return ()
    if not observed.is_installed:
        return (Step.REFUSE_MISSING_PROGRAM,)
    if observed.taken:
        return (Step.REFUSE_TAKEN_PORT,)
    placing = () if is_settled else (Step.CHECK, Step.INSTALL)
    if observed.pid is not None:
        return (*placing, Step.RELOAD, Step.VERIFY, Step.REMEMBER)
    ending = (Step.END_LEFTOVERS,) if observed.leftovers else ()
    return (*placing, *ending, Step.START, Step.VERIFY, Step.REMEMBER)


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long to leave an engine alone that failed: 1, 2, 4 … 30 s, back to none after a quiet time."""

    failures: int = 0
    until: float = 0.0

    LONGEST = 30.0
    QUIET = 60.0

    def after_failure(self, now: float) -> Patience:
        """Longer than last time; a failure long after the last one counts as the first."""
        failures = 1 if now > self.until + self.QUIET else self.failures + 1
        return Patience(failures, now + min(self.LONGEST, 2.0 ** (failures - 1)))

    def is_over(self, now: float) -> bool:
        """Whether to try again."""
        return now >= self.until
