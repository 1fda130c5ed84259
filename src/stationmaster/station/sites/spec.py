"""Everything that the configuration of nginx and squid depends on, as values.

Leaves to others: what the station should be (``station.plan`` fills these from the desired state), how a
configuration is written (``nginx``, ``squid``), and how it reaches the running program (``program``).

What the station daemon keeps below the state directory for nginx, which only reads it:

    daemon.sock              answers ``GET /healthz`` and ``GET /healthz?tier=serving``; nginx's user must be able to
                             connect, so make the socket world-writable or give it to ``NginxSpec.user``
    serving/                 which moments the station was fit to serve in; see ``serving``
    www/m-http/<source>      the one-line list with the group's HTTP address
    www/m-https/<source>     the same with the HTTPS address
    www/u/<source>           symlink to ``generations/<source>/<visible>/tree`` on the volume (absolute target)
    www/u-former/<source>    the same for the generation that was visible before; may be absent. Hashed metadata of it
                             stays fetchable at the unpinned address (ha-protocol R3)
    www/keys/<source>.asc    mirrored keys
    www/instance-setup.sh    the generated script

The state directory and ``www`` must be searchable by nginx's user (mode 0711 or wider); secrets in it are 0600.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from stationmaster.model import addresses, errors, forward_proxy, plain_path, port_change, ports

_UNIX_SOCKET_LIMIT = 107
_STATION_ID = re.compile(r"[A-Za-z0-9._-]{1,255}")


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A TLS certificate chain and its key. ``digest`` changes with their content, so that a renewal is a difference."""

    chain: Path
    key: Path
    digest: str


def read_certificate(chain: Path, key: Path) -> Certificate:
    """The certificate in these two files as it is now; raises OSError when one cannot be read."""
    digest = hashlib.sha256(chain.read_bytes() + b"\0" + key.read_bytes()).hexdigest()
    return Certificate(chain, key, digest)


@dataclasses.dataclass(frozen=True)
class NginxSpec:
    """The mirror on four listeners: two for clients that come directly, two for the group's balancers.

    ``direct`` and ``balancer`` carry the proxy port too, which nginx does not use. ``permitted`` empty means nobody
    (I10). Without ``certificate`` the two HTTPS listeners are left out. ``user`` is whom the workers run as; None when
    the daemon is not root. ``listen`` are local addresses; ``::`` is added where the host has IPv6. Who shows
    ``probe_token`` in the header ``X-Stationmaster-Probe`` may read the trees: so the daemon proves from the station
    itself, whatever range is permitted, that clients can fetch a generation (ha-protocol R4). ``monitors`` may read
    ``/metrics`` on the direct ports. ``peers`` are the stations that may read the trees by the certificate that
    ``authority``, a file, has signed for them (ADR 14). ``is_volume_silent``: nothing looks at the mirror directory.
    ``beside`` are served as well, while the ports of the group change (ADR 24).
    """

    state_directory: Path
    mirror_directory: Path
    hostname: str
    direct: ports.PortTriple
    balancer: ports.PortTriple
    permitted: tuple[addresses.Network, ...]
    balancer_addresses: tuple[str, ...]
    peers: tuple[str, ...] = ()
    authority: Path | None = None
    is_volume_silent: bool = False
    certificate: Certificate | None = None
    user: str | None = "www-data"
    listen: tuple[str, ...] = ("0.0.0.0",)  # noqa: S104 - a station is there to be reached
    worker_processes: str = "auto"
    probe_token: str = dataclasses.field(default="", repr=False)
    monitors: tuple[addresses.Network, ...] = ()
    beside: port_change.PortSet | None = None

    def __post_init__(self) -> None:
        plain_path.require_plain_path(self.state_directory, what="The state directory")
        plain_path.require_plain_path(self.mirror_directory, what="The mirror directory")
        for peer in self.peers:
            if not _STATION_ID.fullmatch(peer):
                raise errors.CallerError(f"{peer!r} is no OCID of a station.", hint="The hub should give OCIDs.")
        if len(str(self.daemon_socket)) > _UNIX_SOCKET_LIMIT:
            raise errors.CallerError(
                f"The state directory {self.state_directory} is too long a path for a Unix socket in it.",
                hint=f"Choose one of at most {_UNIX_SOCKET_LIMIT - len('/daemon.sock')} characters.",
            )

    @property
    def daemon_socket(self) -> Path:
        """Where the daemon answers for its health."""
        return self.state_directory / "daemon.sock"

    @property
    def directory(self) -> Path:
        """The directory of nginx itself: configuration, pid file, temporary files."""
        return self.state_directory / "nginx"

    @property
    def www(self) -> Path:
        """What the daemon gives nginx to serve beside the volume."""
        return self.state_directory / "www"

    @property
    def serving(self) -> Path:
        """The directory of moments (``serving``)."""
        return self.state_directory / "serving"

    @property
    def log(self) -> Path:
        """Access and error logs."""
        return self.state_directory / "log"


@dataclasses.dataclass(frozen=True)
class HubTarget:
    """The hub as the proxy may reach it: its names, port and last known addresses."""

    names: tuple[str, ...]
    port: int
    addresses: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class SquidSpec:
    """The proxy on two ports. ``service_name`` is unique per station on one machine: letters and digits only.

    ``beside`` are served as well, while the ports of the group change (ADR 24).
    """

    state_directory: Path
    service_name: str
    direct: ports.PortTriple
    balancer: ports.PortTriple
    permitted: tuple[addresses.Network, ...]
    balancer_addresses: tuple[str, ...]
    hub: HubTarget
    forward: forward_proxy.ForwardProxy | None = None
    is_enabled: bool = True
    user: str | None = "proxy"
    listen: tuple[str, ...] = ("0.0.0.0",)  # noqa: S104 - a station is there to be reached
    beside: port_change.PortSet | None = None

    def __post_init__(self) -> None:
        plain_path.require_plain_path(self.state_directory, what="The state directory")
        if not re.fullmatch(r"[A-Za-z0-9]{1,32}", self.service_name):
            raise errors.CallerError(
                f"The squid service name {self.service_name!r} is not 1 to 32 letters and digits.",
                hint="Use squid_service_name(station_id).",
            )
        if not self.hub.names:
            raise errors.CallerError("The proxy has no hub to reach.", hint="Give the hub's name or address.")

    @property
    def directory(self) -> Path:
        """The directory of squid itself: configuration, pid file, hosts file."""
        return self.state_directory / "squid"

    @property
    def log(self) -> Path:
        """Access and cache logs."""
        return self.state_directory / "log"


def squid_service_name(station_id: str, state_directory: Path, user: str | None = "proxy") -> str:
    """A name for squid's shared segments: equal after a restart, different for each station and user of a machine.

    Segments that another user's squid left behind keep one of the same name from starting.
    """
    text = f"{station_id}\n{state_directory}\n{user or ''}"
    return "sm" + hashlib.sha256(text.encode()).hexdigest()[:12]


def sorted_addresses(found: Iterable[str]) -> list[str]:
    """Addresses in one order and one spelling, each once: the order in which they were found changes nothing.

    Those with a zone are left out: no other machine connects from one that this machine would name so.
    """
    parsed = {addresses.unmapped(addresses.parse_address(one)) for one in found if "%" not in one}
    return [str(one) for one in sorted(parsed, key=lambda one: (one.version, int(one)))]


def sorted_networks(found: Iterable[addresses.Network]) -> list[str]:
    """Networks in one order, each once."""
    ordered = sorted(set(found), key=lambda one: (one.version, int(one.network_address), one.prefixlen))
    return [str(one) for one in ordered]
