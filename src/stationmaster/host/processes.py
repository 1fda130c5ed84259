"""Processes that others started: which program one runs, what belongs to it, and who holds a port.

A process id in a file proves nothing, since ids are used again; what ``/proc`` says of the process does.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

_LISTENING = "0A"
_PROC = Path("/proc")
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


class Processes:
    """The real processes of this host, as far as this user may see them."""

    def program(self, pid: int) -> str | None:
        """The file name of the program that ``pid`` runs; None when it is gone or a zombie. Survives an upgrade."""
        try:
            return Path(str((_PROC / str(pid) / "exe").readlink()).removesuffix(" (deleted)")).name
        except OSError:
            return None

    def has_ended(self, pid: int) -> bool:
        """Whether nothing of it is left, its sockets included.

        A dying process loses its program first and its descriptors later, thread by thread: one that seems to run no
        program may still listen. A thread that is gone or a zombie has let go of them.
        """
        try:
            threads = list((_PROC / str(pid) / "task").iterdir())
        except OSError:
            return True
        return not any(_is_living(int(thread.name)) for thread in threads)

    def arguments(self, pid: int) -> tuple[str, ...]:
        """Its command line, also where the program wrote a title of its own over it; empty when it is gone."""
        try:
            text = (_PROC / str(pid) / "cmdline").read_bytes()
        except OSError:
            return ()
        return tuple(text.decode(errors="replace").replace("\0", " ").split())

    def family(self, pid: int) -> frozenset[int]:
        """``pid`` and all its living descendants."""
        found: set[int] = set()
        fresh = {pid}
        while fresh:
            found |= fresh
            fresh = {child for parent in fresh for child in _children(parent)} - found
        return frozenset(found)

    def open_files(self, pid: int) -> frozenset[str]:
        """What its descriptors point at, as ``/proc`` words it: paths, and ``socket:[inode]``."""
        found = set()
        with contextlib.suppress(OSError):
            for link in (_PROC / str(pid) / "fd").iterdir():
                with contextlib.suppress(OSError):
                    found.add(str(link.readlink()))
        return frozenset(found)

    def listening_sockets(self, port: int, local: frozenset[str] = frozenset()) -> frozenset[str]:
        """The sockets of this network namespace that listen on TCP ``port``, as ``open_files`` words them.

        Of those, the ones that somebody who listens on the addresses ``local`` would meet; empty means all addresses.
        """
        found = set()
        for table in ("tcp", "tcp6"):
            with contextlib.suppress(OSError):
                for line in (_PROC / "self" / "net" / table).read_text().splitlines()[1:]:
                    fields = line.split()
                    address, _, number = fields[1].rpartition(":")
                    is_it = fields[3] == _LISTENING and int(number, 16) == port
                    if is_it and _is_meeting(_decode_address(address), local):
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


def _children(pid: int) -> frozenset[int]:
    """The living children of one process; from the kernel's own list where it keeps one, which is far cheaper."""
    try:
        tasks = [path / "children" for path in (_PROC / str(pid) / "task").iterdir()]
        found = {int(word) for path in tasks for word in path.read_text().split()}
    except OSError:
        return frozenset(child for child, parent in _parents() if parent == pid)
    return frozenset(child for child in found if _is_living(child))


def _is_living(pid: int) -> bool:
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _parents() -> Iterator[tuple[int, int]]:
    """(process, its parent) for all that live. The program's name stands in brackets and may hold any character."""
    for pid in _all():
        with contextlib.suppress(OSError):
            state, parent = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                yield pid, int(parent)


def _decode_address(text: str) -> str:
    """The kernel prints addresses as 32-bit words in the machine's own byte order."""
    words = [int(text[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _is_meeting(address: str, local: frozenset[str]) -> bool:
    return not local or address in local or address in _ANY or bool(local & _ANY)
