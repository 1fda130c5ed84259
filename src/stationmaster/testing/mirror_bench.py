"""A mirror engine on a volume in a directory, in front of an upstream in memory: the start of most of its tests."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.mirror import engine, exchange, failures, outcome, retry, source, volume
from stationmaster.testing import crashing_files, manual_clock, simulated_upstream

BASE = "http://upstream.test/"


@dataclasses.dataclass
class Bench:
    """An engine on a volume in a temporary directory, in front of a site that has no socket."""

    site: simulated_upstream.Site
    volume: volume.Volume
    clock: manual_clock.ManualClock
    engine: engine.Engine
    root: Path

    def sync(
        self,
        name: str = "src",
        *,
        keys: tuple[bytes, ...] = (),
        mirrors: tuple[str, ...] = (),
        package_keys: tuple[bytes, ...] = (),
        publish_alone: bool = True,
        expected_generation: str | None = None,
        policy: outcome.SyncPolicy | None = None,
    ) -> outcome.SyncOutcome:
        """Sync the site as an RPM repository."""
        return self.engine.sync(
            self.volume,
            source.RpmSource(name, BASE, keys, mirrors, package_keys=package_keys),
            publish_alone=publish_alone,
            expected_generation=expected_generation,
            policy=policy,
        )

    def sync_deb(
        self,
        suites: tuple[str, ...] = ("stable",),
        *,
        components: tuple[str, ...] = ("main",),
        architectures: tuple[str, ...] = ("amd64",),
        keys: tuple[bytes, ...] = (),
        mirrors: tuple[str, ...] = (),
        policy: outcome.SyncPolicy | None = None,
    ) -> outcome.SyncOutcome:
        """Sync the site as a DEB archive, by the name ``src``, too."""
        wanted = source.DebSource("src", BASE, suites, components, architectures, keys, mirrors)
        return self.engine.sync(self.volume, wanted, policy=policy)

    def published(self, name: str = "src") -> dict[str, bytes]:
        """What a web server would serve of a source."""
        return tree_of(self.volume.published(name))


def tree_of(directory: Path) -> dict[str, bytes]:
    """What a web server would serve, links followed; dangling ones are 404."""
    found: dict[str, bytes] = {}
    if not directory.exists():
        return found
    for entry in directory.iterdir():
        if entry.name == ".metadata":
            continue
        if entry.is_dir():
            found |= {f"{entry.name}/{path}": content for path, content in tree_of(entry).items()}
        elif entry.exists():
            found[entry.name] = entry.read_bytes()
    return found


def make_bench(
    root: Path,
    site: simulated_upstream.Site,
    *,
    files: host_files.Files | None = None,
    further: Mapping[str, simulated_upstream.Site] | None = None,
) -> Bench:
    """An engine of one thread, so that its effects come in one order; ``further`` sites by their base addresses."""
    clock = manual_clock.ManualClock()
    real = crashing_files.CrashingFiles()  # never crashes, and does not wait for the disk
    try:
        place = volume.open_volume(files or real, root)
    except failures.NotAVolumeError:
        volume.init_volume(real, root, clock)
        place = volume.open_volume(files or real, root)
    http = simulated_upstream.MemoryHttp({BASE: site, **(further or {})}, wait=clock.sleep)
    policy = exchange.FetchPolicy(retry=retry.RetryPolicy(attempts=3, first_delay=0.1))
    machine = engine.Engine(files or real, http, clock, jitter=random.Random(1), connections=1, fetch_policy=policy)
    return Bench(site, place, clock, machine, root)
