"""Network namespaces and what lives in them: made, listed, emptied and removed. Acts only on names it is given."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

from stationmaster.host import clock, files, programs
from stationmaster.lab import addressing
from stationmaster.model import errors

NAMESPACES = Path("/run/netns")
PER_NAMESPACE_ETC = Path("/etc/netns")  # where ip-netns(8) looks for files to lay over /etc
_CLONE_NEWNET = 0x40000000


class Networks:
    """The namespaces of this machine, through ip(8) and /proc."""

    def __init__(self, runner: programs.Programs, effects: files.Files, time: clock.Clock) -> None:
        self._runner = runner
        self._effects = effects
        self._time = time

    def build(self, plan: addressing.LabPlan) -> None:
        """Make every namespace, bridge, cable and address of the plan."""
        for namespace in plan.namespaces:
            self._ip("netns", "add", namespace)
        self._batch(plan.switch_namespace, addressing.render_link_batch(plan))
        for host in plan.hosts:
            namespace = plan.namespace(host.name)
            self._batch(namespace, addressing.render_address_batch(plan, host.name))
            self._write_etc(namespace, plan.render_hosts_file(host.name))
            # A new namespace may inherit forwarding from the machine (a container engine turns it on).
            self._runner.run(
                ["ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv4.ip_forward=0"]
            ).require_success(f"Turning off forwarding on {host.name}")

    def members(self, namespace: str) -> list[int]:
        """The processes in a namespace, never this one."""
        try:
            wanted = (NAMESPACES / namespace).stat()
        except OSError:
            return []
        found = []
        for entry in os.listdir("/proc"):  # noqa: PTH208  a scan of names alone, many times a second
            if entry.isdigit() and int(entry) != os.getpid():
                with contextlib.suppress(OSError):
                    status = os.stat(f"/proc/{entry}/ns/net")  # noqa: PTH116
                    if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
                        found.append(int(entry))
        return found

    def kill_members(self, namespace: str, *, timeout: float = 10.0) -> int:
        """SIGKILL everything in a namespace, also what is forked meanwhile; returns how many were killed."""
        killed: set[int] = set()
        deadline = self._time.monotonic() + timeout
        while members := self.members(namespace):
            for pid in members:
                if programs.signal_process(pid, signal.SIGKILL):
                    killed.add(pid)
            if self._time.monotonic() > deadline:
                raise errors.HostError(f"Processes {members} of {namespace} do not die.")
            self._time.sleep(0.005)
        return len(killed)

    def signal_members(self, namespace: str, number: signal.Signals) -> int:
        """One signal to everything in a namespace, until no new member turns up; returns how many got it."""
        reached: set[int] = set()
        while fresh := [pid for pid in self.members(namespace) if pid not in reached]:
            for pid in fresh:
                programs.signal_process(pid, number)
                reached.add(pid)
        return len(reached)

    def remove(self, namespace: str) -> None:
        """Remove a namespace and its files in /etc/netns; what is not there is fine."""
        if (NAMESPACES / namespace).exists():
            self._ip("netns", "del", namespace)
        self._effects.remove_tree(PER_NAMESPACE_ETC / namespace)
        with contextlib.suppress(OSError):  # another lab still has files there
            PER_NAMESPACE_ETC.rmdir()

    def _write_etc(self, namespace: str, hosts: str) -> None:
        directory = PER_NAMESPACE_ETC / namespace
        self._effects.make_directory(directory)
        self._effects.write_atomic(directory / "hosts", hosts.encode(), durable=False)
        # Nobody answers there, so a name that is not in the hosts file fails at once and asks nobody outside.
        resolver = b"nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
        self._effects.write_atomic(directory / "resolv.conf", resolver, durable=False)

    def _ip(self, *arguments: str) -> None:
        self._runner.run(["ip", *arguments]).require_success(f"ip {' '.join(arguments)}")

    def _batch(self, namespace: str, commands: str) -> None:
        self._runner.run(["ip", "-n", namespace, "-batch", "-"], stdin=commands).require_success(
            f"Setting up the network of {namespace}"
        )


def enter(namespace: str) -> None:
    """Move the calling thread, and it alone, into a network namespace, for good."""
    descriptor = os.open(NAMESPACES / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.setns(descriptor, _CLONE_NEWNET) != 0:
            raise errors.HostError(f"Cannot enter {namespace}: {os.strerror(ctypes.get_errno())}.")
    finally:
        os.close(descriptor)


def entering(namespace: str) -> Callable[[], None]:
    """``enter`` as the initializer of a thread pool."""
    return lambda: enter(namespace)
