"""One writer per source on a volume, without flock (NFS is a target): numbered records made by link(2).

The holder is the owner of the highest record. Taking over means making the next number, which only one can; a record
is never replaced by another's, so a taker that wakes late finds its number taken, or itself below a newer one.
A record whose process is provably gone (this kernel's run, and no such process) does not hold. Host names prove
nothing, since clones share them: hosts are told apart by the kernel's boot id, so a restarted host is another one, too.

The holder raises a counter in its record every ten seconds. What cannot be judged from here (another kernel's record)
is watched, by the taker's own clock, since two hosts' clocks prove nothing: a record that did not change for two
minutes (an NFS client may show a former state for one) does not hold. A holder that was so slow finds a newer number
before it publishes, and stops.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.host import network
from stationmaster.mirror import failures

LAPSE_SECONDS = 120
_RENEWAL_SECONDS = 10
_WATCH_SECONDS = 0.5
CLEANING = ":clean"  # no source can have this name


class Owner(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Who made a record; ``host`` is for people, ``boot`` tells hosts apart.

    ``started`` is the process's start in clock ticks since boot, ``space`` its pid namespace. ``token`` is the lease it
    writes under (R1); ``epoch`` rises whenever somebody takes over from one who may still be alive.
    """

    host: str
    boot: str
    space: str
    pid: int
    started: str
    is_released: bool = False
    renewals: int = 0
    token: int = 0
    epoch: int = 0


class Judgement(enum.Enum):
    """What can be said of a record from here."""

    HOLDING = enum.auto()
    GONE = enum.auto()
    UNKNOWN = enum.auto()  # another kernel wrote it, or a process in another pid namespace


def _tell_nobody(_: str) -> None:
    """The listener of those who do not listen."""


@dataclasses.dataclass(frozen=True)
class Watch:
    """Watches a record that cannot be judged from here; ``told`` hears why it takes so long, ``stop`` ends it.

    A record of a lower lease than ``token`` does not hold: its owner lost the right, be it alive or not.
    """

    clock: clocks.Clock
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)
    told: Callable[[str], None] = _tell_nobody
    token: int = 0

    def has_lapsed(self, directory: Path, number: int, seen: Owner) -> bool:
        """True when nobody renewed it for all the time."""
        self.told(
            f"{_named(seen)} was writing here and cannot be judged from this host: its record is watched for up to "
            f"{LAPSE_SECONDS} s"
        )
        end = self.clock.monotonic() + LAPSE_SECONDS
        while self.clock.monotonic() < end:
            if self.stop.is_set():
                raise failures.StoppedError("The sync was stopped.", hint="The next run resumes where it ended.")
            self.clock.sleep(_WATCH_SECONDS)
            if highest_record(directory) != (number, seen):
                return False
        return True


class SourceLock:
    """Held from ``acquire`` until ``release``; a context manager."""

    def __init__(self, files: host_files.Files, control: Path, source: str, *, watch: Watch | None = None) -> None:
        """Without a ``watch`` other hosts' records are believed for ever."""
        self._files = files
        self._watch = watch
        self._is_over = threading.Event()
        self._writing = threading.Lock()
        self._directory = control / "locks" / source
        self._source = source
        self._record: Path | None = None
        self._mine = _myself()

    @property
    def epoch(self) -> int:
        """Rises with each takeover from one who may still be alive: the two must not write to the same files."""
        return self._mine.epoch

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # On a volume that is read-only or gone the release fails as well; what failed first says more.
        with contextlib.suppress(*(() if kind is None else (OSError,))):
            self.release()

    def acquire(self) -> None:
        """Become the one writer, or raise SyncRunningError that names the other."""
        self._files.make_directory(self._directory)
        highest, owner = highest_record(self._directory)
        if owner is not None and _is_held(self._directory, highest, owner, self._watch):
            raise self._refusal(owner)
        token = self._watch.token if self._watch else 0
        self._mine = msgspec.structs.replace(_myself(), token=token, epoch=_next_epoch(owner))
        record = self._directory / str(highest + 1)
        if not self._files.create_exclusive(record, msgspec.json.encode(self._mine)):
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

    def _renew(self, record: Path) -> None:
        """In its own thread until the release; a record that cannot be written now is tried again later."""
        renewals = 0
        while not self._is_over.wait(_RENEWAL_SECONDS):
            renewals += 1
            with contextlib.suppress(OSError):
                if highest_record(self._directory)[0] > int(record.name):
                    return
                renewed = msgspec.structs.replace(self._mine, renewals=renewals)
                with self._writing:
                    if not self._is_over.is_set():
                        self._files.write_atomic(record, msgspec.json.encode(renewed), durable=False)

    def release(self) -> None:
        """Let others in; the record stays, so that numbers only rise."""
        self._is_over.set()
        if self._record is not None:
            released = msgspec.structs.replace(self._mine, is_released=True)
            with self._writing:
                self._files.write_atomic(self._record, msgspec.json.encode(released), durable=False)
            self._record = None

    def _refusal(self, owner: Owner | None) -> failures.SyncRunningError:
        who = _named(owner) if owner else "another process"
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


def require_no_cleaning(control: Path, watch: Watch | None = None) -> None:
    """Raise SyncRunningError when somebody removes content now; both sides make their record first, then look."""
    directory = control / "locks" / CLEANING
    number, owner = highest_record(directory)
    if owner is not None and _is_held(directory, number, owner, watch):
        raise failures.SyncRunningError(
            f"The volume is being cleaned by {_named(owner)}.", hint="Run again in a while."
        )


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
    """Whether a record may still hold: what cannot be judged from here is believed."""
    return judge(owner) is not Judgement.GONE


def judge(owner: Owner) -> Judgement:
    """What this process can know of a record's owner."""
    if owner.is_released:
        return Judgement.GONE
    me = _myself()
    if (owner.boot, owner.space) != (me.boot, me.space) or not me.boot:
        return Judgement.UNKNOWN
    return Judgement.HOLDING if _start_of(owner.pid) == owner.started else Judgement.GONE


def _is_held(directory: Path, number: int, owner: Owner, watch: Watch | None) -> bool:
    if watch is not None and owner.token < watch.token:
        return False
    judgement = judge(owner)
    if judgement is not Judgement.UNKNOWN or watch is None:
        return judgement is not Judgement.GONE
    return not watch.has_lapsed(directory, number, owner)


def _next_epoch(former: Owner | None) -> int:
    if former is None:
        return 0
    return former.epoch + (judge(former) is not Judgement.GONE)


def _named(owner: Owner) -> str:
    return f"process {owner.pid} on {owner.host}"


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
