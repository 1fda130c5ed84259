"""What the hub tells a station: all that it should be, and with each heartbeat what it may do now."""

from __future__ import annotations

import datetime

from stationmaster.model.protocol.messages import ClientAddress, Message, Ports, Problem, SourceFormat, Visible
from stationmaster.model.protocol.visible_record import SignedRecord


class UpstreamAccess(Message, frozen=True):
    """What an upstream wants to see, lists of its mirrors, and how far its packages are believed; all optional.

    Paths are on the station's host.
    """

    mirrorlist: str = ""
    metalink: str = ""
    username: str = ""
    password: str = ""
    client_certificate: str = ""
    client_key: str = ""
    ca_file: str = ""
    is_each_package_checked: bool = False

    def __repr__(self) -> str:
        """Without the password: messages end up in logs and in failed tests."""
        return f"UpstreamAccess(username={self.username!r}, …)"


class MirrorSource(Message, frozen=True):
    """What to mirror, and how upstream is reached. ``sync_number`` rises when a sync is wanted.

    ``is_root_signed``: the root document must carry a signature by one of the keys (I13). False where an operator said
    ``repo_gpgcheck=0`` of an upstream that signs its packages only.
    """

    source_id: str
    name: str
    format: SourceFormat
    url: str
    suites: list[str] = []
    components: list[str] = []
    architectures: list[str] = []
    gpg_keys: list[str] = []
    gpg_key_urls: list[str] = []
    is_gpg_checked: bool = True
    is_root_signed: bool = True
    is_tls_verified: bool = True
    access: UpstreamAccess | None = None
    sync_number: int = 0
    display_name: str = ""

    @property
    def title(self) -> str:
        """What people call it."""
        return self.display_name or self.name


class Peer(Message, frozen=True):
    """Another station of the group, and where it is reached."""

    station_id: str
    display_name: str
    addresses: list[str]
    ports: Ports


class HubAddress(Message, frozen=True):
    """How machines reach the hub: a name for signing and TLS, a port, and the addresses it last resolved to."""

    url: str
    host: str
    port: int
    addresses: list[str] = []


class StationDesired(Message, frozen=True):
    """Everything a station should be; kept by it, so that it can start without the hub (I9).

    ``also_ports`` and ``also_balancer_ports`` are served beside ``ports`` while the ports of the group change (ADR 24);
    clients are told ``ports``.
    """

    station_id: str
    display_name: str
    group_id: str
    compartment_id: str
    client_address: ClientAddress
    ports: Ports
    balancer_ports: Ports
    balancer_addresses: list[str]
    peers: list[Peer]
    is_proxy_enabled: bool
    permitted_ranges: list[str]
    forward_proxy: str | None
    mirror_directory: str
    certificate_path: str | None
    hub: HubAddress
    is_draining: bool
    is_auto_config_enabled: bool
    sources: list[MirrorSource]
    instance_setup_script: str = ""
    heartbeat_seconds: float = 2.0
    confirmed_seconds: float = 6.0
    retention_seconds: float = 3 * 86400.0
    agent_port: int = 0  # where HAProxy's agent check is answered; 0 for none
    also_ports: Ports | None = None
    also_balancer_ports: Ports | None = None


class Lease(Message, frozen=True):
    """The right to stage a source from its upstream for the group (R1, R5); ``token`` rises with each new holder.

    ``seconds`` counts from the *sending* of the heartbeat that this answers, on a clock that runs through suspend; the
    holder stops after ``stop_after_seconds``, before the hub may give the lease to another.
    """

    source_id: str
    token: int
    seconds: float = 10.0
    stop_after_seconds: float = 8.0


class VolumeLease(Message, frozen=True):
    """The right to remove from a volume, by volume id alone, whatever groups use it (R10); times as in `Lease`.

    ``room_bytes``: how much must be free there for what one of its stations could not bring (R12); 0 for no want.
    """

    volume_id: str
    token: int
    seconds: float = 10.0
    stop_after_seconds: float = 8.0
    room_bytes: int = 0


class Copy(Message, frozen=True):
    """A generation that this station's volume should hold and lacks; ``holders`` are stations that have it, best first.

    ``is_candidate``: the group waits for it before it becomes visible (R7); else it is visible already.
    """

    source_id: str
    generation: str
    holders: list[str]
    is_candidate: bool = True


class HeartbeatAnswer(Message, frozen=True):
    """``desired`` is left out when the station already has the one named by ``desired_digest``.

    ``is_in_rotation`` is false for a station that lags too long: it must not be ready any more (ha-protocol R2, R5).
    ``leases`` is null from a hub that gives none: each station then syncs from the upstream by itself, as the first
    release did. ``copies`` are told to one station of each volume. ``retained`` names, per source, generations that
    must not be removed (candidate, visible, predecessor, and those that some station may still show).
    ``volume_problem`` says why the hub does not let this station use its volume (a copied volume id, R10). ``record``
    is what the station needs for a restart without the hub, when it has not got it yet (R12). ``pinned`` is told while
    room is needed: what of ``retained`` must stay even then (candidates, and what some station may still show or go
    back to). ``noted`` are notices that are stored.
    """

    time_received: datetime.datetime
    desired_digest: str
    desired: StationDesired | None = None
    visible: list[Visible] = []
    is_in_rotation: bool = True
    leases: list[Lease] | None = None
    copies: list[Copy] = []
    volume_lease: VolumeLease | None = None
    retained: dict[str, list[str]] = {}
    volume_problem: Problem | None = None
    record: SignedRecord | None = None
    pinned: dict[str, list[str]] | None = None
    noted: list[str] = []


class CertificateRequest(Message, frozen=True):
    """A PEM certificate signing request; the hub decides the names, not the request."""

    request: str


class CertificateAnswer(Message, frozen=True):
    """PEM: the station's certificate, then the hub's CA."""

    chain: str
