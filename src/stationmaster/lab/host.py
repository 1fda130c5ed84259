"""One host of a lab: run and start programs on it, and do to it what happens to hosts."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from stationmaster.host import processes, programs
from stationmaster.lab import addressing, network, record

_Result = TypeVar("_Result")

# What this machine's environment says of proxies and trust holds for its own network, not for the lab's.
MACHINE_VARIABLES = (
    *("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_THREADS = 96  # at most; made as they are needed
_SPARE_OCTET = 200  # above those of hosts and of floating names
# Machines tell the hub what they are called: each host has a host name of its own, in a namespace for such names.
_START = 'printf %s "$0" > /proc/sys/kernel/hostname; unset ' + " ".join(MACHINE_VARIABLES) + '; exec "$@"'
_NAMED = ("unshare", "--uts", "sh", "-c", _START)


class LabHost:
    """A network namespace with an address per leg and a state directory. ``Lab`` makes them."""

    def __init__(
        self,
        plan: addressing.LabPlan,
        name: str,
        directory: Path,
        networks: network.Networks,
        runner: programs.Programs,
        notes: record.RecordFile,
    ) -> None:
        self.name = name
        self.namespace = plan.namespace(name)
        self.directory = directory
        self.address = plan.address(name)
        self._plan = plan
        self._networks = networks
        self._runner = runner
        self._notes = notes
        self._running: list[programs.RunningProgram] = []
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None

    def address_on(self, leg: addressing.Network) -> str:
        """This host's address on one network."""
        return self._plan.address(self.name, leg)

    def run(
        self,
        arguments: Sequence[str | Path],
        *,
        timeout: float = 60.0,
        stdin: str | None = None,
        environment: Mapping[str, str] | None = None,
        root: Path | None = None,
    ) -> programs.Completed:
        """Run a program on this host to its end, inside ``root`` (chroot) when one is given."""
        answer = self._runner.run(
            self._located(arguments, root),
            timeout=timeout,
            stdin=stdin,
            environment=environment,
            directory=self.directory,
        )
        # Whoever reads an error wants the program's name, not those of what brought it to its host.
        return dataclasses.replace(answer, arguments=tuple(str(argument) for argument in arguments))

    def start(
        self,
        arguments: Sequence[str | Path],
        *,
        log: str,
        environment: Mapping[str, str] | None = None,
        root: Path | None = None,
    ) -> programs.RunningProgram:
        """Start a program on this host and leave it running; its output goes to ``log`` in the host's directory."""
        running = self._runner.start(
            self._located(arguments, root), log=self.directory / log, environment=environment, directory=self.directory
        )
        self._running.append(running)
        self._notes.add_process(self.namespace, running.pid)
        return running

    def call(self, function: Callable[[], _Result]) -> _Result:
        """Run Python code whose sockets are this host's; names resolve as on the machine, so use addresses."""
        if self._threads is None:
            self._threads = concurrent.futures.ThreadPoolExecutor(
                _THREADS, thread_name_prefix=self.name, initializer=network.entering(self.namespace)
            )
        return self._threads.submit(function).result()

    def pids(self) -> list[int]:
        """Every process on this host, daemons included."""
        return self._networks.members(self.namespace)

    def find(self, program: str, *words: str) -> list[int]:
        """The processes on this host that run a program (its file's name) with all of these words as arguments."""
        looked = processes.Processes()
        return [
            pid for pid in self.pids() if looked.program(pid) == program and set(words) <= set(looked.arguments(pid))
        ]

    def kill_all(self) -> int:
        """Power off: SIGKILL to everything, nobody gets to say goodbye. Returns how many processes died."""
        killed = self._networks.kill_members(self.namespace)
        self.reap()
        return killed

    def freeze(self) -> int:
        """SIGSTOP to everything: ports stay open and connections are accepted by the kernel, but nobody answers."""
        return self._networks.signal_members(self.namespace, signal.SIGSTOP)

    def thaw(self) -> int:
        """SIGCONT to everything."""
        return self._networks.signal_members(self.namespace, signal.SIGCONT)

    def cut(
        self,
        direction: addressing.Direction = addressing.Direction.BOTH,
        *,
        peers: Sequence[LabHost] = (),
    ) -> None:
        """Drop this host's traffic in silence, as behind a dead switch; with ``peers`` only that with these hosts."""
        self.heal()
        addresses = tuple(address for peer in peers for address in peer.addresses())
        table = addressing.render_cut(direction, addresses)
        self.run(["nft", "-f", "-"], stdin=table).require_success(f"Cutting off {self.name}")

    def heal(self) -> None:
        """Undo ``cut``; fine when nothing was cut."""
        self.run(["nft", "-f", "-"], stdin=addressing.render_heal()).require_success(f"Healing {self.name}")

    def addresses(self) -> tuple[str, ...]:
        """Every address of this host."""
        return tuple(self.address_on(leg) for leg in self._plan.spec(self.name).networks)

    def add_addresses(self, leg: addressing.Network, count: int) -> tuple[str, ...]:
        """Further addresses of this host on one network, as if it were several machines."""
        first = self.address_on(leg)
        found = tuple(f"{first.rpartition('.')[0]}.{number}" for number in range(_SPARE_OCTET, _SPARE_OCTET + count))
        for address in found:
            command = ["ip", "addr", "add", f"{address}/24", "dev", addressing.leg_name(leg)]
            self.run(command).require_success(f"Adding {address} to {self.name}")
        return found

    def reap(self) -> None:
        """Take the exit status of what was started here and has ended."""
        self._running = [running for running in self._running if running.wait(0.5) is None]

    def close(self) -> None:
        """Let go of threads that sit in the namespace, or it would outlive its removal."""
        if self._threads is not None:
            self._threads.shutdown(wait=True)
            self._threads = None

    def _located(self, arguments: Sequence[str | Path], root: Path | None) -> list[str | Path]:
        inside: list[str | Path] = ["chroot", root] if root else []
        return ["ip", "netns", "exec", self.namespace, *_NAMED, self.name, *inside, *arguments]
