"""Looks at the volume and returns what it saw as frozen values. It may hang: look at it in a thread of its own.

Sharing is proved, not read (ha-protocol R10): each station leaves a nonce of its own on the volume, and tells the hub
what it reads there of every station (``nonces``). The marker decides whether this is the volume at all; a part of it
that cannot be read is told, counts as missing, and hides no other part.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, volume, writers
from stationmaster.model import errors, protocol
from stationmaster.station import config as configs
from stationmaster.station import nonces, observe, visible_store
from stationmaster.station import snapshot as snapshots

_T = TypeVar("_T")
_MOST_TOLD = 3


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


class _Parts:
    """Reads parts of a volume one by one, and notes those that cannot be read."""

    def __init__(self) -> None:
        self.unreadable: list[str] = []

    def read(self, name: str, look: Callable[[], _T], otherwise: _T) -> _T:
        """What ``look`` sees, or ``otherwise`` where the file system refuses."""
        try:
            return look()
        except OSError as exc:
            self.unreadable.append(f"{name} ({exc.strerror or exc})")
            return otherwise

    def damage(self, root: Path) -> protocol.Problem | None:
        """What to tell of it."""
        if not self.unreadable:
            return None
        more = f" and {len(self.unreadable) - _MOST_TOLD} more" if len(self.unreadable) > _MOST_TOLD else ""
        message = (
            f"Parts of the mirror volume {root} cannot be read, and count as missing: "
            f"{', '.join(self.unreadable[:_MOST_TOLD])}{more}. Check the storage; on GlusterFS, "
            "`gluster volume heal VOLUME info` names what waits to be healed, or is in split brain."
        )
        return protocol.Problem(code="VolumeDamaged", message=message)


def look_at_volume(
    config: configs.StationConfig,
    directory: str,
    source_ids: Iterable[str],
    files: host_files.Files,
    nonce: nonces.Nonce,
    clock: clocks.Clock,
    signed: SignedRecords | None = None,
) -> snapshots.VolumeView:
    """Marker, room, whether it can be written, what is held and what is recorded as visible (I7)."""
    seen_at = clock.monotonic()
    try:
        found = open_volume(config, directory, files)
        space = found.space()
        write_problem = nonce.leave(found, config.station_id, space.available_bytes)
        root = Path(directory).stat()
        parts = _Parts()
        record = parts.read("groups", lambda: signed.store.look(found, signed.group_id), None) if signed else None
        held = {one: parts.read(f"generations/{one}", functools.partial(_held, found, one), None) for one in source_ids}
        return snapshots.VolumeView(
            directory=directory,
            seen_at=seen_at,
            volume_id=found.id,
            total_bytes=space.total_bytes,
            available_bytes=space.available_bytes,
            is_on_root_file_system=is_on_root(Path(directory)),
            held=snapshots.frozen_map({one: seen or () for one, seen in held.items()}),
            records=_records(found, source_ids, parts),
            is_writable=write_problem is None,
            write_problem=write_problem,
            own_nonce=nonce.written,
            nonces=nonces.read_nonces(found),
            writer_token=parts.read("writers", lambda: writers.needed_token(found), 0),
            mount=f"{root.st_dev}:{root.st_ino}",
            record=record,
            record_problem=signed.store.problem(found, signed.group_id) if signed else None,
            is_record_named=record is not None and visible_store.is_pointed_at(found, record),
            unreadable=frozenset(one for one, seen in held.items() if seen is None),
            damage=parts.damage(found.root),
        )
    except errors.StationmasterError as exc:
        problem = _volume_problem(config, directory, exc)
        return snapshots.VolumeView(directory=directory, seen_at=seen_at, problem=problem)
    except OSError as exc:
        return snapshots.VolumeView(directory=directory, seen_at=seen_at, problem=_unusable(directory, exc))


def _unusable(directory: str, refused: OSError) -> protocol.Problem:
    """A mount that is there and answers nothing."""
    message = f"The mirror volume {directory} cannot be read: {refused.strerror}. Check the mount and its server."
    if refused.errno == errno.ENOTCONN:
        message += (
            " The client program of that mount ended, or lost a majority of its servers. If it stays so when these "
            "are well, mount the file system again (`umount -l`, then `mount`); the station then goes on by itself."
        )
    return protocol.Problem(code="VolumeUnusable", message=message)


def _volume_problem(
    config: configs.StationConfig, directory: str, error: errors.StationmasterError
) -> protocol.Problem:
    """What an operator should do about a volume that is not there: hardly ever to make a new one."""
    if isinstance(error.__cause__, OSError):
        return _unusable(directory, error.__cause__)
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


def _records(found: volume.Volume, source_ids: Iterable[str], parts: _Parts) -> Mapping[str, protocol.Visible]:
    records = {}
    for source_id in source_ids:
        directory = records_directory(found, source_id)
        highest = parts.read(f"seq/{source_id}", functools.partial(highest_record, directory), None)
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
