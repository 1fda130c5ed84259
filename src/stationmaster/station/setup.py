"""Opens the firewall and labels the ports of this host, where ``isAutoConfigEnabled`` asks for it (OSMH rule 30).

Only firewalld and SELinux are touched, only when they run here, and only by adding: a port that is open stays open.
"""

from __future__ import annotations

import logging
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.host import programs as host_programs
from stationmaster.model import errors, protocol

_log = logging.getLogger(__name__)


def firewall_commands(ports: tuple[int, ...]) -> tuple[tuple[str, ...], ...]:
    """What opens the ports, now and after a restart of the host."""
    added = tuple(("firewall-cmd", "--permanent", f"--add-port={port}/tcp") for port in ports)
    return (*added, ("firewall-cmd", "--reload"))


def label_commands(kind: str, ports: tuple[int, ...]) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """What labels each port; the second command is for one that has a label already."""
    return tuple(
        (
            ("semanage", "port", "-a", "-t", kind, "-p", "tcp", str(port)),
            ("semanage", "port", "-m", "-t", kind, "-p", "tcp", str(port)),
        )
        for port in ports
    )


class Setup:
    """Runs once for each set of ports; what it was done for is kept in ``marker``."""

    def __init__(self, marker: Path, programs: host_programs.Programs, files: host_files.Files) -> None:
        self._marker = marker
        self._programs = programs
        self._files = files

    def done(self) -> str:
        """The digest of the ports it was last done for."""
        return (host_files.read_text_or_none(self._marker) or "").strip()

    def run(self, desired: protocol.StationDesired, digest: str) -> None:
        """Open and label; a failure is logged and not repeated until the ports change."""
        mirror = tuple(
            port for triple in (desired.ports, desired.balancer_ports) for port in (triple.http, triple.https)
        )
        proxy = (desired.ports.proxy, desired.balancer_ports.proxy)
        try:
            self._open_firewall((*proxy, *mirror))
            self._label(proxy, mirror)
        except errors.HostError as exc:
            _log.warning(exc.message, extra={"action": "setup", "code": exc.code})
        self._files.write_atomic(self._marker, f"{digest}\n".encode())

    def _open_firewall(self, ports: tuple[int, ...]) -> None:
        if (
            self._programs.find("firewall-cmd") is None
            or not self._programs.run(["firewall-cmd", "--state"]).is_success
        ):
            _log.info("firewalld does not run here; no ports are opened.", extra={"action": "setup"})
            return
        for command in firewall_commands(ports):
            self._programs.run(command).require_success("Opening the firewall")
        _log.info("The firewall is open.", extra={"action": "setup", "ports": list(ports)})

    def _label(self, proxy: tuple[int, ...], mirror: tuple[int, ...]) -> None:
        if self._programs.find("selinuxenabled") is None or not self._programs.run(["selinuxenabled"]).is_success:
            _log.info("SELinux is not in force here; no ports are labelled.", extra={"action": "setup"})
            return
        for add, change in (*label_commands("squid_port_t", proxy), *label_commands("http_port_t", mirror)):
            if not self._programs.run(add).is_success:
                self._programs.run(change).require_success("Labelling a port")
        _log.info("Ports are labelled for SELinux.", extra={"action": "setup"})
