"""A lab as a whole: made from a plan, recorded, taken down whole; also one that an earlier process left half-made."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from stationmaster.host import clock, files, programs
from stationmaster.lab import addressing, host, mounts, network, record
from stationmaster.model import errors

NEEDED_PROGRAMS = ("ip", "nft", "chroot", "mount", "umount", "sysctl", "unshare")


class Lab:
    """Hosts by name. Use as a context, or call ``close`` yourself; ``remove_leftovers`` is for other processes."""

    def __init__(self, plan: addressing.LabPlan, notes: record.RecordFile, *, keep_files: bool = False) -> None:
        self.plan = plan
        self.directory = Path(notes.record.directory)
        self.notes = notes
        self.files = files.Files()
        self.programs = programs.Programs()
        self.clock = clock.SystemClock()
        self.networks = network.Networks(self.programs, self.files, self.clock)
        self.mounts = mounts.Mounts(self.programs, notes)
        self.hosts: Mapping[str, host.LabHost] = {}
        self._keep_files = keep_files

    @classmethod
    def build(
        cls,
        hosts: Sequence[addressing.HostSpec],
        *,
        floating: Sequence[addressing.FloatingName] = (),
        base: Path = record.BASE,
        note: Mapping[str, str] | None = None,
        keep_files: bool = False,
    ) -> Lab:
        """Make a lab. When a step fails, what was made is removed again before the error goes on."""
        _require_root()
        effects = files.Files()
        record.claim_base(base, effects)
        plan = addressing.LabPlan(_unused_id(base), tuple(hosts), tuple(floating))
        directory = base / "labs" / plan.lab_id
        effects.make_directory(directory)
        owner = record.ProcessRecord("", os.getpid(), record.start_ticks(os.getpid()) or 0)
        made = record.LabRecord(plan.lab_id, str(directory), owner, list(plan.namespaces), note=dict(note or {}))
        lab = cls(plan, record.RecordFile(made, effects), keep_files=keep_files)
        lab.notes.save()
        try:
            lab._make()
        except BaseException:
            lab.close()
            raise
        return lab

    def __getitem__(self, name: str) -> host.LabHost:
        """The host of that name."""
        self.plan.spec(name)
        return self.hosts[name]

    def close(self) -> None:
        """Remove everything this lab made. Can be called again."""
        for member in self.hosts.values():
            member.close()
        remove_lab(self.notes.record, keep_files=self._keep_files)
        for member in self.hosts.values():
            member.reap()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make(self) -> None:
        for name in NEEDED_PROGRAMS:
            self.programs.require(name)
        self.networks.build(self.plan)
        made = {}
        for spec in self.plan.hosts:
            directory = self.directory / spec.name
            self.files.make_directory(directory)
            made[spec.name] = host.LabHost(self.plan, spec.name, directory, self.networks, self.programs, self.notes)
        self.hosts = made


def remove_lab(made: record.LabRecord, *, keep_files: bool = False) -> None:
    """Remove what a record names: processes, mounts, namespaces, files. What is gone already is fine."""
    effects = files.Files()
    runner = programs.Programs()
    networks = network.Networks(runner, effects, clock.SystemClock())
    for namespace in made.namespaces:
        networks.kill_members(namespace)
    for process in made.processes:
        if record.is_alive(process):  # it left its namespace, which nothing of ours does
            programs.signal_process(process.pid, signal.SIGKILL)
    mounts.unmount_all(runner, made.mounts)
    for namespace in reversed(made.namespaces):
        networks.remove(namespace)
    directory = Path(made.directory)
    if not keep_files and directory.is_dir():
        left = mounts.mounted_below(directory)
        if left:  # removing files through a mount would remove somebody else's
            raise errors.HostError(f"Still mounted: {', '.join(left)}.", hint="Unmount it, then run the removal again.")
        effects.remove_tree(directory)


def remove_leftovers(base: Path = record.BASE) -> list[str]:
    """Remove the labs of processes that have ended; returns their ids."""
    removed = []
    for made in record.find_records(base):
        if not record.is_alive(made.owner):
            remove_lab(made)
            removed.append(made.lab_id)
    return removed


def _require_root() -> None:
    if os.geteuid() != 0:
        raise errors.HostError("The lab makes network namespaces, which needs root.", hint="Run it as root.")


def _unused_id(base: Path) -> str:
    taken = {path.name for path in (base / "labs").glob("*")} if (base / "labs").is_dir() else set()
    while True:
        candidate = secrets.token_hex(2)
        if candidate not in taken and not (network.NAMESPACES / f"sm-{candidate}-net").exists():
            return candidate
