"""An upstream that never rests: every few seconds a package in a new version, and a sync ordered by an operator."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from stationmaster.lab.world import DEB, RPM, World
from stationmaster.model import errors

_ROOTS = {RPM: ("rpm", "repodata/repomd.xml"), DEB: ("deb", "dists/lab/InRelease")}


class Churn:
    """Publishes while its context lasts, except while it is held still."""

    def __init__(self, world: World, chance: random.Random, *, every: float = 4.0) -> None:
        self._world = world
        self._chance = chance
        self._every = every
        self._stop = threading.Event()
        self._turn = threading.Lock()
        self._is_held = False
        self._thread = threading.Thread(target=self._run, name="churn", daemon=True)
        self._versions = 1
        self.publications = 0

    def hold_still(self) -> None:
        """Publish nothing more, once what is being published is out."""
        self._turn.acquire()
        self._is_held = True

    def go_on(self) -> None:
        """Undo ``hold_still``."""
        self._is_held = False
        self._turn.release()

    def order_sync(self) -> bool:
        """Order a sync of both sources, as a person would, of any station; False when the hub did not take it."""
        try:
            order_sync(self._world, self._chance.choice(sorted(self._world.stations)))
        except errors.PeerError:
            return False
        return True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._is_held:
            self.go_on()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            with self._turn:
                if not self._stop.is_set():
                    self._publish()
                    self.order_sync()

    def _publish(self) -> None:
        world, self._versions = self._world, self._versions + 1
        version = f"{self._versions}.0"
        if world.rpm is not None and self._versions % 3:
            names = sorted({one.name for one in world.rpm.packages if one.name.startswith("lab-app-")})
            world.rpm.publish_update({self._chance.choice(names): version})
        elif world.deb_upstream is not None:
            names = sorted({one.name for one in world.deb_upstream.packages if one.name.startswith("labd-app-")})
            world.deb_upstream.publish_update({self._chance.choice(names): version})
        self.publications += 1


def newest_roots(world: World) -> Mapping[str, tuple[str, bytes]]:
    """For each source: the path of its root document below a generation, and what upstream has there now."""
    site = world.lab["up"].directory / "site"
    return {world.sources[kind]: (path, (site / name / path).read_bytes()) for kind, (name, path) in _ROOTS.items()}


def root_paths(world: World) -> Mapping[str, str]:
    """For each source, the path of its root document below a generation."""
    return {world.sources[kind]: path for kind, (_, path) in _ROOTS.items()}


def order_sync(world: World, name: str) -> None:
    """Order a sync of both sources at one station; PeerError when the hub does not take it."""
    wanted = world.desk.models.SynchronizeMirrorsDetails(software_source_list=list(world.sources.values()))
    world.desk.call("ManagementStationClient", "synchronize_mirrors", world.stations[name].station_id, wanted)
