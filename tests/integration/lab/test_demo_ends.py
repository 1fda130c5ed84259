import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stationmaster.lab import endings, lab, network, record
from stationmaster.lab.addressing import HostSpec

pytestmark = pytest.mark.lab

COMMAND = Path(sys.executable).parent / "stationmaster"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return tmp_path / "b"


def start_demo(base: Path) -> tuple[subprocess.Popen[str], record.LabRecord]:
    running = subprocess.Popen(
        [COMMAND, "demo", "--directory", base], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 20
    while not (found := record.find_records(base)):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while not (network.NAMESPACES / found[0].namespaces[-1]).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return running, found[0]


def assert_gone(made: record.LabRecord) -> None:
    assert not [name for name in made.namespaces if (network.NAMESPACES / name).exists()]
    assert not Path(made.directory).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_removes_what_it_made(base: Path, number: signal.Signals) -> None:
    running, made = start_demo(base)
    time.sleep(1.0)
    running.send_signal(number)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 130, output
    assert "Traceback" not in output
    assert_gone(made)


def test_what_a_killed_demo_left_is_removed_by_the_next_command(base: Path) -> None:
    running, made = start_demo(base)
    running.kill()
    running.communicate()
    assert (network.NAMESPACES / made.namespaces[0]).exists()
    answer = subprocess.run(
        [COMMAND, "demo", "--down", "--directory", base], capture_output=True, text=True, check=True
    )
    assert made.lab_id in answer.stdout
    assert_gone(made)
    again = subprocess.run([COMMAND, "demo", "--down", "--directory", base], capture_output=True, text=True, check=True)
    assert "nothing to remove" in again.stdout


def test_tidying_spares_labs_that_were_kept(base: Path) -> None:
    kept = lab.Lab.build((HostSpec("one"),), base=base, note={"kept": "yes"})
    left = lab.Lab.build((HostSpec("one"),), base=base)
    try:
        for made in (kept, left):
            made.notes.record.owner = record.ProcessRecord("", os.getpid(), 0)
            made.notes.save()
        assert endings.tidy(base) == [left.plan.lab_id]
        assert kept["one"].run(["true"]).is_success
    finally:
        kept.close()
        left.close()
