"""The observers' threads: each looks at one thing again and again, and puts what it saw on the board.

The volume has a thread of its own: a mount that hangs holds up that thread alone, its last look grows old, and the
readiness rule sees that.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.model import protocol
from stationmaster.station import board as boards
from stationmaster.station import config as configs
from stationmaster.station import memory, names, nonces, observe, specs, visible_record, visible_store, volume_look
from stationmaster.station import snapshot as snapshots

_log = logging.getLogger(__name__)
VOLUME_SECONDS = 1.0
ENGINE_SECONDS = 0.5
NAMES_SECONDS = 1.0
CERTIFICATE_SECONDS = 2.0
_CHANCES = 2


def repeat(name: str, seconds: float, look: Callable[[], None], stop: threading.Event) -> threading.Thread:
    """A thread that looks every ``seconds`` until told to stop; a mistake in one look does not end it."""

    def run() -> None:
        while not stop.is_set():
            try:
                look()
            except Exception:  # noqa: BLE001 - the edge of a thread that must go on
                _log.exception("Looking failed.", extra={"action": name})
            stop.wait(seconds)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


class Watch:
    """What is looked at."""

    def __init__(
        self,
        board: boards.Board,
        config: configs.StationConfig,
        state: configs.StateDirectory,
        known_names: names.Names,
        kept: memory.Memory,
        files: host_files.Files,
        clock: clocks.Clock,
    ) -> None:
        self._records = visible_store.Store(visible_record.reader_of(state.ca), config.station_id)
        self._board = board
        self._config = config
        self._state = state
        self._names = known_names
        self._memory = kept
        self._files = files
        self._clock = clock
        self._nonce = nonces.Nonce(clock)

    def start(self, stop: threading.Event) -> tuple[threading.Thread, ...]:
        """All observers."""
        return (
            repeat("volume", VOLUME_SECONDS, self.look_at_volume, stop),
            repeat("engines", ENGINE_SECONDS, self.look_at_engines, stop),
            repeat("names", NAMES_SECONDS, self.look_at_names, stop),
            repeat("certificates", CERTIFICATE_SECONDS, self.look_at_certificates, stop),
        )

    def look_at_volume(self) -> None:
        """Marker, room, holdings. Logged when it turns bad or good again."""
        desired = self._board.read().desired
        directory = desired.mirror_directory if desired else self._config.mirror_directory
        source_ids = [source.source_id for source in desired.sources] if desired else []
        signed = volume_look.SignedRecords(self._records, desired.group_id if desired else None)
        view = volume_look.look_at_volume(
            self._config, directory, source_ids, self._files, self._nonce, self._clock, signed
        )
        former = self._board.read().volume
        is_news = former is None or dataclasses.replace(former, **_same(view)) != view
        now = self._clock.now()
        self._board.change(
            lambda present: visible_record.taken(with_volume(present, view), view.record, now), is_news=is_news
        )
        self._log_volume(former.problem if former else None, view.problem)
        self._log_volume(former.write_problem if former else None, view.write_problem)
        self._log_volume(former.damage if former else None, view.damage)

    def look_at_engines(self) -> None:
        """Whether nginx and squid answer; one silence is asked again at once before it counts."""
        desired = self._board.read().desired
        if desired is None:
            return
        address = probe_address(self._config)
        self._look_at_engine("nginx", lambda: observe.is_nginx_answering(address, desired.ports.http))
        if desired.is_proxy_enabled:
            self._look_at_engine("squid", lambda: observe.is_squid_answering(address, desired.ports.proxy))

    def look_at_names(self) -> None:
        """Addresses behind the names in the desired state."""
        desired = self._board.read().desired
        if desired is not None and self._names.refresh(specs.names_to_resolve(desired)):
            self._memory.keep_names(self._names.read())
            self._board.update()

    def look_at_certificates(self) -> None:
        """Certificates as they are on disk."""
        snapshot = self._board.read()
        path = snapshot.desired.certificate_path if snapshot.desired else None
        view = observe.look_at_certificates(self._state, path, snapshot.certificates)
        if view != snapshot.certificates:
            self._board.update(certificates=view)

    def _look_at_engine(self, name: snapshots.EngineName, is_answering: Callable[[], bool]) -> None:
        was_answering = self._board.read().engine(name).is_answering
        chances: Iterable[int] = range(_CHANCES if was_answering else 1)
        found = any(is_answering() for _ in chances)
        now = self._clock.monotonic()
        self._board.change(
            lambda present: present.with_engine(
                name, dataclasses.replace(present.engine(name), is_answering=found, seen_at=now)
            ),
            is_news=found is not was_answering,
        )
        if found is not was_answering:
            _log.info("An engine answers." if found else "An engine is silent.", extra={"engine": name})

    def _log_volume(self, former: protocol.Problem | None, present: protocol.Problem | None) -> None:
        if present is not None and (former is None or former.code != present.code):
            _log.error(present.message, extra={"code": present.code})
        elif present is None and former is not None:
            _log.info("The volume is well again.", extra={"former": former.code})


def with_volume(present: snapshots.Snapshot, view: snapshots.VolumeView) -> snapshots.Snapshot:
    """After a look. What was proved of another mount is proved again before this station says that it is ready."""
    if not view.mount or view.mount == present.proved_mount:
        return dataclasses.replace(present, volume=view)
    return dataclasses.replace(present, volume=view, fetch=snapshots.frozen_map(), proved_mount=view.mount)


def _same(view: snapshots.VolumeView) -> dict[str, Any]:
    """What changes at each look without meaning anything."""
    return {"seen_at": view.seen_at, "available_bytes": view.available_bytes}


def probe_address(config: configs.StationConfig) -> str:
    """Where this station meets its own nginx and squid."""
    first = config.listen[0]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(first, first)  # noqa: S104 - a comparison, nothing is bound
