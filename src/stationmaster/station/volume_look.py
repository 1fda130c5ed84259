"""Looks at the volume and returns what it saw as frozen values. It may hang: look at it in a thread of its own.

Sharing is proved, not read (ha-protocol R10): each station keeps a nonce of its own on the volume, a new one now and
then, and tells the hub what it reads there of every station. Writing it is also the proof that the volume can be
written.
"""

from __future__ import annotations

import dataclasses
import errno
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, volume, writers
from stationmaster.model import errors, protocol
from stationmaster.station import config as configs
from stationmaster.station import observe, visible_store
from stationmaster.station import snapshot as snapshots

NONCE_SECONDS = 30.0
_NONCE_LENGTH = 64


class Record(msgspec.Struct, frozen=True):
    """Content of ``.stationmaster/seq/<source>/<number>``."""

    generation: str
    number: int


def open_volume(config: configs.StationConfig, directory: str, files: host_files.Files) -> volume.Volume:
    """I11: the station's own volume at ``directory``; VolumeError when it is not there."""
    return volume.open_volume(files, Path(directory), expected_id=config.volume_id, hub=config.tenancy_id)


@dataclasses.dataclass(frozen=True)
class SignedRecords:
    """How to look for the signed record; ``group_id`` None: of whichever group names this station."""

    store: visible_store.Store
    group_id: str | None


class Nonce:
    """What this station writes on its volume to be recognised there: new at each start, and every half minute."""

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._made_at = float("-inf")
        self._value = ""
        self.written = ""

    def leave(self, found: volume.Volume, station_id: str) -> protocol.Problem | None:
        """Write it; what came of that says whether the volume can be written."""
        if self._clock.monotonic() - self._made_at >= NONCE_SECONDS:
            self._value, self._made_at = secrets.token_hex(16), self._clock.monotonic()
        directory = found.control / "stations"
        try:
            found.make_directory(directory)
            found.files.write_atomic(directory / station_id, self._value.encode(), durable=False)
        except OSError as exc:
            words = {errno.ENOSPC: "VolumeFull", errno.EDQUOT: "VolumeFull", errno.EROFS: "VolumeReadOnly"}
            message = (
                f"The mirror volume {found.root} cannot be written: {exc.strerror}. It goes on serving what it holds."
            )
            return protocol.Problem(code=words.get(exc.errno or 0, "VolumeNotWritable"), message=message)
        self.written = self._value
        return None


def look_at_volume(
    config: configs.StationConfig,
    directory: str,
    source_ids: Iterable[str],
    files: host_files.Files,
    nonce: Nonce,
    clock: clocks.Clock,
    signed: SignedRecords | None = None,
) -> snapshots.VolumeView:
    """Marker, room, whether it can be written, what is held and what is recorded as visible (I7)."""
    seen_at = clock.monotonic()
    try:
        found = open_volume(config, directory, files)
        space = found.space()
        write_problem = nonce.leave(found, config.station_id)
        root = Path(directory).stat()
        record = signed.store.look(found, signed.group_id) if signed else None
        return snapshots.VolumeView(
            directory=directory,
            seen_at=seen_at,
            volume_id=found.id,
            total_bytes=space.total_bytes,
            available_bytes=space.available_bytes,
            is_on_root_file_system=is_on_root(Path(directory)),
            held=snapshots.frozen_map({one: _held(found, one) for one in source_ids}),
            records=_records(found, source_ids),
            is_writable=write_problem is None,
            write_problem=write_problem,
            own_nonce=nonce.written,
            nonces=read_nonces(found),
            writer_token=writers.needed_token(found),
            mount=f"{root.st_dev}:{root.st_ino}",
            record=record,
            record_problem=signed.store.problem(found, signed.group_id) if signed else None,
            is_record_named=record is not None and visible_store.is_pointed_at(found, record),
        )
    except errors.StationmasterError as exc:
        problem = _volume_problem(config, directory, exc)
        return snapshots.VolumeView(directory=directory, seen_at=seen_at, problem=problem)
    except OSError as exc:
        message = f"The mirror volume {directory} cannot be read: {exc.strerror}. Check the mount and its server."
        problem = protocol.Problem(code="VolumeUnusable", message=message)
        return snapshots.VolumeView(directory=directory, seen_at=seen_at, problem=problem)


def _volume_problem(
    config: configs.StationConfig, directory: str, error: errors.StationmasterError
) -> protocol.Problem:
    """What an operator should do about a volume that is not there: hardly ever to make a new one."""
    if directory != config.mirror_directory:
        message = (
            f"The mirror directory was changed from {config.mirror_directory} to {directory}, which is not this "
            f"station's volume: {error.message} To use it, run `stationmaster station take-volume` on this host."
        )
    elif not (Path(directory) / ".stationmaster" / "volume.json").exists():
        message = (
            f"The mirror volume {config.volume_id} is not at {directory}, which has no .stationmaster/volume.json: "
            "mount it. Nothing is written there until then. If it is lost for good, "
            "`stationmaster station take-volume` on this host makes an empty directory the new volume."
        )
    else:
        return observe.problem_of(error)
    return protocol.Problem(code=error.code, message=message)


def is_on_root(directory: Path) -> bool:
    """Whether a directory lies on the root file system: taken as a volume, with a warning (design 12a)."""
    return directory.stat().st_dev == Path("/").stat().st_dev


def read_nonces(found: volume.Volume) -> Mapping[str, str]:
    """What is read here of each station (R10); names that begin with a dot are being written."""
    nonces = {}
    for path in sorted((found.control / "stations").glob("[!.]*")):
        try:
            nonces[path.name] = path.read_text()[:_NONCE_LENGTH]
        except (OSError, UnicodeDecodeError):
            continue
    return snapshots.frozen_map(nonces)


def _held(found: volume.Volume, source_id: str) -> tuple[snapshots.HeldView, ...]:
    return tuple(
        snapshots.HeldView(
            generation=one.generation,
            package_count=one.packages,
            unique_package_count=one.unique_packages,
            size_bytes=one.total_bytes,
            time_root=one.root_time,
            time_held=one.held_since,
        )
        for one in catalog.list_generations(found, source_id)
    )


def records_directory(found: volume.Volume, source_id: str) -> Path:
    """Where the numbers of a source lie (ha-protocol R1)."""
    return found.control / "seq" / source_id


def _records(found: volume.Volume, source_ids: Iterable[str]) -> Mapping[str, protocol.Visible]:
    records = {}
    for source_id in source_ids:
        highest = highest_record(records_directory(found, source_id))
        if highest is not None:
            records[source_id] = protocol.Visible(
                source_id=source_id, number=highest.number, generation=highest.generation
            )
    return snapshots.frozen_map(records)


def highest_record(directory: Path) -> Record | None:
    """R1: what is visible on a volume is the highest record; a name that is no number is none."""
    try:
        numbers = sorted((int(one.name) for one in directory.iterdir() if one.name.isdigit()), reverse=True)
    except FileNotFoundError:
        return None
    for number in numbers:
        try:
            return msgspec.json.decode((directory / str(number)).read_bytes(), type=Record)
        except (msgspec.MsgspecError, FileNotFoundError):
            continue
    return None
