"""What a lab has made on this machine, written down before it is made, so that any later process can remove it.

A record names things by exact ids: namespaces by name, processes by id and start time (a process id alone may be
somebody else's by now), mounts by path. Removal acts on these and on nothing else.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from stationmaster.host import files
from stationmaster.model import errors

BASE = Path("/var/tmp/stationmaster-lab")  # noqa: S108  claim_base checks whose it is
RECORD_NAME = "lab.json"


class ProcessRecord(msgspec.Struct, frozen=True, rename="camel"):
    """A process a lab started. ``start_ticks`` is its start in clock ticks since boot (proc(5), field 22)."""

    namespace: str
    pid: int
    start_ticks: int


class LabRecord(msgspec.Struct, rename="camel"):
    """One lab; grows while it is made."""

    lab_id: str
    directory: str
    owner: ProcessRecord
    namespaces: list[str] = []
    mounts: list[str] = []
    processes: list[ProcessRecord] = []
    note: dict[str, str] = {}


class RecordFile:
    """The record of one lab and the file it is kept in."""

    def __init__(self, record: LabRecord, effects: files.Files) -> None:
        self.record = record
        self._effects = effects

    @property
    def path(self) -> Path:
        """Where the record lies."""
        return Path(self.record.directory) / RECORD_NAME

    def save(self) -> None:
        """Write the record; need not survive a power cut, since nothing it names does."""
        self._effects.write_atomic(self.path, msgspec.json.encode(self.record), mode=0o600, durable=False)

    def add_mount(self, path: Path) -> None:
        """Note a mount that is about to be made."""
        self.record.mounts.append(str(path))
        self.save()

    def add_process(self, namespace: str, pid: int) -> None:
        """Note a process that was just started; one that has ended already needs no note."""
        ticks = start_ticks(pid)
        if ticks is not None:
            self.record.processes.append(ProcessRecord(namespace, pid, ticks))
            self.save()


def claim_base(base: Path, effects: files.Files) -> Path:
    """Make the directory of all labs and caches, or check that the one found is root's own and closed to others."""
    effects.make_directory(base)
    status = base.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise errors.HostError(
            f"{base} is not a directory of this user that only this user may write.", hint="Remove it and try again."
        )
    return base


def find_records(base: Path) -> list[LabRecord]:
    """Every lab that left a readable record below ``base``, oldest directory first."""
    found = []
    for path in sorted(base.glob(f"labs/*/{RECORD_NAME}"), key=lambda entry: entry.stat().st_mtime):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=LabRecord))
        except msgspec.DecodeError as exc:
            raise errors.HostError(f"The lab record {path} cannot be read: {exc}.") from exc
    return found


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it has ended, reaped by its parent or not."""
    try:
        # The name, in brackets, may hold anything, also brackets and spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def is_alive(process: ProcessRecord) -> bool:
    """Whether that very process still runs, not merely one with its id."""
    return start_ticks(process.pid) == process.start_ticks
