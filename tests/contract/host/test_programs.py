"""Programs run, fail, hang and are stopped as a whole group."""

import os
import signal
import time
from pathlib import Path

import pytest

from stationmaster.host import programs
from stationmaster.model import errors


@pytest.fixture
def real() -> programs.Programs:
    return programs.Programs()


def test_run_keeps_status_and_both_streams(real: programs.Programs) -> None:
    done = real.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")
    with pytest.raises(errors.ProgramFailedError, match="Trying it failed: sh ended with status 3: err"):
        done.require_success("Trying it")


def test_missing_program_is_named(real: programs.Programs, tmp_path: Path) -> None:
    with pytest.raises(errors.ProgramMissingError, match="no-such-program"):
        real.run(["no-such-program"])
    with pytest.raises(errors.ProgramMissingError, match="no-such-program"):
        real.start(["no-such-program"], log=tmp_path / "log")
    with pytest.raises(errors.ProgramMissingError, match="no-such-program"):
        real.require("no-such-program")


def test_time_out_kills_the_whole_group(real: programs.Programs, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(errors.ProgramFailedError, match=r"did not end within 0\.5 s"):
        real.run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], timeout=0.5)
    assert_gone(int(pid_file.read_text()))


def test_started_program_stops_with_its_children(real: programs.Programs, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    running = real.start(
        ["sh", "-c", f"trap '' TERM; sleep 60 & echo $! > {pid_file}; wait; wait"], log=tmp_path / "log"
    )
    deadline = time.monotonic() + 5
    while not (pid_file.exists() and pid_file.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running.poll() is None
    assert running.stop(grace_seconds=0.3) in (-signal.SIGKILL, -signal.SIGTERM)
    assert_gone(int(pid_file.read_text()))
    running.signal_group(signal.SIGTERM)  # a group that is gone is fine


def test_executable_of_tells_what_a_pid_really_is() -> None:
    assert programs.executable_of(os.getpid()) == Path("/proc/self/exe").readlink()
    assert programs.executable_of(2**22 + 1) is None


def assert_gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} still runs")
