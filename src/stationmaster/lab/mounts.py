"""Mounts of a lab: recorded before they are made, taken down in reverse. Also volumes and what happens to volumes.

The directory of a host with a volume is a mount that is shared: what is mounted and unmounted below it shows to all
processes, although each has a view of the mounts of its own (``ip netns exec`` makes one).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from stationmaster.host import programs
from stationmaster.lab import host, record, waiting

FILLER = "filler"
_MIB = 1 << 20
_DISKS = "disks"


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

    def share(self, directory: Path) -> None:
        """Let mounts below a directory show in views that are made later; do it before anything starts there."""
        if str(directory) in self._notes.record.mounts:
            return
        self._notes.add_mount(directory)
        self._runner.run(["mount", "--bind", directory, directory]).require_success(f"Mounting {directory}")
        self._runner.run(["mount", "--make-shared", directory]).require_success(f"Sharing {directory}")

    def make_volume(self, on: host.LabHost, *, size_bytes: int, name: str = "mirror") -> Path:
        """A file system of its own for a host, in memory; its data outlives being unmounted."""
        self.share(on.directory)
        disk, target = on.directory / _DISKS / name, on.directory / name
        for path in (disk, target):
            path.mkdir(parents=True)
        self.mount("tmpfs", disk, f"size={size_bytes},mode=755")
        self._notes.add_mount(target)
        self.attach_volume(target)
        return target

    def attach_volume(self, volume: Path) -> None:
        """Mount a volume that ``make_volume`` made, on all hosts."""
        self._runner.run(["mount", "--bind", _disk_of(volume), volume]).require_success(f"Mounting {volume}")

    def detach_volume(self, volume: Path) -> None:
        """Unmount a volume under a running host, whoever uses it; also one that is not of ``make_volume``."""
        self._runner.run(["umount", "-l", volume]).require_success(f"Unmounting {volume}")

    def turn_read_only(self, volume: Path, file_system: Path | None = None) -> None:
        """What a file system does by itself after an error of its disk. Waits for a moment when nobody is writing.

        ``file_system``: where it is mounted, when ``make_volume`` did not make it.
        """
        command: list[str | Path] = ["mount", "-i", "-o", "remount,ro", file_system or _disk_of(volume)]
        waiting.until(lambda: self._runner.run(command).is_success, 30, "nobody to be writing", every=0.01)

    def turn_writable(self, volume: Path, file_system: Path | None = None) -> None:
        """Undo ``turn_read_only``."""
        command: list[str | Path] = ["mount", "-i", "-o", "remount,rw", file_system or _disk_of(volume)]
        self._runner.run(command).require_success(f"Remounting {volume}")


def _disk_of(volume: Path) -> Path:
    return volume.parent / _DISKS / volume.name


def fill_volume(volume: Path, *, leave_bytes: int = 0) -> Path:
    """Write a file until a volume is full, or ``leave_bytes`` are left; remove the returned file to free it again."""
    filler = volume / FILLER
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
