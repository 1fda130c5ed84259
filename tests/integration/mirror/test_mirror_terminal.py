"""Manners of `mirror …`: one line for a failure, one object for a program, bars for a terminal alone."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from stationmaster.testing import hostile_upstream
from stationmaster.testing import simulated_repositories as repositories

COMMAND = [str(Path(sys.executable).with_name("stationmaster")), "mirror"]
PACKAGES = {f"p/{number}.rpm": b"%d" % number * 50_000 for number in range(12)}


@pytest.fixture
def upstream() -> Iterator[hostile_upstream.HostileUpstream]:
    with hostile_upstream.HostileUpstream(repositories.rpm_repository(PACKAGES)) as made:
        yield made


def run(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip


@pytest.fixture
def sync(upstream: hostile_upstream.HostileUpstream, tmp_path: Path) -> tuple[object, ...]:
    assert run("init", "--dest", tmp_path / "mirror").returncode == 0
    return ("sync", "--format", "rpm", "--url", upstream.url, "--name", "el9", "--dest", tmp_path / "mirror")


def test_a_failure_is_one_line_that_says_all(
    upstream: hostile_upstream.HostileUpstream, sync: tuple[object, ...]
) -> None:
    assert run(*sync).returncode == 0
    upstream.files = repositories.rpm_repository({**PACKAGES, "p/new.rpm": b"honest"}, timestamp=1_700_000_900)
    wanted = hashlib.sha256(b"honest").hexdigest()
    upstream.files["p/new.rpm"] = b"forged"
    done = run(*sync)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [one for one in done.stderr.splitlines() if not re.match(r"el9: (root|meta|pack|pub|needs)", one)]
    for part in (
        "FAILED",
        "el9",
        "DigestMismatch",
        upstream.url + "p/new.rpm",
        wanted,
        "12 packages is still served",
    ):
        assert part in line, part
    assert "\x1b" not in done.stderr


def test_what_an_upstream_says_begins_no_line_and_moves_no_cursor(
    upstream: hostile_upstream.HostileUpstream, sync: tuple[object, ...]
) -> None:
    upstream.files["repodata/repomd.xml"] = (
        b'<repomd><data type="x&#10;SYNCED: el9&#x9b;2J"><location href="a&#x9b;2J"/>'
        b'<checksum type="md5&#10;SYNCED: el9&#x9b;2J">0</checksum></data></repomd>'
    )
    done = run(*sync)
    assert done.returncode == 1
    assert "\x9b" not in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith("SYNCED")]


def test_json_is_one_object_whatever_happens(tmp_path: Path, sync: tuple[object, ...]) -> None:
    volume = tmp_path / "mirror"
    bare = tmp_path / "bare"
    bare.mkdir()
    commands: list[tuple[tuple[object, ...], int]] = [
        ((*sync, "--json"), 0),
        ((*sync, "--json"), 0),
        (("verify", "--dest", volume, "--json"), 0),
        (("status", "--dest", volume, "--json"), 0),
        (("clean", "--dest", volume, "--json"), 0),
        (("init", "--dest", volume, "--json"), 1),
        (("verify", "--dest", bare, "--json"), 1),
        (("status", "--dest", bare, "--json"), 1),
        (("clean", "--dest", bare, "--json"), 1),
        ((*sync[:-1], bare, "--json"), 1),
        ((*sync[:4], "http://127.0.0.1:9/x", *sync[5:], "--json"), 1),
    ]
    for arguments, status in commands:
        done = run(*arguments)
        assert done.returncode == status, (arguments, done)
        assert isinstance(json.loads(done.stdout), dict), arguments
        assert done.stdout.count("\n") == 1
        if status:
            assert json.loads(done.stdout)["error"]["code"]
    assert run("sync", "--dest", volume, "--json").returncode == 2
    assert run("sync", "--dest", volume, "--json").stdout == ""


def on_a_terminal(*arguments: object, environment: dict[str, str], stop_at: bytes = b"") -> tuple[int, bytes, bytes]:
    """Exit status, standard output and what a terminal on standard error showed; interrupted when it shows a word."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=follower,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "150", **environment},
    )  # fmt: skip
    os.close(follower)
    shown = bytearray()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([leader], [], [], 0.2)[0]:
            continue
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other end is closed: Linux says EIO
            break
        if not piece:
            break
        shown += piece
        if stop_at and stop_at in shown:
            process.send_signal(signal.SIGINT)
            stop_at = b""
    output, _ = process.communicate(timeout=30)
    os.close(leader)
    return process.returncode, output, bytes(shown)


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}])
def test_bars_are_for_a_terminal(
    upstream: hostile_upstream.HostileUpstream, sync: tuple[object, ...], environment: dict[str, str]
) -> None:
    def late(stream: hostile_upstream.Stream, headers: Mapping[str, str]) -> None:
        time.sleep(0.5)
        hostile_upstream.file(PACKAGES["p/7.rpm"])(stream, headers)

    upstream.behaviour["p/7.rpm"] = late
    status, output, shown = on_a_terminal(*sync, environment=environment)
    assert status == 0
    assert output.startswith(b"SYNCED: el9 has 12 packages")
    assert b"el9: packages" in shown
    assert b"/12" in shown
    colours = re.findall(rb"\x1b\[[0-9;]*3[0-9][0-9;]*m", shown)
    assert bool(colours) is not bool(environment)
    assert b"\x1b[?25h" in shown  # the cursor is back


def test_nothing_but_words_without_a_terminal(sync: tuple[object, ...]) -> None:
    done = run(*sync, environment={"TERM": "xterm-256color"})
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("el9: ")]) <= 6


def test_ctrl_c_says_that_the_next_run_resumes(
    upstream: hostile_upstream.HostileUpstream, sync: tuple[object, ...]
) -> None:
    def slowly(stream: hostile_upstream.Stream, _: object) -> None:
        stream.write(b"HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n")
        for _piece in range(100):
            stream.write(b"x" * 500)
            time.sleep(0.1)

    upstream.behaviour["p/3.rpm"] = slowly
    status, output, shown = on_a_terminal(*sync, environment={}, stop_at=b"el9: packages")
    assert status == 1
    assert output == b""
    assert b"the next run resumes" in shown
    assert b"Stopped" in shown
    assert b"Traceback" not in shown
    upstream.behaviour.clear()
    assert run(*sync).returncode == 0
