"""Processes that others started: which program one runs, what belongs to it, and who holds a port.

A process id in a file proves nothing, since ids are used again; what ``/proc`` says of the process does.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_LISTENING = "0A"
_PROC = Path("/proc")


class Processes:
    """The real processes of this host, as far as this user may see them."""

    def program(self, pid: int) -> str | None:
        """The file name of the program that ``pid`` runs; None when it is gone or a zombie. Survives an upgrade."""
        try:
            return Path(str((_PROC / str(pid) / "exe").readlink()).removesuffix(" (deleted)")).name
        except OSError:
            return None

    def arguments(self, pid: int) -> tuple[str, ...]:
        """Its command line, also where the program wrote a title of its own over it; empty when it is gone."""
        try:
            text = (_PROC / str(pid) / "cmdline").read_bytes()
        except OSError:
            return ()
        return tuple(text.decode(errors="replace").replace("\0", " ").split())

    def family(self, pid: int) -> frozenset[int]:
        """``pid`` and all its living descendants."""
        parents = dict(_parents())
        found = {pid}
        while True:
            more = {child for child, parent in parents.items() if parent in found} - found
            if not more:
                return frozenset(found)
            found |= more

    def open_files(self, pid: int) -> frozenset[str]:
        """What its descriptors point at, as ``/proc`` words it: paths, and ``socket:[inode]``."""
        found = set()
        with contextlib.suppress(OSError):
            for link in (_PROC / str(pid) / "fd").iterdir():
                with contextlib.suppress(OSError):
                    found.add(str(link.readlink()))
        return frozenset(found)

    def listening_sockets(self, port: int) -> frozenset[str]:
        """The sockets of this network namespace that listen on TCP ``port``, as ``open_files`` words them."""
        found = set()
        for table in ("tcp", "tcp6"):
            with contextlib.suppress(OSError):
                for line in (_PROC / "self" / "net" / table).read_text().splitlines()[1:]:
                    fields = line.split()
                    if fields[3] == _LISTENING and int(fields[1].rsplit(":", 1)[1], 16) == port:
                        found.add(f"socket:[{fields[9]}]")
        return frozenset(found)

    def holders(self, sockets: frozenset[str]) -> tuple[int, ...]:
        """The processes that have one of these sockets open; empty when they are another user's."""
        return tuple(pid for pid in _all() if sockets & self.open_files(pid))

    def with_program(self, name: str) -> tuple[int, ...]:
        """All processes that run a program of this file name."""
        return tuple(pid for pid in _all() if self.program(pid) == name)

    def signal(self, pid: int, number: signal.Signals) -> bool:
        """Send a signal; False when the process is gone."""
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True


def _all() -> list[int]:
    return sorted(int(path.name) for path in _PROC.iterdir() if path.name.isdigit())


def _parents() -> Iterator[tuple[int, int]]:
    """(process, its parent) for all that live. The program's name stands in brackets and may hold any character."""
    for pid in _all():
        with contextlib.suppress(OSError):
            state, parent = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                yield pid, int(parent)
