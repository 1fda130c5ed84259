"""What a station remembers over a restart, in its state directory (I9). A damaged file is as good as none, and said.

desired.json    the desired state, the hub's name for it, and which signed record was in force then
visible.json    what the hub told is visible, and what this station tells clients
visible-record.json  the hub's signed record of the group (R12, ADR 22)
fetchable.json  generations that were proved fetchable, and on which volume (R4)
names.json      addresses that host names had last: a start with the name server away must not shut anybody out
syncs.json      how the last sync of each source ended
tokens.json     the highest lease of each source that this station ever had (R8: the hub may go back in time)
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from stationmaster.host import files as host_files
from stationmaster.mirror import owners
from stationmaster.model import protocol
from stationmaster.station import config as configs
from stationmaster.station import snapshot as snapshots

_log = logging.getLogger(__name__)
T = TypeVar("T")


class StoredDesired(msgspec.Struct, frozen=True, kw_only=True):
    """Content of desired.json."""

    digest: str
    desired: protocol.StationDesired
    record_group: str = ""
    record_counter: int = 0


class StoredVisible(msgspec.Struct, frozen=True, kw_only=True):
    """Content of visible.json."""

    told: tuple[protocol.Visible, ...] = ()
    shown: tuple[protocol.Visible, ...] = ()


class StoredProofs(msgspec.Struct, frozen=True, kw_only=True):
    """Content of fetchable.json: source and generation; true of one mount of one volume under one kernel."""

    volume_id: str
    mount: str = ""
    boot: str = ""
    proved: tuple[tuple[str, str], ...] = ()


class StoredSync(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of syncs.json."""

    number: int
    failures: int
    report: protocol.SyncReport | None = None


class Memory:
    """Reads everything at start; each ``keep_`` replaces one file in one step."""

    def __init__(self, state: configs.StateDirectory, files: host_files.Files) -> None:
        self._state = state
        self._files = files

    def desired(self) -> StoredDesired | None:
        """The last desired state, None when there is none yet."""
        return _read(self._state.desired, StoredDesired)

    def keep_desired(self, digest: str, desired: protocol.StationDesired, record: snapshots.RecordName) -> None:
        """For a start without the hub."""
        stored = StoredDesired(
            digest=digest, desired=desired, record_group=record.group_id, record_counter=record.counter
        )
        self._write(self._state.desired, stored)

    def record(self) -> bytes | None:
        """The signed record as it was kept; whoever reads it checks it."""
        try:
            return self._state.record.read_bytes()
        except OSError:
            return None

    def keep_record(self, content: bytes) -> None:
        """For a start without the hub."""
        self._files.write_atomic(self._state.record, content, mode=0o600)

    def visible(self) -> StoredVisible:
        """What was told and shown."""
        return _read(self._state.visible, StoredVisible) or StoredVisible()

    def keep_visible(self, told: tuple[protocol.Visible, ...], shown: tuple[protocol.Visible, ...]) -> None:
        """For a start without the hub."""
        self._write(self._state.visible, StoredVisible(told=told, shown=shown))

    def proofs(self, volume_id: str) -> tuple[str, Mapping[tuple[str, str], snapshots.FetchView]]:
        """The mount they are of, and what was proved fetchable there; nothing after the host was started anew."""
        stored = _read(self._state.fetchable, StoredProofs)
        if stored is None or stored.volume_id != volume_id or stored.boot != owners.boot_id():
            return "", snapshots.frozen_map()
        return stored.mount, snapshots.frozen_map(
            {key: snapshots.FetchView(is_fetchable=True) for key in stored.proved}
        )

    def keep_proofs(self, volume_id: str, mount: str, proofs: Mapping[tuple[str, str], snapshots.FetchView]) -> None:
        """So that a restart need not ask for every path again."""
        proved = tuple(sorted(key for key, view in proofs.items() if view.is_fetchable))
        stored = StoredProofs(volume_id=volume_id, mount=mount, boot=owners.boot_id(), proved=proved)
        self._write(self._state.fetchable, stored)

    def names(self) -> Mapping[str, tuple[str, ...]]:
        """Addresses by host name."""
        return _read(self._state.names, dict[str, tuple[str, ...]]) or {}

    def keep_names(self, names: Mapping[str, tuple[str, ...]]) -> None:
        """For a start without a name server."""
        self._write(self._state.names, dict(names))

    def syncs(self) -> Mapping[str, snapshots.SyncView]:
        """How syncs ended; one that failed is tried again at once."""
        stored = _read(self._state.syncs, dict[str, StoredSync]) or {}
        return snapshots.frozen_map(
            {
                source_id: snapshots.SyncView(number=one.number, failures=one.failures, report=one.report)
                for source_id, one in stored.items()
            }
        )

    def keep_syncs(self, syncs: Mapping[str, snapshots.SyncView]) -> None:
        """So that a restart does not repeat a sync that was done."""
        ended = {
            source_id: StoredSync(number=one.number, failures=one.failures, report=one.report)
            for source_id, one in syncs.items()
            if not one.is_busy
        }
        self._write(self._state.syncs, ended)

    def tokens(self) -> Mapping[str, int]:
        """The highest lease of each source."""
        return snapshots.frozen_map(_read(self._state.tokens, dict[str, int]))

    def keep_tokens(self, tokens: Mapping[str, int]) -> None:
        """Before anything is done under them."""
        self._write(self._state.tokens, dict(tokens))

    def _write(self, path: Path, content: object) -> None:
        self._files.write_atomic(path, msgspec.json.format(msgspec.json.encode(content)), mode=0o600)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as exc:
        _log.warning("A remembered state cannot be read and is left out.", extra={"file": str(path), "error": str(exc)})
        return None
