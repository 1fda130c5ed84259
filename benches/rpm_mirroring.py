"""`mirror sync` of an RPM repository beside `wget` over one kept-alive connection, and dnf reposync where it is."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

from benches import peers, running
from stationmaster.lab import rpm_plan, upstream_rpm

Rows = list[tuple[str, str]]
ADDED, REMOVED = 30, 20


def plan_packages(count: int) -> tuple[rpm_plan.Package, ...]:
    """Sizes as the reference figures had them: log-normal, median 80 kB, up to 8 MB, about 240 kB on average."""
    draw = random.Random(3)
    return tuple(
        rpm_plan.Package(
            f"bench-{number:05}", rpm_plan.FIRST_VERSION, min(8 << 20, int(draw.lognormvariate(11.29, 1.55))), number
        )
        for number in range(count)
    )


def measure(work: Path, cache: Path, *, packages: int, turns: int) -> Rows:
    """All figures as rows of name and value."""
    site = work / "site"
    site.mkdir(parents=True)
    plan = plan_packages(packages)
    upstream = upstream_rpm.prepare(site, cache, plan)
    with running.served(site, work):
        options = ("--format", "rpm", "--url", f"{running.URL}/rpm/", "--gpg-key", site / "keys" / "rpm.asc")
        rows, mirror = _cold(work, site, options, turns)
        rows += _resumed(work, options)
        idle = [running.sync(mirror, "bench", *options) for _ in range(max(5, turns))]
        rows.append(("RPM no-op, whole command", f"{running.seconds(idle)}, {idle[-1].told['requests']} requests"))
        rows += _incremental(upstream, mirror, plan, options, turns)
    return rows


def _cold(work: Path, site: Path, options: tuple[str | Path, ...], turns: int) -> tuple[Rows, Path]:
    ours, theirs, synced = [], [], []
    mirror = work / "mirror-0"
    for turn in range(turns):
        # New places each time: ext4 does not take inodes again that were freed lately, and looks at each of them in
        # vain, which cost whoever came after an `rm -r` 0.3 ms a file.
        mirror = running.fresh_mirror(work / f"mirror-{turn}")
        running.settle()
        theirs.append(peers.wget(site / "rpm", work / f"wget-{turn}"))
        running.settle()
        ours.append(running.sync(mirror, "bench", *options))
        running.settle()
        if (other := peers.reposync(work / f"reposync-{turn}")) is not None:
            synced.append(other)
    told, processor = ours[-1].told, sorted(run.processor for run in ours)[len(ours) // 2]
    rows = [
        ("RPM repository", f"{told['packages']} packages, {told['bytes_downloaded'] / 1e6:.0f} MB"),
        ("RPM cold, verified and published", f"{running.seconds(ours)}, {told['requests']} requests"),
        ("  processor, peak memory", f"{processor:.2f} s, {max(run.peak_bytes for run in ours) / 1e6:.0f} MB"),
        ("wget, one connection, verifies nothing", running.seconds(theirs)),
        ("RPM cold / wget", running.ratio(ours, theirs)),
        ("  the same of processor time", running.processor_ratio(ours, theirs)),
        ("RPM cold / dnf reposync", running.ratio(ours, synced) if synced else "not to be had on this system"),
    ]
    return rows, mirror


def _resumed(work: Path, options: tuple[str | Path, ...]) -> Rows:
    """Killed when half of the bytes are there, then run again."""
    mirror = running.fresh_mirror(work / "resumed")
    process = subprocess.Popen(
        [running.STATIONMASTER, "mirror", "sync", "--name", "bench", "--dest", mirror, *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    pool, half = mirror / "pool" / "sha256", len(list((work / "wget-0").iterdir())) // 2
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline and sum(1 for _ in pool.glob("*/*")) < half:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    kept = sum(path.stat().st_size for path in pool.glob("*/*"))
    run = running.sync(mirror, "bench", *options)
    fetched = run.told["bytes_downloaded"]
    return [("RPM resumed at half", f"{run.wall:.2f} s, {fetched / 1e6:.0f} MB fetched, {kept / 1e6:.0f} MB kept")]


def _incremental(
    upstream: upstream_rpm.RpmUpstream,
    mirror: Path,
    plan: tuple[rpm_plan.Package, ...],
    options: tuple[str | Path, ...],
    turns: int,
) -> Rows:
    runs = []
    names = [package.name for package in plan]
    for turn in range(min(turns, len(names) // (ADDED + REMOVED))):
        first = turn * (ADDED + REMOVED)
        upstream.remove_packages(names[first : first + REMOVED])
        upstream.publish_update(dict.fromkeys(names[first + REMOVED : first + REMOVED + ADDED], "2.0"))
        running.settle()
        runs.append(running.sync(mirror, "bench", *options))
    told = runs[-1].told
    cost = f"{told['bytes_downloaded'] / 1e6:.1f} MB, {told['requests']} requests"
    return [(f"RPM incremental, {ADDED} added, {REMOVED} removed", f"{running.seconds(runs)}, {cost}")]
