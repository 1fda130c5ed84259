"""Who made a record on a volume, and what can be said of that process from here.

A process is provably gone when this kernel's run is the one it ran in, and no such process is there. Host names prove
nothing, since clones share them: hosts are told apart by the kernel's boot id, so a restarted host is another one, too.
"""

from __future__ import annotations

import enum
import os
from pathlib import Path

import msgspec

from stationmaster.host import files as host_files
from stationmaster.host import network


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

    @property
    def name(self) -> str:
        """For people."""
        return f"process {self.pid} on {self.host}"


class Judgement(enum.Enum):
    """What can be said of a record from here."""

    HOLDING = enum.auto()
    GONE = enum.auto()
    UNKNOWN = enum.auto()  # another kernel wrote it, or a process in another pid namespace


def judge(owner: Owner) -> Judgement:
    """What this process can know of a record's owner."""
    if owner.is_released:
        return Judgement.GONE
    me = myself()
    if (owner.boot, owner.space) != (me.boot, me.space) or not me.boot:
        return Judgement.UNKNOWN
    return Judgement.HOLDING if _start_of(owner.pid) == owner.started else Judgement.GONE


def is_holding(owner: Owner) -> bool:
    """Whether a record may still hold: what cannot be judged from here is believed."""
    return judge(owner) is not Judgement.GONE


def myself() -> Owner:
    """This process."""
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
