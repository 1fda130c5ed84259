"""SIGKILL at seeded effects of the real command: clients see a whole generation or none, and the next run resumes.

``make kill POINTS=n`` chooses more points.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

POINTS = int(os.environ.get("STATIONMASTER_KILL_POINTS", "100"))
SOURCE = "src"
ROOTS = ("repodata/repomd.xml", "dists/stable/InRelease")
Tree = dict[str, bytes]

BIG = bytes(range(256)) * 4000  # a megabyte, in several pieces
FIRST = {f"Packages/p{number}.rpm": b"%d" % number * 400 for number in range(8)} | {"Packages/big.rpm": BIG}
ADDED = {path: body for path, body in FIRST.items() if path != "Packages/p1.rpm"} | {"n/new.rpm": BIG[::-1]}
COLLIDING = {**FIRST, "Packages/p0.rpm": b"other" * 99, "Packages/p7.rpm": b"!" * 400}
INSIDE = {**FIRST, "repodata/x.rpm": b"x" * 50}


class Driver:
    """The process that forks and kills."""

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        with errors.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stationmaster.testing.kill_driver"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def run(self, volume: Path, *arguments: object, effects: int | None = None) -> tuple[int, Any, int]:
        """Exit status (negative: the signal), the object that was printed, and how many effects there were."""
        order = {"arguments": ["mirror", *map(str, arguments), "--dest", str(volume), "--json"], "below": str(volume)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**order, "effects": effects}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["status"], json.loads(answer["output"] or "null"), answer["count"]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    made = Driver(tmp_path_factory.mktemp("driver") / "errors")
    yield made
    made.close()


@dataclasses.dataclass
class Scene:
    """A volume as it was before, the command that is killed, and the trees that clients may see."""

    driver: Driver
    site: simulated_upstream.Site
    sync: tuple[object, ...]
    home: Path
    whole: list[Tree]

    def start_from(self) -> Path:
        """A fresh copy of the volume."""
        target = self.home / "now"
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", self.home / "start", target], check=True)
        return target

    def shown(self, volume: Path) -> Tree:
        return mirror_bench.tree_of(volume / "published" / SOURCE)

    def require_whole_or_none(self, volume: Path, *, is_none_fine: bool) -> None:
        shown = self.shown(volume)
        root = next((shown[path] for path in ROOTS if path in shown), None)
        if root is None:
            assert is_none_fine
            return
        (meant,) = (one for one in self.whole if any(one.get(path) == root for path in ROOTS))
        lacking = [path for path, content in meant.items() if shown.get(path) != content]
        assert not lacking


def rpm(packages: Tree, stamp: int) -> Tree:
    return repositories.rpm_repository(packages, timestamp=1_700_000_000 + stamp, further={"updateinfo": b"<u/>"})


def deb(packages: Tree, day: int) -> Tree:
    renamed = {f"pool/{path.replace('/', '-')}": body for path, body in packages.items()}
    return repositories.deb_archive(renamed, date=f"Tue, {day:02} Nov 2022 22:13:20 UTC")


def content_of(volume: Path) -> list[str]:
    """Every path, without the records of who wrote, and without small files whose writing was cut short."""
    cut = re.compile(r"\..+\.[a-z0-9_]{8}")
    paths = [str(path.relative_to(volume)) for path in volume.rglob("*") if not cut.fullmatch(path.name)]
    return sorted(one for one in paths if not one.startswith((".stationmaster/locks/", ".stationmaster/writers/")))


def held_whole(volume: Path) -> int:
    """Bytes that need not come again."""
    paths = [*volume.glob("pool/sha256/*/*"), *volume.glob(".stationmaster/incoming/*/*.part")]
    return sum(path.stat().st_size for path in paths)


SCENES: dict[str, tuple[Tree | None, Tree]] = {
    "rpm-cold": (None, rpm(FIRST, 0)),
    "rpm-incremental": (rpm(FIRST, 0), rpm(ADDED, 9)),
    "rpm-collision": (rpm(FIRST, 0), rpm(COLLIDING, 9)),
    "rpm-inside-metadata": (rpm(FIRST, 0), rpm(INSIDE, 9)),
    "deb-cold": (None, deb(FIRST, 1)),
    "deb-incremental": (deb(FIRST, 1), deb(ADDED, 8)),
    "deb-collision": (deb(FIRST, 1), deb(COLLIDING, 8)),
}
COUNT = len(SCENES) + 3


@pytest.fixture
def scene(driver: Driver, tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    with simulated_upstream.SimulatedUpstream(simulated_upstream.Site()) as upstream:

        def build(*generations: Tree | None) -> Scene:
            """A volume that holds all but the last of the generations; the last is at the upstream."""
            target = generations[-1]
            assert target is not None
            kind = ("--format", "deb", "--suite", "stable", "--component", "main", "--arch", "amd64")
            options = kind if ROOTS[1] in target else ("--format", "rpm")
            sync = ("sync", *options, "--url", upstream.url, "--name", SOURCE)
            made = Scene(driver, upstream.site, sync, tmp_path, [])
            made.whole += [one for index, one in enumerate(generations) if one and one not in generations[:index]]
            assert driver.run(tmp_path / "start", "init")[0] == 0
            for former in generations[:-1]:
                if former:
                    upstream.site.files = former
                    assert driver.run(tmp_path / "start", *sync)[1]["error"] is None
            upstream.site.files = target
            return made

        yield build


def points(name: str, count: int, wanted: int) -> list[int]:
    """Seeded effects, the first and the last among them."""
    chance = random.Random(name)
    return sorted({0, count - 1, *chance.sample(range(count), min(wanted, count))})


@pytest.mark.parametrize("name", sorted(SCENES))
def test_killed_syncs(scene: Callable[..., Scene], name: str) -> None:
    former, target = SCENES[name]
    here = scene(former, target)
    volume = here.start_from()
    status, whole, count = here.driver.run(volume, *here.sync)
    assert (status, whole["state"]) == (0, "SYNCED")
    for effects in points(name, count, POINTS // COUNT):
        volume = here.start_from()
        began = held_whole(volume)
        status, _, _ = here.driver.run(volume, *here.sync, effects=effects)
        if status != -signal.SIGKILL:
            assert status == 0  # threads did it in fewer effects
            continue
        here.require_whole_or_none(volume, is_none_fine=former is None)
        saved = held_whole(volume) - began
        status, resumed, _ = here.driver.run(volume, *here.sync)
        assert (status, resumed["error"]) == (0, None), (effects, resumed)
        assert resumed["bytes_downloaded"] <= whole["bytes_downloaded"] - max(0, saved) + 1000, effects
        shown = here.shown(volume)
        assert {**shown, **target} == shown, effects
        assert here.driver.run(volume, "verify")[1]["state"] == "OK", effects


def test_killed_while_the_upstream_republishes(scene: Callable[..., Scene]) -> None:
    first, second, third = rpm(FIRST, 0), rpm(ADDED, 9), rpm(COLLIDING, 20)
    here = scene(first, second)
    here.whole.append(third)

    def republish(path: str) -> None:
        if path == "n/new.rpm":
            here.site.files = third

    here.site.on_request = republish
    count = here.driver.run(here.start_from(), *here.sync)[2]
    for effects in points("republish", count, POINTS // COUNT // 2):
        here.site.files = second
        volume = here.start_from()
        here.driver.run(volume, *here.sync, effects=effects)
        here.require_whole_or_none(volume, is_none_fine=False)
        assert here.driver.run(volume, *here.sync)[1]["error"] is None, effects
        shown = here.shown(volume)
        assert {**shown, **third} == shown, effects
        assert here.driver.run(volume, "verify")[1]["state"] == "OK", effects


def test_killed_repairs(scene: Callable[..., Scene]) -> None:
    files = rpm(FIRST, 0)
    here = scene(files, files)
    start = here.home / "start"
    for path in ("Packages/p1.rpm", "Packages/big.rpm"):
        (start / "published" / SOURCE / path).write_bytes(b"damaged")
    (start / "published" / SOURCE / "Packages/p2.rpm").unlink()
    next(start.glob("generations/src/*/tree/repodata/*updateinfo*")).write_bytes(b"damaged")
    count = here.driver.run(here.start_from(), "verify", "--repair")[2]
    for effects in points("repair", count, POINTS // COUNT):
        volume = here.start_from()
        status, _, _ = here.driver.run(volume, "verify", "--repair", effects=effects)
        assert status in (-signal.SIGKILL, 0)
        shown = here.shown(volume)
        assert all(content in (files[path], b"damaged") for path, content in shown.items() if path in files), effects
        assert here.driver.run(volume, "verify", "--repair")[1]["state"] in ("OK", "REPAIRED"), effects
        shown = here.shown(volume)
        assert {**shown, **files} == shown, effects
        assert here.driver.run(volume, "verify")[1]["state"] == "OK", effects


def test_killed_cleanings(scene: Callable[..., Scene]) -> None:
    """What is shown stays whole at each point, and the next cleaning frees what the first would have."""
    trees = [rpm({**FIRST, f"old/{number}.rpm": b"%d" % number * 5000}, number) for number in range(5)]
    here = scene(*trees, trees[-1])
    start = here.home / "start"
    for number, record in enumerate(
        sorted(start.glob("generations/src/*/held.json"), key=lambda one: one.stat().st_mtime_ns)
    ):
        record.write_text(json.dumps({"since": time.time() - 86400 * (40 - number)}))
    volume = here.start_from()
    count = here.driver.run(volume, "clean")[2]
    cleaned = content_of(volume)
    assert len(list(volume.glob("generations/src/*"))) == 2
    for effects in points("clean", count, POINTS // COUNT):
        volume = here.start_from()
        status, _, _ = here.driver.run(volume, "clean", effects=effects)
        assert status in (-signal.SIGKILL, 0)
        here.require_whole_or_none(volume, is_none_fine=False)
        status, told, _ = here.driver.run(volume, "clean")
        assert status == 0, (effects, told, here.driver.errors.read_text()[-2000:])
        here.require_whole_or_none(volume, is_none_fine=False)
        left = content_of(volume)
        assert left == cleaned, (effects, sorted(set(left) - set(cleaned)), sorted(set(cleaned) - set(left)))
        assert here.driver.run(volume, "verify")[1]["state"] == "OK", effects


def test_there_are_at_least_a_hundred_points() -> None:
    chosen = POINTS // COUNT
    assert sum(len(points(name, 10_000, chosen)) for name in map(str, range(COUNT))) >= 100 or POINTS < 100
