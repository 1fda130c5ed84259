"""Programs: start one, wait for it, or keep it running. Arguments are lists; no shell is involved."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from stationmaster.model import errors


@dataclasses.dataclass(frozen=True)
class Completed:
    """A program that ended: exit status and what it said."""

    arguments: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def is_success(self) -> bool:
        """Whether the exit status was 0."""
        return self.status == 0

    def require_success(self, doing: str) -> Completed:
        """This, or a ProgramFailedError that says what was being done and the program's last words."""
        if self.is_success:
            return self
        words = (self.stderr.strip() or self.stdout.strip() or "it said nothing").splitlines()[-8:]
        raise errors.ProgramFailedError(
            f"{doing} failed: {self.arguments[0]} ended with status {self.status}: " + " / ".join(words)
        )


class RunningProgram:
    """A program left running in a session of its own, so that it can be stopped as a whole process group."""

    def __init__(self, process: subprocess.Popen[bytes], arguments: tuple[str, ...]) -> None:
        self._process = process
        self.arguments = arguments

    @property
    def pid(self) -> int:
        """Process id, equal to the process group id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Exit status, or None while it runs."""
        return self._process.poll()

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group; a group that is gone is fine."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def wait(self, timeout: float) -> int | None:
        """Exit status, or None when it still runs after ``timeout`` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, *, grace_seconds: float = 10.0) -> int:
        """SIGTERM, then SIGKILL after the grace; returns the exit status."""
        self.signal_group(signal.SIGTERM)
        status = self.wait(grace_seconds)
        if status is None:
            self.signal_group(signal.SIGKILL)
            status = self._process.wait()
        return status


class Programs:
    """The real programs of this host."""

    def find(self, name: str) -> Path | None:
        """Where ``name`` is installed, also in the administrator's directories; None when it is not."""
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
        return Path(found) if found else None

    def require(self, name: str) -> Path:
        """Where ``name`` is installed; ProgramMissingError when it is not."""
        found = self.find(name)
        if found is None:
            raise errors.ProgramMissingError(
                f"The program {name} is not installed on this host.", hint=f"Install the package that provides {name}."
            )
        return found

    def run(
        self,
        arguments: Sequence[str | Path],
        *,
        timeout: float = 60.0,
        stdin: str | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> Completed:
        """Run to the end; never raises for a bad exit status, only when it cannot start or does not end in time."""
        argv = tuple(str(argument) for argument in arguments)
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**os.environ, **(environment or {})},
                cwd=directory,
                start_new_session=True,
            )
        except FileNotFoundError as exc:
            raise errors.ProgramMissingError(
                f"Cannot start {argv[0]}: no such program.", hint=f"Install the package that provides {argv[0]}."
            ) from exc
        try:
            stdout, stderr = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired as exc:
            _kill(process)
            raise errors.ProgramFailedError(f"{argv[0]} did not end within {timeout:g} s and was killed.") from exc
        except BaseException:
            _kill(process)
            raise
        return Completed(argv, process.returncode, stdout, stderr)

    def start(
        self,
        arguments: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> RunningProgram:
        """Start and leave running in its own session; both output streams are added to ``log``."""
        argv = tuple(str(argument) for argument in arguments)
        with log.open("ab") as stream:
            try:
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    env={**os.environ, **(environment or {})},
                    cwd=directory,
                    start_new_session=True,
                )
            except FileNotFoundError as exc:
                raise errors.ProgramMissingError(
                    f"Cannot start {argv[0]}: no such program.", hint=f"Install the package that provides {argv[0]}."
                ) from exc
        return RunningProgram(process, argv)


def _kill(process: subprocess.Popen[str]) -> None:
    """End a program and what it started; it may have ended by itself this very moment."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # A daemon that it left in a session of its own may hold the pipes open for ever.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=5.0)


def signal_process(pid: int, number: signal.Signals) -> bool:
    """Signal a process that this one did not start (an nginx left by a predecessor); False when it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def executable_of(pid: int) -> Path | None:
    """What program a process runs, None when it is gone: a pid file alone proves nothing (engines.md, squid)."""
    try:
        return Path(f"/proc/{pid}/exe").readlink()
    except OSError:
        return None
