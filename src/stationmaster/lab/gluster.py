"""Shared, replicated storage: real GlusterFS servers on hosts of the lab, mounted through FUSE on others. No systemd.

Two data bricks and an arbiter, so that a majority exists: replica 2 alone refused no write when it was split. Each
server has its own ``/var/lib/glusterd``, ``/var/log/glusterfs`` and ``/run`` in its own view of the mounts, since a
shared ``/run`` would make them fight for one socket. The FUSE client runs in the network of the host that mounts, so it
dies, freezes and is cut off with that host, but in the machine's view of the mounts, where all its processes see it.
"""

from __future__ import annotations

import functools
import signal
from collections.abc import Sequence
from pathlib import Path

from stationmaster.host import programs
from stationmaster.lab import host, lab, network, waiting

NEEDED_PROGRAMS = ("glusterd", "gluster", "glusterfs")
VOLUME = "mirror"
_PORT = 24007
_CLIENT = "glusterfsd"  # glusterfs is a link to it
_PRIVATE = "set -e; for pair in lib:/var/lib/glusterd log:/var/log/glusterfs run:/run; do "
_PRIVATE += 'mount --bind "$0/${pair%%:*}" "${pair#*:}"; done; exec "$@"'
# What an operator has to set (measured): without the first a frozen server stalls everybody for 42 s; the next makes
# link() work beyond 46 names a file; the two after it let other mounts see a renamed file at once. The last two heal
# what a full or absent brick missed within a strike or two instead of ten minutes (ADR 18; not needed to come to rest).
_OPTIONS = (
    ("network.ping-timeout", "2"),
    ("storage.gfid2path", "off"),
    ("performance.stat-prefetch", "off"),
    ("performance.quick-read", "off"),
    ("cluster.quorum-type", "auto"),
    ("cluster.heal-timeout", "30"),
    ("cluster.favorite-child-policy", "majority"),
)


class Storage:
    """Servers that hold one volume; the last of them is the arbiter."""

    def __init__(self, of: lab.Lab, servers: Sequence[host.LabHost]) -> None:
        self.servers = tuple(servers)
        self._lab = of

    def make(self, *, size_bytes: int) -> None:
        """Start the servers, let them know each other, make and start the volume: about six seconds."""
        for server in self.servers:
            self._prepare(server, size_bytes)
            self.start(server)
        for server in self.servers:
            waiting.until(functools.partial(waiting.is_port_open, server, server.address, _PORT), 30, "glusterd")
        for server in self.servers[1:]:
            self._say("peer", "probe", server.address)
        waiting.until(self._are_peers_connected, 30, "the storage servers to meet")
        bricks = [f"{server.address}:{_brick(server) / 'data'}" for server in self.servers]
        arbiter = ("arbiter", "1") if len(self.servers) == 3 else ()
        self._say("volume", "create", VOLUME, "replica", str(len(bricks)), *arbiter, *bricks, "force")
        for name, value in _OPTIONS:
            self._say("volume", "set", VOLUME, name, value)
        self._say("volume", "start", VOLUME)

    def start(self, server: host.LabHost) -> None:
        """Start glusterd on a server, also one that was killed; it starts the server's brick once there is a volume."""
        self._lab.files.remove_tree(_private(server) / "run")  # process ids of the dead
        self._lab.files.make_directory(_private(server) / "run" / "gluster")
        server.start(self._privately(server, "glusterd", "--no-daemon"), log="glusterd.log")

    def mount(self, on: host.LabHost, name: str) -> Path:
        """Mount the volume on a host, below its directory. Do it before anything is started there."""
        self._lab.mounts.share(on.directory)
        target = on.directory / name
        target.mkdir(parents=True)
        self._lab.notes.add_mount(target)
        self.remount(on, target)
        return target

    def remount(self, on: host.LabHost, target: Path) -> None:
        """Mount again what was unmounted, or what lost its client; returns when the file system answers."""
        runner = self._lab.programs
        if is_mounted(target):
            runner.run(["umount", "-l", target]).require_success(f"Unmounting {target}")
        client = ["glusterfs", f"--log-file={on.directory / 'fuse.log'}", f"--volfile-id={VOLUME}"]
        client += [f"--volfile-server={server.address}" for server in self.servers]
        command = ["nsenter", f"--net={network.NAMESPACES / on.namespace}", *client, str(target)]
        runner.run(command).require_success(f"Mounting {target}")
        waiting.until(lambda: is_mounted(target), 20, f"GlusterFS at {target}")
        runner.run(["timeout", "20", "ls", target]).require_success(f"Listing {target}")

    def signal_client(self, on: host.LabHost, number: signal.Signals) -> None:
        """One signal to the FUSE client of a host; a frozen one makes its volume hang."""
        for pid in on.find(_CLIENT, f"--volfile-id={VOLUME}"):
            programs.signal_process(pid, number)

    def brick_directory(self, number: int) -> Path:
        """Where a server keeps its part: the file system to fill for a volume that is full."""
        return _brick(self.servers[number])

    def wait_until_whole(self, seconds: float) -> None:
        """Until every brick is up and nothing waits to be healed."""
        waiting.until(self._is_whole, seconds, "the storage to be whole", every=0.5)

    def _is_whole(self) -> bool:
        asked = self._ask("volume", "heal", VOLUME, "info")
        counts = [line.partition(":")[2].strip() for line in asked.stdout.splitlines() if line.startswith("Number of")]
        return asked.is_success and counts == ["0"] * len(self.servers)

    def _prepare(self, server: host.LabHost, size_bytes: int) -> None:
        brick = _brick(server)
        brick.mkdir()
        self._lab.mounts.mount("tmpfs", brick, f"size={size_bytes},mode=755")
        (brick / "data").mkdir()
        for name in ("lib", "log"):
            (_private(server) / name).mkdir(parents=True)

    def _are_peers_connected(self) -> bool:
        return self._ask("pool", "list").stdout.count("Connected") == len(self.servers)

    def _say(self, *words: str) -> None:
        # Straight after a server has joined, others are refused for a moment: "Another transaction is in progress".
        waiting.until(lambda: self._ask(*words).is_success, 30, f"`gluster {' '.join(words)}`", every=0.2)

    def _ask(self, *words: str) -> programs.Completed:
        first = self.servers[0]
        return first.run(self._privately(first, "gluster", "--mode=script", *words), timeout=60)

    def _privately(self, server: host.LabHost, *command: str) -> list[str | Path]:
        return ["sh", "-c", _PRIVATE, _private(server), *command]


def is_mounted(target: Path) -> bool:
    """Whether something is mounted exactly there; asks the kernel's table, never a file system that may hang."""
    return any(line.split()[4] == str(target) for line in Path("/proc/self/mountinfo").read_text().splitlines())


def _brick(server: host.LabHost) -> Path:
    return server.directory / "brick"


def _private(server: host.LabHost) -> Path:
    return server.directory / "gluster"
