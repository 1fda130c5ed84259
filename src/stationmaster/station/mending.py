"""Files that a held generation lost on this volume: found, told, and fetched again, from peers first (R4, R11, I8).

Nobody announces that files were removed, or that a file system lost them: beside what is suspected (``lost_files``)
everything is looked at now and then, slowly. What is lost is told before it is mended. The upstream is asked for what
no peer has, and only under the lease of the source (R5). One at a time mends a source on a volume, under its lock.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import random
import threading
from collections.abc import Callable, Sequence

from stationmaster.mirror import exchange, fetch, inspection, limits, lock, losses, remembered, repair, volume
from stationmaster.model import errors, protocol
from stationmaster.station import background, lost_files, memory, observe, orders, peers, steps, sync, upstreams
from stationmaster.station import board as boards
from stationmaster.station import snapshot as snapshots

_log = logging.getLogger(__name__)
FIRST_CHECK_SECONDS = 300.0
CHECK_SECONDS = 6 * 3600.0
_LOOKS_PER_SECOND = 500


@dataclasses.dataclass(frozen=True)
class _Left:
    """What could not be mended, and why the first of it could not."""

    findings: Sequence[inspection.Finding] = ()
    why: str = ""


class Mending:
    """Checks and mends; each on a thread of its own, which a hanging mount may hold for as long as it likes."""

    def __init__(self, board: boards.Board, kept: memory.Memory, doors: sync.SyncDoors, stop: threading.Event) -> None:
        self._board = board
        self._memory = kept
        self._doors = doors
        self._stop = stop
        self._work = background.Background("mend", 2)

    def start(self, step: steps.Mend | steps.CheckHoldings) -> None:
        """Queue a step; one of its kind at a time."""
        self._work.start(type(step).__name__, functools.partial(self.take, step))

    def close(self) -> None:
        """Start no more; running ones see the stop event."""
        self._work.close()

    def take(self, step: steps.Mend | steps.CheckHoldings) -> None:
        """One step, to its end."""
        if isinstance(step, steps.CheckHoldings):
            self._check()
        else:
            self._mend(step.source, step.generation)

    def _check(self) -> None:
        """One round over all that is held, at a bounded rate; what is found is looked at again by who mends it."""
        try:
            place = self._doors.open_volume()
            volume_view = self._board.read().volume
            for source_id, held in volume_view.held.items() if volume_view else ():
                for one in held:
                    if self._stop.is_set():
                        return
                    if losses.find_losses(place, source_id, one.generation, pause=self._pause, most=1):
                        self._suspect(source_id, one.generation)
        except (errors.StationmasterError, OSError) as exc:
            _log.warning(observe.problem_of(exc).message, extra={"action": "check holdings"})
        self._board.update(check_at=self._doors.clock.monotonic() + CHECK_SECONDS)

    def _suspect(self, source_id: str, generation: str) -> None:
        self._board.change(lambda present: lost_files.suspected(present, source_id, generation))

    def _pause(self, looks: int) -> None:
        self._doors.clock.sleep(looks / _LOOKS_PER_SECOND)

    def _mend(self, source: protocol.MirrorSource, generation: str) -> None:
        key, clock = (source.source_id, generation), self._doors.clock
        try:
            place = self._doors.open_volume()
            lost = losses.find_losses(place, *key)
            if lost:
                self._tell(key, lost)
            left = self._from_peers(place, source, generation, lost) if lost else _Left()
            if left.findings:
                left = self._from_upstream(place, source, left)
        except (errors.StationmasterError, OSError) as exc:
            _log.warning(observe.problem_of(exc).message, extra={"action": "mend", "source": source.name})
            self._board.change(lambda present: lost_files.failed(present, key, clock.monotonic()))
            return
        if lost:
            _log.info("Mended.", extra={"source": source.name, "lost": len(lost), "left": len(left.findings)})
        if left.findings:
            self._board.change(
                lambda present: lost_files.failed(
                    lost_files.found(present, key, left.findings, left.why), key, clock.monotonic()
                )
            )
        else:
            self._board.change(lambda present: lost_files.ended(present, key, clock.monotonic(), is_mended=bool(lost)))

    def _from_peers(
        self, place: volume.Volume, source: protocol.MirrorSource, generation: str, lost: Sequence[inspection.Finding]
    ) -> _Left:
        desired = self._board.read().desired
        holders = tuple(peer for peer in desired.peers if peer.addresses) if desired else ()
        addresses = [one.url for one in peers.places_of(holders, source.source_id, generation)]
        return self._repaired(place, lost, self._doors.peers, addresses, orders.may_write, peers.POLICY)

    def _from_upstream(self, place: volume.Volume, source: protocol.MirrorSource, left: _Left) -> _Left:
        """R5: under the lease of the source."""
        token = orders.upstream_token(self._board.read().orders, source.source_id, self._doors.clock.monotonic())
        if token is None:
            return left

        def may_go_on(present: snapshots.Snapshot) -> bool:
            return orders.may_sync(present, source.source_id, token, self._doors.clock.monotonic())

        addresses = remembered.addresses_of(place, source.source_id) or (source.url,)
        http = self._doors.verified if source.is_tls_verified else self._doors.unverified
        keys = self._board.read().keys.get(source.source_id)
        known = upstreams.engine_source(source, keys.armored if keys else "")
        with upstreams.opened(source, known, http) as (door, _):
            return self._repaired(place, left.findings, door, addresses, may_go_on, exchange.FetchPolicy())

    def _repaired(
        self,
        place: volume.Volume,
        lost: Sequence[inspection.Finding],
        door: exchange.HttpDoor,
        addresses: Sequence[str],
        may_go_on: Callable[[snapshots.Snapshot], bool],
        policy: exchange.FetchPolicy,
    ) -> _Left:
        """What is left; content that is still in the pool costs no request."""
        clock, files = self._doors.clock, self._doors.files
        permission = sync.Permission(self._stop, lambda: may_go_on(self._board.read()))
        shared = self._doors.peer_limits or limits.Limits(clock)
        fetcher = fetch.Fetcher(
            files, door, clock, jitter=random.Random(), stop=permission, policy=policy, shared=shared
        )
        watch = lock.Watch(clock, permission, lapse_seconds=sync.LAPSE_SECONDS)
        repairer = repair.Repairer(files, place, fetcher, addresses=lambda *_: addresses, watch=watch)
        problems = {one.path: one.problem for one in repairer.repair(lost) if not one.is_mended}
        return _Left([one for one in lost if one.path in problems], next(iter(problems.values()), ""))

    def _tell(self, key: tuple[str, str], lost: Sequence[inspection.Finding]) -> None:
        """Before anything is mended; also to a daemon that starts anew in the middle of it."""
        present = self._board.change(lambda present: lost_files.found(present, key, lost))
        mount = present.volume.mount if present.volume is not None else ""
        self._memory.keep_proofs(present.volume_id, mount, present.fetch)
