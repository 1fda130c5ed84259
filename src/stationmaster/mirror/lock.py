"""One writer per source on a volume, without flock (NFS is a target): numbered records made by link(2).

The holder is the owner of the highest record. Taking over means making the next number, which only one can; a record
is never replaced by another's, so a taker that wakes late finds its number taken, or itself below a newer one.
A record whose process is provably gone (``owners``) does not hold, nor one of this process that no thread of it renews
any more: the volume refused its release.

The holder raises a counter in its record every three seconds. What cannot be judged from here (another kernel's record)
is watched, by the taker's own clock, since two hosts' clocks prove nothing: a record that did not change for two
minutes (an NFS client may show a former state for one) does not hold; where a hub says who writes, for as long as the
taker is told. A holder that was so slow does no harm: who takes over writes to other files (``incoming``), and the slow
one finds a newer number before it publishes, and stops.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import failures, owners

LAPSE_SECONDS = 120
_RENEWAL_SECONDS = 3
_WATCH_SECONDS = 0.5
CLEANING = ":clean"  # no source can have this name


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
    lapse_seconds: float = LAPSE_SECONDS

    def has_lapsed(self, directory: Path, number: int, seen: owners.Owner) -> bool:
        """True when nobody renewed it for all the time."""
        self.told(
            f"{seen.name} was writing here and cannot be judged from this host: its record is watched for up to "
            f"{self.lapse_seconds:.0f} s"
        )
        end = self.clock.monotonic() + self.lapse_seconds
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
        self._mine = owners.myself()

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
        former = self._directory / str(highest)
        self._mine = msgspec.structs.replace(owners.myself(), token=token, epoch=_next_epoch(former, owner))
        record = self._directory / str(highest + 1)
        self._start_renewing(record)
        try:
            self._make(record)
        except BaseException:
            self._is_over.set()
            raise
        self._record = record
        for number in _numbers(self._directory):
            if number <= highest:
                self._files.remove(self._directory / str(number))

    def _start_renewing(self, record: Path) -> None:
        """Before there is a record: one that nobody renews does not hold."""
        self._is_over = threading.Event()
        threading.Thread(
            target=self._renew, args=(record, self._is_over), name=_renewer_of(record), daemon=True
        ).start()

    def _make(self, record: Path) -> None:
        if not self._files.create_exclusive(record, msgspec.json.encode(self._mine)):
            raise self._refusal(highest_record(self._directory)[1])
        newest, owner = highest_record(self._directory)
        if str(newest) != record.name:
            self._files.remove(record)
            raise self._refusal(owner)

    def require(self) -> None:
        """Raise SyncRunningError when another took over meanwhile: what follows would be a second writer's work."""
        newest, owner = highest_record(self._directory)
        if self._record is not None and str(newest) != self._record.name:
            raise self._refusal(owner)

    def _renew(self, record: Path, is_over: threading.Event) -> None:
        """In its own thread until the release; a record that cannot be written now is tried again later."""
        renewals = 0
        while not is_over.wait(_RENEWAL_SECONDS):
            renewals += 1
            with contextlib.suppress(OSError):
                if highest_record(self._directory)[0] > int(record.name):
                    return
                renewed = msgspec.structs.replace(self._mine, renewals=renewals)
                with self._writing:
                    if not is_over.is_set():
                        self._files.write_atomic(record, msgspec.json.encode(renewed), durable=False)

    def release(self) -> None:
        """Let others in; the record stays, so that numbers only rise."""
        self._is_over.set()
        if self._record is not None:
            released = msgspec.structs.replace(self._mine, is_released=True)
            with self._writing:
                self._files.write_atomic(self._record, msgspec.json.encode(released), durable=False)
            self._record = None

    def _refusal(self, owner: owners.Owner | None) -> failures.SyncRunningError:
        who = owner.name if owner else "another process"
        return failures.SyncRunningError(
            f"The source {self._source} is being written on this volume by {who}.",
            hint=f"Wait for it. A host that is gone loses its place at most {LAPSE_SECONDS} s after its last renewal.",
        )


def live_locks(control: Path) -> list[str]:
    """The sources that somebody is writing now."""
    held = []
    for directory in sorted((control / "locks").iterdir()):
        number, owner = highest_record(directory) if directory.is_dir() else (0, None)
        if owner is not None and _judge(directory / str(number), owner) is not owners.Judgement.GONE:
            held.append(directory.name)
    return held


def require_no_cleaning(control: Path, watch: Watch | None = None) -> None:
    """Raise SyncRunningError when somebody removes content now; both sides make their record first, then look."""
    directory = control / "locks" / CLEANING
    number, owner = highest_record(directory)
    if owner is not None and _is_held(directory, number, owner, watch):
        raise failures.SyncRunningError(f"The volume is being cleaned by {owner.name}.", hint="Run again in a while.")


def highest_record(directory: Path) -> tuple[int, owners.Owner | None]:
    """The highest number and its owner; (0, None) when there is none, an unreadable one counts as released."""
    highest = max(_numbers(directory), default=0)
    if not highest:
        return 0, None
    try:
        return highest, msgspec.json.decode((directory / str(highest)).read_bytes(), type=owners.Owner)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return highest, None


def _is_held(directory: Path, number: int, owner: owners.Owner, watch: Watch | None) -> bool:
    if watch is not None and owner.token < watch.token:
        return False
    judgement = _judge(directory / str(number), owner)
    if judgement is not owners.Judgement.UNKNOWN or watch is None:
        return judgement is not owners.Judgement.GONE
    return not watch.has_lapsed(directory, number, owner)


def _judge(record: Path, owner: owners.Owner) -> owners.Judgement:
    """A record of this process holds while one of its threads renews it: the release may have been refused."""
    judgement = owners.judge(owner)
    if judgement is owners.Judgement.HOLDING and owner.pid == os.getpid():
        is_renewed = any(thread.name == _renewer_of(record) for thread in threading.enumerate())
        return judgement if is_renewed else owners.Judgement.GONE
    return judgement


def _renewer_of(record: Path) -> str:
    """The name of the thread that renews a record."""
    return f"lock {record}"


def _next_epoch(record: Path, former: owners.Owner | None) -> int:
    if former is None:
        return 0
    return former.epoch + (_judge(record, former) is not owners.Judgement.GONE)


def _numbers(directory: Path) -> list[int]:
    try:
        return [int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal()]
    except FileNotFoundError:
        return []
