"""Volumes that fill, turn read-only, go away or are replaced in the middle of a sync by the real command.

Each lives in a mount namespace of its own, on a small tmpfs; nothing outside of it is touched.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stationmaster.testing import hostile_upstream
from stationmaster.testing import simulated_repositories as repositories

COMMAND = str(Path(sys.executable).with_name("stationmaster"))
FIRST = {f"p/{number}.rpm": b"%d" % number * 1000 for number in range(12)}
BIG = os.urandom(3_000_000)


class Namespace:
    """A shell in a mount namespace of its own, with a small tmpfs at ``place``."""

    def __init__(self, place: Path, size: str) -> None:
        self.place = place
        self._shell = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "/bin/sh"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._lock = threading.Lock()
        self.run(f"mount -t tmpfs -o size={size} none {shlex.quote(str(place))}")

    def run(self, line: str) -> str:
        """One line of shell; what it prints."""
        with self._lock:
            assert self._shell.stdin is not None
            assert self._shell.stdout is not None
            self._shell.stdin.write(f"{line} 2>&1; echo :$?:end\n")
            self._shell.stdin.flush()
            found = ""
            while ":end\n" not in found:
                found += self._shell.stdout.readline()
            output, _, status = found.rpartition(":end")[0].rpartition(":")
            assert status == "0" or line.startswith("{"), (line, found)
            return output

    @property
    def pid(self) -> int:
        return self._shell.pid

    def start(self, arguments: list[str]) -> subprocess.Popen[str]:
        """A program that lives in the namespace, while the shell goes on."""
        return subprocess.Popen(
            ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def close(self) -> None:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.close()
        self._shell.wait(20)
        self._shell.stdout.close()


pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("nsenter")), reason="makes mount namespaces"
)


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Namespace]:
    place = tmp_path / "mirror"
    place.mkdir()
    made = Namespace(place, "16m")
    made.run(f"{COMMAND} mirror init --dest {place}")
    yield made
    made.close()
    assert list(place.iterdir()) == []  # outside of the namespace nothing was ever written


@pytest.fixture
def upstream() -> Iterator[hostile_upstream.HostileUpstream]:
    with hostile_upstream.HostileUpstream(repositories.rpm_repository(FIRST)) as made:
        yield made


def sync(space: Namespace, upstream: hostile_upstream.HostileUpstream, *options: str) -> Any:
    """The command, in the namespace; the object that it prints."""
    process = space.start(
        [COMMAND, "mirror", "sync", "--format", "rpm", "--url", upstream.url, "--name", "src",
         "--dest", str(space.place), "--reserve", "1M", "--json", *options]
    )  # fmt: skip
    output, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors, errors
    return json.loads(output)


def shown(space: Namespace) -> str:
    return space.run(f"cd {space.place}/published/src/ && find -L . -type f -exec sha256sum {{}} + | sort -k2; cd /")


@pytest.fixture
def held(space: Namespace, upstream: hostile_upstream.HostileUpstream) -> str:
    """A volume that shows a good generation; then the upstream has something new, and big."""
    assert sync(space, upstream)["error"] is None
    before = shown(space)
    upstream.files = repositories.rpm_repository({**FIRST, "new/big.rpm": BIG}, timestamp=1_700_000_900)
    return before


def in_the_middle(upstream: hostile_upstream.HostileUpstream, happen: Callable[[], object]) -> None:
    """Half of the big package comes, then it happens, then the rest comes."""

    def converse(stream: hostile_upstream.Stream, _: object) -> None:
        stream.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(BIG))
        stream.write(BIG[: len(BIG) // 2])
        stream.flush()
        happen()
        stream.write(BIG[len(BIG) // 2 :])

    upstream.behaviour["new/big.rpm"] = [converse]


def test_full_before_it_begins(space: Namespace, upstream: hostile_upstream.HostileUpstream, held: str) -> None:
    space.run(f"head -c 13M /dev/zero > {space.place}/filler")
    found = sync(space, upstream)
    assert found["error"]["code"] == "WouldNotFit"
    assert "new/big.rpm" not in upstream.log
    assert shown(space) == held
    space.run(f"rm {space.place}/filler")
    assert sync(space, upstream)["error"] is None


def test_full_in_the_middle(space: Namespace, upstream: hostile_upstream.HostileUpstream, held: str) -> None:
    in_the_middle(upstream, lambda: space.run(f"{{ head -c 20M /dev/zero > {space.place}/filler; }}"))
    found = sync(space, upstream)
    assert found["error"]["code"] == "VolumeFull"
    assert shown(space) == held
    space.run(f"rm {space.place}/filler")
    again = sync(space, upstream)
    assert (again["state"], again["error"]) == ("SYNCED", None)
    assert shown(space) != held


def test_a_body_of_unknown_length_leaves_the_reserve(
    space: Namespace, upstream: hostile_upstream.HostileUpstream, held: str
) -> None:
    primary = repositories.primary_xml({**FIRST, "new/big.rpm": BIG}).replace(b'<size package="3000000"', b"<size")
    upstream.files = repositories.rpm_repository(FIRST, timestamp=1_700_000_900, primary=primary)
    upstream.behaviour["new/big.rpm"] = hostile_upstream.raw(
        lambda: iter([b"HTTP/1.1 200 OK\r\n\r\n", *([b"x" * 100_000] * 1000)])
    )
    assert sync(space, upstream)["error"]["code"] == "VolumeFull"
    assert shown(space) == held


def test_read_only_in_the_middle(
    space: Namespace, upstream: hostile_upstream.HostileUpstream, held: str, tmp_path: Path
) -> None:
    """By a read-only mount over it: a plain remount is refused while a file is open, and a failing disk asks nobody."""
    side = tmp_path / "side"
    side.mkdir()
    aside = f"mount --bind {space.place} {side} && mount -o remount,bind,ro {side}"
    in_the_middle(upstream, lambda: space.run(f"{aside} && mount --bind {side} {space.place}"))
    found = sync(space, upstream)
    assert found["error"]["code"] == "VolumeUnusable"
    assert "Read-only" in found["error"]["message"]
    assert "locks" not in found["error"]["message"]
    assert shown(space) == held
    assert sync(space, upstream)["error"]["code"] == "VolumeUnusable"
    space.run(f"umount {space.place}")
    assert sync(space, upstream)["error"] is None


def test_gone_in_the_middle(space: Namespace, upstream: hostile_upstream.HostileUpstream, held: str) -> None:
    """Lazily unmounted: what is open still works, what is opened anew is the bare mount point, which stays bare."""
    assert held
    in_the_middle(upstream, lambda: space.run(f"umount -l {space.place}"))
    found = sync(space, upstream)
    assert found["error"]["code"] in ("NotAVolume", "VolumeUnusable")
    assert space.run(f"ls -A {space.place}") == ""
    assert sync(space, upstream)["error"]["code"] == "NotAVolume"


def test_replaced_in_the_middle(space: Namespace, upstream: hostile_upstream.HostileUpstream, held: str) -> None:
    """Another volume lies there now: it is not ours to write."""
    assert held
    in_the_middle(
        upstream,
        lambda: space.run(
            f"mount -t tmpfs -o size=16m none {space.place} && {COMMAND} mirror init --dest {space.place}"
        ),
    )
    found = sync(space, upstream)
    assert found["error"]["code"] in ("NotAVolume", "VolumeUnusable")
    assert space.run(f"find {space.place} -name '*.rpm' -o -name 'repomd.xml' -o -path '*pool/*/*'") == ""
    space.run(f"umount {space.place}")
    assert shown(space) == held
    assert sync(space, upstream)["error"] is None
