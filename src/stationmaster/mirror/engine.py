"""The one entry: sync a source onto a volume. Decides the order of a sync; what each step does lies beside it.

A no-op asks for the root document only and takes no lock. Everything else happens under the source's lock: guards,
staging, publishing. When the upstream changes meanwhile, it starts again from the root, a bounded number of times.
"""

from __future__ import annotations

import dataclasses
import random
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import (
    catalog,
    exchange,
    failures,
    fetch,
    incoming,
    lock,
    manifest,
    order,
    outcome,
    remembered,
    signed,
    source,
    ways,
)
from stationmaster.mirror import ledger as ledgers
from stationmaster.mirror import limits as shared_limits
from stationmaster.mirror import upstream as upstreams
from stationmaster.mirror import volume as volumes
from stationmaster.model import errors

if TYPE_CHECKING:
    from stationmaster.mirror import stage


class Engine:
    """Syncs sources; holds no state between two syncs, so one engine serves several threads."""

    def __init__(
        self,
        files: host_files.Files,
        http: exchange.HttpDoor,
        clock: clocks.Clock,
        *,
        jitter: random.Random | None = None,
        connections: int = 8,
        fetch_policy: exchange.FetchPolicy | None = None,
        limits: shared_limits.Limits | None = None,
    ) -> None:
        """``limits``: what several engines of a process may take of the network together."""
        self._limits = limits or shared_limits.Limits(clock)
        self._files = files
        self._http = http
        self._clock = clock
        self._jitter = jitter or random.Random()
        self._connections = connections
        self._fetch_policy = fetch_policy

    def through(self, http: exchange.HttpDoor) -> Engine:
        """The same engine behind another door: for a source whose upstream wants credentials (``access.opened``)."""
        return Engine(
            self._files,
            http,
            self._clock,
            jitter=self._jitter,
            connections=self._connections,
            fetch_policy=self._fetch_policy,
            limits=self._limits,
        )

    def sync(
        self,
        volume: volumes.Volume,
        source: source.Source,
        *,
        progress: outcome.Listener = outcome.ignore_progress,
        stop: threading.Event | None = None,
        publish_alone: bool = True,
        expected_generation: str | None = None,
        policy: outcome.SyncPolicy | None = None,
    ) -> outcome.SyncOutcome:
        """Bring the upstream's present generation whole onto the volume; never raises for upstream or volume.

        ``publish_alone``: also switch ``published/<source>`` to it; a station leaves that out. With
        ``expected_generation`` another one found at the address is refused (a follower copies what the leader staged),
        and one that is held costs no request.
        """
        stop, policy = stop or threading.Event(), policy or outcome.SyncPolicy()
        fetching = self._fetch_policy or exchange.FetchPolicy()
        fetcher = fetch.Fetcher(
            self._files,
            self._http,
            self._clock,
            jitter=self._jitter,
            stop=stop,
            policy=dataclasses.replace(fetching, reserve_bytes=policy.reserve_bytes),
            shared=self._limits,
        )
        wanted = order.Order(source, progress, publish_alone, expected_generation, policy, stop)
        run = _Run(self._files, volume, self._clock, fetcher, wanted, self._connections, self._limits.room)
        try:
            with failures.translated_os_errors(volume.root):
                return run.sync()
        except errors.StationmasterError as exc:
            return run.failed(exc)


