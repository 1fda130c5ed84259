"""`mirror sync` of a DEB archive beside aptly with publish, debmirror and apt-mirror."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benches import peers, running
from stationmaster.lab import deb_plan, upstream_deb

Rows = list[tuple[str, str]]
Runs = dict[str, list[running.Run]]
ADDED, REMOVED = 30, 20
OURS = "stationmaster"


def measure(work: Path, cache: Path, *, packages: int, turns: int) -> Rows:
    """All figures as rows of name and value."""
    site = work / "site"
    site.mkdir(parents=True)
    plan = deb_plan.plan_packages(packages, big_bytes=8 << 20)
    upstream = upstream_deb.prepare(site, cache, plan)
    cold: Runs = {}
    with running.served(site, work):
        tools: list[peers.Peer] = []
        for turn in range(turns):
            tools = _tools(work / f"turn-{turn}", site / "keys" / "deb.asc", upstream.architecture)
            _take_turns(tools, cold)
        told = cold[OURS][-1].told
        rows = [("DEB archive", f"{told['packages']} packages, {told['bytes_downloaded'] / 1e6:.0f} MB")]
        rows += _table("DEB cold", cold)
        idle: Runs = {}
        for _ in range(turns):
            _take_turns(tools, idle)
        rows += _table("DEB no-op", idle)
        changed: Runs = {}
        for turn in range(turns):
            _change(upstream, plan, turn)
            _take_turns(tools, changed)
        rows += _table(f"DEB incremental, {ADDED} added, {REMOVED} removed", changed)
    return rows


def _tools(place: Path, key: Path, architecture: str) -> list[peers.Peer]:
    mirror = running.fresh_mirror(place / "ours")
    options = ("--format", "deb", "--url", f"{running.URL}/deb/", "--suite", upstream_deb.SUITE, "--component", "main",
               "--arch", architecture, "--gpg-key", key)  # fmt: skip
    ours: Callable[[], running.Run] = lambda: running.sync(mirror, "bench", *options)  # noqa: E731
    return [peers.Peer(OURS, ours), *peers.deb_peers(place, key, architecture)]


def _take_turns(tools: list[peers.Peer], runs: Runs) -> None:
    for tool in tools:
        running.settle()
        runs.setdefault(tool.name, []).append(tool.sync())


def _table(what: str, runs: Runs) -> Rows:
    ours = runs[OURS]
    told = ours[-1].told
    cost = f"{told['bytes_downloaded'] / 1e6:.1f} MB, {told['requests']} requests"
    peak = max(run.peak_bytes for run in ours) / 1e6
    rows = [(what, f"{running.seconds(ours)}, {cost}, {peak:.0f} MB memory")]
    for name, others in runs.items():
        if name != OURS:
            rows.append((f"  {name}; ours / {name}", f"{running.seconds(others)}; {running.ratio(ours, others)}"))
    rows += [(f"  {name}", "not installed") for name in ("aptly", "debmirror", "apt-mirror") if name not in runs]
    return rows


def _change(upstream: upstream_deb.DebUpstream, plan: tuple[deb_plan.Package, ...], turn: int) -> None:
    names = [package.name for package in plan]
    first = turn * (ADDED + REMOVED)
    gone = set(names[first : first + REMOVED])
    upstream.packages = [package for package in upstream.packages if package.name not in gone]
    upstream.publish_update(dict.fromkeys(names[first + REMOVED : first + REMOVED + ADDED], "2.0"))
