"""The command is killed at seeded moments; what is shown is whole at each, and in the end everything is there."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stationmaster.testing import mirror_bench
from stationmaster.testing import simulated_repositories as repositories

COMMAND = [str(Path(sys.executable).with_name("stationmaster")), "mirror"]


def write(root: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def start(upstream: Any, dest: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "sync", "--format", "rpm", "--url", f"{upstream.url}slow/{name}", "--name", name,
         "--dest", dest, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_any_moment_it_resumes(upstream: Any, volume: Path, seed: int) -> None:
    chance = random.Random(seed)
    name = f"kill{seed}"
    former = {f"p/{number}.rpm": chance.randbytes(60_000) for number in range(40)}
    present = {**former, "p/0.rpm": chance.randbytes(60_000), "p/new.rpm": chance.randbytes(6_000_000)}
    generations = [
        repositories.rpm_repository(packages, timestamp=1_700_000_000 + number)
        for number, packages in enumerate((former, present))
    ]
    kills = downloaded = 0
    for files in generations:
        write(upstream.root / name, files)
        while True:
            process = start(upstream, volume, name)
            time.sleep(0.25 + chance.random() * 0.2 * (2 + kills))  # a busy machine needs longer merely to start
            process.send_signal(signal.SIGKILL)
            output, errors = process.communicate()
            shown = mirror_bench.tree_of(volume / "published" / name)
            if root := shown.get("repodata/repomd.xml"):
                (meant,) = (one for one in generations if one["repodata/repomd.xml"] == root)
                assert {**shown, **meant} == shown
            if process.returncode != -signal.SIGKILL:
                break
            kills += 1
            assert kills < 80
        result = json.loads(output)
        assert (result["state"], result["error"]) in (("SYNCED", None), ("UNCHANGED", None)), errors
        downloaded += result["bytes_downloaded"]
        shown = mirror_bench.tree_of(volume / "published" / name)
        assert {**shown, **files} == shown
    assert kills > 1
    done = subprocess.run([*COMMAND, "verify", "--dest", volume, "--json"], capture_output=True, check=False)
    assert json.loads(done.stdout)["findings"] == []


def test_an_interrupt_ends_in_good_order_and_a_second_writer_is_told(upstream: Any, volume: Path) -> None:
    files = repositories.rpm_repository({"big.rpm": os.urandom(12_000_000)})
    write(upstream.root / "stop", files)
    process = start(upstream, volume, "stop")
    deadline = time.monotonic() + 20
    while not list((volume / ".stationmaster/incoming").glob("stop/*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = start(upstream, volume, "stop")
    output, _ = second.communicate(timeout=30)
    assert json.loads(output)["error"]["code"] == "SyncRunning"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert json.loads(output)["error"]["code"] == "Stopped"
    assert "resumes" in errors
    resumed = start(upstream, volume, "stop")
    output, _ = resumed.communicate(timeout=60)
    result = json.loads(output)
    assert result["state"] == "SYNCED"
    assert result["bytes_downloaded"] < 12_000_000
