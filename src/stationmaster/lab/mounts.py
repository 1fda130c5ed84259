"""Mounts of a lab: recorded before they are made, taken down in reverse. Also volumes that can be filled and lost."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from stationmaster.host import programs
from stationmaster.lab import host, record

_MIB = 1 << 20


class Mounts:
    """Makes mounts for one lab."""

    def __init__(self, runner: programs.Programs, notes: record.RecordFile) -> None:
        self._runner = runner
        self._notes = notes

    def mount(self, kind: str, target: Path, options: str = "") -> None:
        """Mount a file system that has no device of its own; ``target`` exists."""
        self._notes.add_mount(target)
        chosen = ["-o", options] if options else []
        self._runner.run(["mount", "-t", kind, *chosen, kind, target]).require_success(f"Mounting {target}")

    def make_volume(self, on: host.LabHost, *, size_bytes: int, name: str = "mirror") -> Path:
        """A file system of its own for a host, in memory. Make it before the host's daemons start: they see it then."""
        target = on.directory / name
        target.mkdir()
        self.mount("tmpfs", target, f"size={size_bytes},mode=755")
        return target

    def lose_volume(self, on: host.LabHost, volume: Path) -> None:
        """Take a volume away under a running host; every process there has its own view of the mounts."""
        for pid in on.pids():
            self._runner.run(["nsenter", "-m", "-t", str(pid), "umount", "-l", volume])
        self._runner.run(["umount", "-l", volume])


def fill_volume(volume: Path, *, leave_bytes: int = 0) -> Path:
    """Write a file until a volume is full, or ``leave_bytes`` are left; remove the returned file to free it again."""
    filler = volume / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"\0" * _MIB)
    with filler.open("r+b") as stream:
        stream.truncate(max(0, filler.stat().st_size - leave_bytes))
    return filler


def mounted_below(directory: Path) -> list[str]:
    """Mount points at or below a directory, as this process sees them, deepest last."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        target = line.split()[4].replace("\\040", " ")
        if target == str(directory) or target.startswith(f"{directory}/"):
            found.append(target)
    return found


def unmount_all(runner: programs.Programs, targets: Sequence[str]) -> None:
    """Unmount, last first; a busy one is detached, since its users are dead or dying."""
    for target in reversed(targets):
        if target in mounted_below(Path(target)) and not runner.run(["umount", target]).is_success:
            runner.run(["umount", "-l", target]).require_success(f"Unmounting {target}")
