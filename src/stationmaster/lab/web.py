"""The lab's upstream web server: a real nginx on a host, whose log can be counted."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from stationmaster.host import programs
from stationmaster.lab import host, waiting

_LINE = re.compile(r'^(?P<method>\S+) (?P<path>\S+) (?P<status>\d+) (?P<bytes>\d+) (?P<client>\S+) "(?P<agent>.*)"$')

_IMMUTABLE = re.compile(r"\.rpm$|\.deb$|/by-hash/|/repodata/[0-9a-f]{32,}-")


def render_nginx(site: Path, directory: Path, *, port: int = 80, rate_bytes: int = 0) -> str:
    """A whole nginx.conf that serves ``site``; ``rate_bytes`` a second and connection when it is not 0."""
    limit = f"    limit_rate {rate_bytes};\n" if rate_bytes else ""
    temporary = "".join(
        f"  {kind}_temp_path {directory}/nginx-tmp;\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # The cache that the site's files are linked from may lie where only root gets, hence `user root`.
    return (
        "user root;\nworker_processes 1;\ndaemon off;\n"
        f"pid {directory}/nginx.pid;\nerror_log {directory}/error.log warn;\nevents {{ worker_connections 512; }}\n"
        "http {\n  types { }\n  default_type application/octet-stream;\n  sendfile on;\n  keepalive_timeout 30;\n"
        f"{temporary}"
        "  log_format lab '$request_method $uri $status $bytes_sent $remote_addr \"$http_user_agent\"';\n"
        f"  access_log {directory}/access.log lab;\n"
        f"  server {{\n    listen {port};\n    root {site};\n    autoindex on;\n{limit}  }}\n}}\n"
    )


class UpstreamServer:
    """nginx on one host of the lab."""

    def __init__(self, on: host.LabHost, site: Path, *, port: int = 80, rate_bytes: int = 0) -> None:
        self._host = on
        self._port = port
        self._log = on.directory / "access.log"
        (on.directory / "nginx.conf").write_text(render_nginx(site, on.directory, port=port, rate_bytes=rate_bytes))

    def start(self) -> programs.RunningProgram:
        """Start nginx and wait until it answers."""
        configuration = self._host.directory / "nginx.conf"
        running = self._host.start(
            ["nginx", "-p", self._host.directory, "-e", self._host.directory / "error.log", "-c", configuration],
            log="nginx.log",
        )
        waiting.until(
            lambda: waiting.is_port_open(self._host, self._host.address, self._port), 10, "the upstream's nginx"
        )
        return running

    def requests(self) -> Mapping[str, int]:
        """How many requests each path has had, answered well or not."""
        return count_requests(self._log.read_text()) if self._log.exists() else {}

    def bytes_sent(self) -> int:
        """All bytes of all answers."""
        found = (_LINE.match(line) for line in self._log.read_text().splitlines())
        return sum(int(match["bytes"]) for match in found if match)

    def sent(self) -> Sent:
        """What was sent so far of what never changes under its name."""
        return count_sent(self._log.read_text())

    def copies_sent(self) -> float:
        """``Sent.copies``."""
        return self.sent().copies

    def forget(self) -> None:
        """Start counting anew."""
        self._log.write_text("")


@dataclasses.dataclass(frozen=True)
class Sent:
    """Bytes of what never changes under its name: packages, and metadata named by digest.

    ``one`` is one copy: each of them as long as its longest whole answer. ``repeated`` is what was sent beyond that.
    Root documents and plain names are asked for again on purpose.
    """

    one: int
    repeated: int

    @property
    def copies(self) -> float:
        """1.0 when nothing came twice, 0.0 when nothing came."""
        return (self.one + self.repeated) / self.one if self.one else 0.0


def count_sent(log: str) -> Sent:
    """See ``Sent``."""
    sent: collections.Counter[str] = collections.Counter()
    whole: dict[str, int] = {}
    for match in (_LINE.match(line) for line in log.splitlines()):
        if match and match["status"] in {"200", "206"} and _IMMUTABLE.search(match["path"]):
            sent[match["path"]] += int(match["bytes"])
            if match["status"] == "200":
                whole[match["path"]] = max(whole.get(match["path"], 0), int(match["bytes"]))
    one = sum(whole.values())
    return Sent(one, max(0, sum(sent.values()) - one))


def count_requests(log: str) -> Mapping[str, int]:
    """Requests by path in a log of ours."""
    found = (_LINE.match(line) for line in log.splitlines())
    return collections.Counter(match["path"] for match in found if match)
