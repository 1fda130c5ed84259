"""Runs the station setup script, where ``isAutoConfigEnabled`` asks for it (OSMH rule 30): firewall and SELinux labels.

Once for each set of ports. The script says by itself what the host lacks and is skipped; its words go to the log.
"""

from __future__ import annotations

import logging
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.host import programs as host_programs
from stationmaster.model import errors, port_change, ports, protocol, setup_scripts
from stationmaster.station import specs

_log = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 300.0


class Setup:
    """What it was done for is kept in ``marker``."""

    def __init__(self, marker: Path, programs: host_programs.Programs, files: host_files.Files) -> None:
        self._marker = marker
        self._programs = programs
        self._files = files

    def done(self) -> str:
        """The digest of the ports it was last done for."""
        return (host_files.read_text_or_none(self._marker) or "").strip()

    def run(self, desired: protocol.StationDesired, digest: str) -> protocol.Problem | None:
        """Run it; what failed is told and not repeated until the ports or the daemon change."""
        own = port_change.PortSet(_triple(desired.ports), _triple(desired.balancer_ports))
        script = setup_scripts.render_station_setup(own, specs.beside(desired))
        try:
            done = self._programs.run(["sh", "-s"], stdin=script, timeout=_TIMEOUT_SECONDS)
            for line in done.stdout.splitlines():
                _log.info(line, extra={"action": "setup"})
            done.require_success("The station setup script")
        except errors.HostError as exc:
            _log.error(exc.message, extra={"action": "setup", "code": exc.code})
            message = f"{exc.message} Run `stationmaster station setup-script` and its script by hand."
            return protocol.Problem(code="SetupFailed", message=message)
        self._files.write_atomic(self._marker, f"{digest}\n".encode())
        return None


def _triple(given: protocol.Ports) -> ports.PortTriple:
    return ports.PortTriple(given.proxy, given.http, given.https)
