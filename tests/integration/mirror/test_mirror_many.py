"""Many sources by one command: each by itself, under common limits."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stationmaster.testing import simulated_repositories as repositories

COMMAND = [str(Path(sys.executable).with_name("stationmaster")), "mirror"]


def lay_out(root: Path, name: str, stamp: int = 0, *, size: int = 2000, packages: int = 5) -> None:
    contents = {
        f"p/{name}-{n}-{stamp if not n else 0}.rpm": f"{name}{n}{stamp}".encode() * size for n in range(packages)
    }
    for path, content in repositories.rpm_repository(contents, timestamp=1_700_000_000 + stamp).items():
        target = root / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def sync(config: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [*COMMAND, "sync", "--config", config, "--json", *options], capture_output=True, text=True, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def config(upstream: Any, volume: Path, tmp_path: Path) -> Path:
    names = ["many-a", "many-b", "many-c"]
    for name in (*names, "absent"):
        shutil.rmtree(upstream.root / name, ignore_errors=True)
    for name in names:
        lay_out(upstream.root, name)
    tables = "".join(
        f'[[source]]\nname = "{name}"\nformat = "rpm"\nurl = "{upstream.url}{name}/"\n\n'
        for name in (names[0], "absent", *names[1:])
    )
    path = tmp_path / "mirror.toml"
    path.write_text(f'dest = "{volume}"\n[limits]\nrate = "100M"\nconnections = 2\nsources-at-once = 3\n\n{tables}')
    return path


def test_each_source_by_itself_and_one_object_for_each_in_order(config: Path, upstream: Any, volume: Path) -> None:
    status, found = sync(config)
    assert status == 1
    assert [(one["name"], one["state"]) for one in found] == [
        ("many-a", "SYNCED"), ("absent", "FAILED"), ("many-b", "SYNCED"), ("many-c", "SYNCED"),
    ]  # fmt: skip
    assert found[1]["error"]["code"] == "UpstreamUnavailable"
    assert found[0]["ledger"]["needed_files"] == 5
    assert len(list((volume / "published" / "many-c" / "p").iterdir())) == 5
    lay_out(upstream.root, "absent")
    lay_out(upstream.root, "many-b", 9)
    status, found = sync(config, "--dry-run")
    assert [one["state"] for one in found] == ["UNCHANGED", "PENDING", "PENDING", "UNCHANGED"]
    assert (status, found[2]["ledger"]["needed_files"]) == (0, 5)
    status, found = sync(config)
    assert (status, [one["state"] for one in found]) == (0, ["UNCHANGED", "SYNCED", "SYNCED", "UNCHANGED"])


def test_what_does_not_fit_beside_the_reserve_is_refused(config: Path) -> None:
    status, found = sync(config, "--reserve", "500T")
    assert status == 1
    assert {one["error"]["code"] for one in found} == {"WouldNotFit", "UpstreamUnavailable"}


def test_clean_and_status_tell_what_is_kept_and_until_when(config: Path, upstream: Any, volume: Path) -> None:
    config.write_text(config.read_text().replace("dest", "clean = true\ndest", 1) + "\n[retention]\ngenerations = 1\n")
    lay_out(upstream.root, "absent")
    for stamp in range(3):
        lay_out(upstream.root, "many-a", stamp)
        status, found = sync(config)
        assert (status, found[0]["state"]) == (0, "SYNCED")
    done = subprocess.run([*COMMAND, "status", "--dest", volume, "--json"], capture_output=True, check=True)
    generations = json.loads(done.stdout)["sources"][1]["generations"]
    assert [one["reason"] for one in generations] == [
        "superseded less than 3 days ago", "one of the newest 2", "the newest",
    ]  # fmt: skip
    assert [one["retained_until"] is None for one in generations] == [False, True, True]
    assert subprocess.run([*COMMAND, "status", "--dest", volume], capture_output=True, check=True).stdout


def test_an_interrupt_ends_all_in_good_order(config: Path, upstream: Any, volume: Path) -> None:
    for name in ("many-a", "many-b", "many-c", "absent"):
        lay_out(upstream.root, name, size=60_000, packages=9)
    config.write_text(config.read_text().replace(upstream.url, f"{upstream.url}slow/").replace('"100M"', '"2M"'))
    process = subprocess.Popen(
        [*COMMAND, "sync", "--config", config, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for _ in range(2000):
        if list((volume / ".stationmaster" / "incoming").glob("*/*.part")):
            break
        if process.poll() is not None:
            pytest.fail("it ended by itself")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
    process.send_signal(signal.SIGINT)
    output, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"the next run resumes" in said
    found = [json.loads(line) for line in output.splitlines()]
    assert len(found) == 4
    assert {one["error"]["code"] for one in found if one["error"]} == {"Stopped"}
    config.write_text(config.read_text().replace(f"{upstream.url}slow/", upstream.url).replace('"2M"', '"900M"'))
    assert sync(config)[0] == 0