class _Run:
    """One sync."""

    def __init__(
        self,
        files: host_files.Files,
        volume: volumes.Volume,
        clock: clocks.Clock,
        fetcher: fetch.Fetcher,
        wanted: order.Order,
        connections: int,
        room: ledgers.Grants,
    ) -> None:
        self._room = room
        self._ledger: ledgers.Ledger | None = None
        self._files = files
        self._volume = volume
        self._clock = clock
        self._fetcher = fetcher
        self._listener = wanted.progress
        self._order = dataclasses.replace(wanted, progress=self._listen)
        self._connections = connections
        self._name = wanted.source.name
        self._warnings: tuple[str, ...] = ()
        self._lock: lock.SourceLock | None = None
        self._check = signed.PackageCheck(files, volume, wanted.source)

    def sync(self) -> outcome.SyncOutcome:
        self._volume.require()
        held = self._held(self._order.expected) if self._order.expected else None
        if held is not None:
            return self._outcome(outcome.State.UNCHANGED, held)
        way = ways.open_way(self._volume, self._clock, self._fetcher, self._order)
        if (held := self._held(way.seeker.read_list())) is not None:
            return self._outcome(outcome.State.UNCHANGED, held)
        root = self._noted(way.seeker.first())
        if (held := self._held(root.generation)) is not None:
            return self._outcome(outcome.State.UNCHANGED, held)
        self._volume.require()  # the root took its time; the lock makes directories
        policy = self._order.policy
        watch = lock.Watch(self._clock, self._order.stop, self._tell, policy.token, policy.lapse_seconds)
        with lock.SourceLock(self._files, self._volume.control, self._name, watch=watch) as self._lock:
            lock.require_no_cleaning(self._volume.control, watch)
            self._volume = incoming.take_up(self._files, self._volume, self._name, self._lock.epoch)
            return self._sync_locked(way, root)

    def failed(self, error: errors.StationmasterError) -> outcome.SyncOutcome:
        """The outcome of a failure: what is held stays as it was."""
        try:
            former = catalog.newest_header(self._volume, self._name)
        except OSError:
            former = None
        return self._outcome(outcome.State.FAILED, former, error)

    def _sync_locked(self, way: ways.Way, root: upstreams.Root) -> outcome.SyncOutcome:
        for _ in range(self._order.policy.restarts + 1):
            way.seeker.require_not_older(root)
            held = catalog.find_header(self._volume, self._name, root.generation)
            if held is not None and self._order.policy.is_dry:
                return self._pending()
            if held is not None:  # another run brought it, or it is held and not shown
                return self._publish(self._volume.generation(self._name, root.generation), held, way, root)
            try:
                staged = self._stage(way, way.repository.complete_root(root))
                if staged is None:
                    return self._pending()
                self._warnings = (*root.warnings, *way.repository.late_warnings())
                return self._publish(staged.directory, staged.header, way, root)
            except (failures.ChecksumError, failures.UnavailableError) as exc:
                if isinstance(exc, failures.UnavailableError) and not exc.is_absent:
                    raise
                root = self._noted(way.seeker.after(root, exc))
        raise failures.MetadataChangingError(
            f"The upstream of {self._name} changed {self._order.policy.restarts + 1} times while it was being read.",
            hint="The last good generation stays. Run again when the upstream is at rest.",
        )

    def _stage(self, way: ways.Way, root: upstreams.Root) -> stage.Staged | None:
        """None when it is a dry run, and all but the content is here."""
        from stationmaster.mirror import stage  # not for a no-op, whose whole process has 0.18 s

        stager = stage.Stager(
            self._files,
            self._volume,
            way.repository,
            way.reach,
            terms=stage.Terms(
                self._name, self._order.policy, self._order.progress, self._order.expected is None, self._room
            ),
            threads=self._connections,
        )
        try:
            prepared = stager.prepare(root, catalog.newest_header(self._volume, self._name))
            return None if self._order.policy.is_dry else stager.complete(prepared)
        finally:
            self._room.release(self._volume, self._name)

    def _publish(
        self, directory: Path, header: manifest.Header, way: ways.Way, root: upstreams.Root
    ) -> outcome.SyncOutcome:
        from stationmaster.mirror import publish

        self._check.require(directory, self._connections)
        self._order.progress(outcome.Progress(outcome.Phase.PUBLISH))
        if self._lock is not None:
            self._lock.require()
        publisher = publish.Publisher(self._files, self._volume, self._clock, self._name)
        publisher.publish(directory, header, alone=self._order.is_alone)
        if self._order.expected is None:  # where a peer's copy was read is no address to ask next time
            remembered.remember_root(self._files, self._volume, self._name, root, way.mirrors.bases)
        incoming.clear(self._files, self._volume, self._name)
        return self._outcome(outcome.State.SYNCED, header)

    def _pending(self) -> outcome.SyncOutcome:
        return self._outcome(outcome.State.PENDING, catalog.newest_header(self._volume, self._name))

    def _listen(self, progress: outcome.Progress) -> None:
        self._ledger = progress.ledger or self._ledger
        self._listener(progress)

    def _tell(self, note: str) -> None:
        self._order.progress(outcome.Progress(outcome.Phase.ROOT, note=note))

    def _noted(self, root: upstreams.Root) -> upstreams.Root:
        self._warnings = root.warnings
        return root

    def _held(self, generation: str | None) -> manifest.Header | None:
        """The generation when nothing is left to do for it: held, and shown where the engine publishes alone."""
        if generation is None or not self._check.is_done(generation):
            return None
        if self._order.is_alone and not catalog.is_shown(self._volume, self._name, generation):
            return None
        return catalog.find_header(self._volume, self._name, generation)

    def _outcome(
        self, state: outcome.State, header: manifest.Header | None, error: errors.StationmasterError | None = None
    ) -> outcome.SyncOutcome:
        return outcome.SyncOutcome(
            state=state,
            generation=header.generation if header else None,
            packages=header.packages if header else 0,
            bytes_downloaded=self._fetcher.meter.bytes,
            requests=self._fetcher.meter.requests,
            error=error,
            warnings=self._warnings,
            ledger=self._ledger,
        )
