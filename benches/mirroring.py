"""`mirror sync` beside `wget` over one kept-alive connection: cold, no-op and incremental, on a repository made here.

The two take turns, and the ratio is the median over the turns, so that a machine that slows down slows both.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stationmaster.lab import rpm_plan, upstream_rpm, web

STATIONMASTER = Path(sys.executable).with_name("stationmaster")
PORT = 18980


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a command: wall seconds, seconds of processor, peak resident bytes."""

    wall: float
    processor: float
    peak_bytes: int
    stdout: str


def timed(arguments: Sequence[str | Path]) -> Run:
    """Run to the end and read the operating system's own accounting; a failure ends the bench."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(one) for one in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    stdout, stderr = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        raise SystemExit(f"{arguments[0]} failed: {stderr[-800:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, stdout)


@contextmanager
def served(site: Path, work: Path) -> Iterator[str]:
    """A real nginx with one worker on loopback."""
    configuration = work / "nginx.conf"
    configuration.write_text(web.render_nginx(site, work, port=PORT))
    process = subprocess.Popen(["nginx", "-p", work, "-e", work / "error.log", "-c", configuration])
    try:
        time.sleep(0.5)
        yield f"http://127.0.0.1:{PORT}/rpm/"
    finally:
        process.terminate()
        process.wait(10)


def sync(url: str, destination: Path, key: Path) -> tuple[Run, dict[str, object]]:
    """One `mirror sync --json`."""
    run = timed(
        [
            STATIONMASTER,
            "mirror",
            "sync",
            "--format",
            "rpm",
            "--url",
            url,
            "--name",
            "bench",
            "--dest",
            destination,
            "--gpg-key",
            key,
            "--json",
        ]
    )
    return run, json.loads(run.stdout)


def fresh_mirror(destination: Path) -> None:
    """An empty marked volume."""
    subprocess.run([STATIONMASTER, "mirror", "init", "--dest", destination], check=True, stdout=subprocess.DEVNULL)


def wget_list(site: Path, url: str, target: Path) -> None:
    """The addresses of all files, for `wget -i`."""
    base = (site / "rpm").resolve()
    paths = sorted(path.relative_to(base) for path in base.rglob("*") if path.is_file())
    target.write_text("".join(f"{url}{path}\n" for path in paths))


def measure(work: Path, cache: Path, *, packages: int, turns: int) -> list[tuple[str, str]]:
    """All figures as rows of name and value."""
    site = work / "site"
    site.mkdir(parents=True)
    plan = rpm_plan.plan_packages(packages, big_bytes=8 << 20)
    upstream = upstream_rpm.prepare(site, cache, plan)
    key = site / "keys" / "rpm.asc"
    rows: list[tuple[str, str]] = []
    with served(site, work) as url:
        names, mirror = work / "wget.txt", work / "mirror"
        wget_list(site, url, names)
        cold, fetched, peak, answer = [], [], 0, {}
        for turn in range(turns):
            # New places each time: ext4 does not take inodes again that were freed lately, and looks at each of them
            # in vain, which cost whoever came after an `rm -r` 0.3 ms a file.
            mirror, copy = work / f"mirror-{turn}", work / f"wget-{turn}"
            os.sync()  # ours brings its files to the disk before it publishes: not those of others, too
            fetched.append(timed(["wget", "-q", "-P", copy, "-i", names]).wall)
            fresh_mirror(mirror)
            os.sync()
            run, answer = sync(url, mirror, key)
            cold.append(run.wall)
            peak = max(peak, run.peak_bytes)
        ratios = [ours / theirs for ours, theirs in zip(cold, fetched, strict=True)]
        size = int(str(answer["bytes_downloaded"])) / 1e6
        rows += [
            ("repository", f"{answer['packages']} packages, {size:.0f} MB"),
            ("cold sync, verified and published", f"{statistics.median(cold):.2f} s, peak {peak / 1e6:.0f} MB"),
            ("wget, one connection", f"{statistics.median(fetched):.2f} s"),
            ("cold sync / wget", f"{statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})"),
        ]
        idle = [sync(url, mirror, key) for _ in range(max(5, turns))]
        rows.append(
            (
                "no-op sync, whole command",
                f"{statistics.median(run.wall for run, _ in idle):.3f} s, {idle[-1][1]['requests']} requests",
            )
        )
        changed = [package.name for package in plan if package.name.startswith("lab-app")][:30]
        upstream.publish_update(dict.fromkeys(changed, "2.0"))
        run, answer = sync(url, mirror, key)
        downloaded = int(str(answer["bytes_downloaded"])) / 1e6
        rows.append(("incremental sync, 30 packages added", f"{run.wall:.2f} s, {downloaded:.1f} MB"))
    return rows
