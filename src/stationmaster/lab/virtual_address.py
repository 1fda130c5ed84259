"""Two balancer nodes that share one address: ``balancer run`` and a real keepalived on each, and how a node is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stationmaster.lab import addressing, host, machines, waiting
from stationmaster.lab.addressing import Network
from stationmaster.model import errors

_LEG = addressing.leg_name(Network.EDGE)


class Node:
    """One balancer node. Its keepalived has what ``balancer render --format keepalived`` printed for it."""

    def __init__(self, on: host.LabHost, address: str, hostname: str, environment: Mapping[str, str]) -> None:
        self.on = on
        self.balancer = machines.Balancer(on)
        self._address = address
        self._hostname = hostname
        self._environment = environment

    def start(self, configuration: str) -> None:
        """Start HAProxy by ``balancer run``, then keepalived with a configuration; does not wait for the address."""
        machines.write_secret(self.on.directory / "keepalived.conf", configuration)
        self._start()

    def holds_address(self) -> bool:
        """Whether the shared address is configured here."""
        shown = self.on.run(["ip", "-o", "-4", "addr", "show", "dev", _LEG]).require_success("Listing addresses")
        return f" {self._address}/" in shown.stdout

    def power_off(self) -> None:
        """Its power is gone: off the network first, so that the kernel of this machine does not answer for it."""
        self.on.cut()
        self.on.kill_all()
        self.on.run(["ip", "addr", "del", f"{self._address}/32", "dev", _LEG])  # where it was held

    def power_on(self) -> None:
        """Bring it back: network, HAProxy, keepalived."""
        self.on.heal()
        self._start()

    def _start(self) -> None:
        self.balancer.follow(self._hostname, self._environment)
        place = self.on.directory
        files: list[str | Path] = [
            "-f",
            place / "keepalived.conf",
            "-p",
            place / "keepalived.pid",
            "-r",
            place / "vrrp.pid",
        ]
        self.on.start(["keepalived", "--dont-fork", "--log-console", *files], log="keepalived.log")


def render_options(node: host.LabHost, peer: host.LabHost, address: str, priority: int) -> tuple[str, ...]:
    """What ``balancer render`` is told for one node of a pair: VRRP between the two by unicast, where instances are."""
    return (
        *("--format", "keepalived", "--bind", address, "--interface", _LEG, "--priority", str(priority)),
        *("--source", node.address_on(Network.EDGE), "--peer", peer.address_on(Network.EDGE)),
    )


def wait_for_holder(nodes: Sequence[Node], seconds: float = 20.0) -> None:
    """Until one node holds the address, and it alone."""
    try:
        waiting.until(lambda: sum(node.holds_address() for node in nodes) == 1, seconds, "one holder of the address")
    except errors.HostError as exc:
        logs = "; ".join((node.on.directory / "keepalived.log").read_text()[-300:] for node in nodes)
        raise errors.HostError(f"{exc.message} keepalived says: {logs}") from exc
