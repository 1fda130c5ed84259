"""One writer per source on a volume, without flock (NFS is a target): numbered records made by link(2).

The holder is the owner of the highest record. Taking over means making the next number, which only one can; a record
is never replaced by another's, so a taker that wakes late finds its number taken, or itself below a newer one.
A record whose process is provably gone (this host, another boot or no such process) does not hold.

The holder raises a counter in its record every ten seconds. What cannot be judged from here (another host's record) is
watched, by the taker's own clock, since two hosts' clocks prove nothing: a record that did not change for two minutes
(an NFS client may show a former state for one) does not hold. A holder that was so slow finds a newer number before it
publishes, and stops.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Self

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.host import network
from stationmaster.mirror import failures

LAPSE_SECONDS = 120
_RENEWAL_SECONDS = 10
_WATCH_SECONDS = 2
CLEANING = ":clean"  # no source can have this name


class Owner(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Who made a record; ``started`` is the process's start in clock ticks since boot, ``space`` its pid namespace."""

    host: str
    boot: str
    space: str
    pid: int
    started: str
    is_released: bool = False
    renewals: int = 0


class SourceLock:
    """Held from ``acquire`` until ``release``; a context manager."""

    def __init__(
        self, files: host_files.Files, control: Path, source: str, *, clock: clocks.Clock | None = None
    ) -> None:
        """Without a ``clock`` other hosts' records are believed for ever."""
        self._files = files
        self._clock = clock
        self._is_over = threading.Event()
        self._writing = threading.Lock()
        self._directory = control / "locks" / source
        self._source = source
        self._record: Path | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Become the one writer, or raise SyncRunningError that names the other."""
        self._files.make_directory(self._directory)
        highest, owner = highest_record(self._directory)
        if owner is not None and is_holding(owner) and not self._has_lapsed(highest, owner):
            raise self._refusal(owner)
        record = self._directory / str(highest + 1)
        if not self._files.create_exclusive(record, msgspec.json.encode(_myself())):
            raise self._refusal(highest_record(self._directory)[1])
        newest, owner = highest_record(self._directory)
        if newest != highest + 1:
            self._files.remove(record)
            raise self._refusal(owner)
        self._record = record
        for number in _numbers(self._directory):
            if number < newest:
                self._files.remove(self._directory / str(number))
        self._is_over.clear()
        threading.Thread(target=self._renew, args=(record,), name=f"lock-{self._source}", daemon=True).start()

    def require(self) -> None:
        """Raise SyncRunningError when another took over meanwhile: what follows would be a second writer's work."""
        newest, owner = highest_record(self._directory)
        if self._record is not None and str(newest) != self._record.name:
            raise self._refusal(owner)

    def _has_lapsed(self, number: int, seen: Owner) -> bool:
        """Watch a record that only its own host can judge; True when nobody renewed it for all the time."""
        if self._clock is None or seen.host == network.host_name():
            return False
        end = self._clock.monotonic() + LAPSE_SECONDS
        while self._clock.monotonic() < end:
            self._clock.sleep(_WATCH_SECONDS)
            if highest_record(self._directory) != (number, seen):
                return False
        return True

    def _renew(self, record: Path) -> None:
        """In its own thread until the release; a record that cannot be written now is tried again later."""
        renewals = 0
        while not self._is_over.wait(_RENEWAL_SECONDS):
            renewals += 1
            with contextlib.suppress(OSError):
                if highest_record(self._directory)[0] > int(record.name):
                    return
                renewed = msgspec.structs.replace(_myself(), renewals=renewals)
                with self._writing:
                    if not self._is_over.is_set():
                        self._files.write_atomic(record, msgspec.json.encode(renewed), durable=False)

    def release(self) -> None:
        """Let others in; the record stays, so that numbers only rise."""
        self._is_over.set()
        if self._record is not None:
            released = msgspec.structs.replace(_myself(), is_released=True)
            with self._writing:
                self._files.write_atomic(self._record, msgspec.json.encode(released), durable=False)
            self._record = None

    def _refusal(self, owner: Owner | None) -> failures.SyncRunningError:
        who = f"process {owner.pid} on {owner.host}" if owner else "another process"
        return failures.SyncRunningError(
            f"The source {self._source} is being written on this volume by {who}.",
            hint=f"Wait for it. A host that is gone loses its place {LAPSE_SECONDS} s after its last renewal.",
        )


def live_locks(control: Path) -> list[str]:
    """The sources that somebody is writing now."""
    held = []
    for directory in sorted((control / "locks").iterdir()):
        owner = highest_record(directory)[1] if directory.is_dir() else None
        if owner is not None and is_holding(owner):
            held.append(directory.name)
    return held


def is_cleaning(control: Path) -> bool:
    """Whether somebody removes content from the volume now; both sides make their record first, then look."""
    owner = highest_record(control / "locks" / CLEANING)[1]
    return owner is not None and is_holding(owner)


def highest_record(directory: Path) -> tuple[int, Owner | None]:
    """The highest number and its owner; (0, None) when there is none, an unreadable one counts as released."""
    highest = max(_numbers(directory), default=0)
    if not highest:
        return 0, None
    try:
        return highest, msgspec.json.decode((directory / str(highest)).read_bytes(), type=Owner)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return highest, None


def is_holding(owner: Owner) -> bool:
    """Whether a record still holds. What cannot be judged from here (another host) is believed."""
    if owner.is_released:
        return False
    me = _myself()
    if owner.host != me.host:
        return True
    if owner.boot != me.boot:
        return False
    return owner.space != me.space or _start_of(owner.pid) == owner.started


def _numbers(directory: Path) -> list[int]:
    try:
        return [int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal()]
    except FileNotFoundError:
        return []


def _myself() -> Owner:
    pid = os.getpid()
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return Owner(host=network.host_name(), boot=boot_id(), space=space, pid=pid, started=_start_of(pid))


def boot_id() -> str:
    """What tells this run of this host's kernel from all others."""
    return (host_files.read_text_or_none(Path("/proc/sys/kernel/random/boot_id")) or "").strip()


def _start_of(pid: int) -> str:
    """Field 22 of /proc/PID/stat, after the name in parentheses; empty when the process is gone or a zombie."""
    stat = host_files.read_text_or_none(Path(f"/proc/{pid}/stat"))
    if not stat:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]
