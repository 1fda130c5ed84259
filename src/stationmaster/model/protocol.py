"""What hub and machines say to each other, under ``/stationmaster/v1``.

Requests are signed as OCI clients sign theirs, with the machine's own key; only a registration is not, it carries a
registration key instead. Unknown fields are ignored on purpose, so that a hub and a station of neighbouring releases
understand each other while a fleet is upgraded one by one. Times are UTC; sizes are bytes.
"""

from __future__ import annotations

import datetime
import enum

import msgspec


class Message(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=False):
    """Base of every message: frozen, camelCase on the wire."""


class Problem(Message, frozen=True):
    """Something that is wrong, in words for a person: a stable code and a message that says what to do."""

    code: str
    message: str


# --- registration -----------------------------------------------------------------------------------------------


class MachineKind(enum.StrEnum):
    """What a machine registers as; fixed by the type of the profile whose key it shows."""

    STATION = "STATION"
    INSTANCE = "INSTANCE"


class PackageManager(enum.StrEnum):
    """Which of the machine's own package managers is configured and used."""

    DNF = "dnf"
    APT = "apt"
    ZYPPER = "zypper"


class Facts(Message, frozen=True):
    """What a machine says about itself."""

    host_name: str
    os_name: str
    os_version: str
    kernel_version: str
    architecture: str
    package_manager: PackageManager | None = None
    agent_version: str = ""


class RegistrationRequest(Message, frozen=True):
    """A machine asks to be known. The same key and public key again give the same answer, so it may be repeated."""

    registration_key: str
    public_key: str
    kind: MachineKind
    facts: Facts
    address: str | None = None


class RegistrationAnswer(Message, frozen=True):
    """Who the machine now is. ``station_id`` for stations only; ``region`` and ``tenancy_id`` make its key id."""

    tenancy_id: str
    managed_instance_id: str
    station_id: str | None = None
    mirror_directory: str | None = None
    display_name: str = ""


# --- shared ------------------------------------------------------------------------------------------------------


class Ports(Message, frozen=True):
    """The three ports of a station: proxy, mirror HTTP, mirror HTTPS."""

    proxy: int
    http: int
    https: int


class ClientAddress(Message, frozen=True):
    """What clients are told (I12): the group's name, its ports, and whether repositories are read over HTTPS."""

    host: str
    ports: Ports
    is_mirror_tls: bool = False


class SourceFormat(enum.StrEnum):
    """How a repository is laid out."""

    RPM = "RPM"
    DEB = "DEB"


class Visible(Message, frozen=True):
    """What clients of the group are told of a source: number rises per source and names one generation (R1, R12)."""

    source_id: str
    number: int
    generation: str


# --- station -----------------------------------------------------------------------------------------------------


class Readiness(enum.StrEnum):
    """Three values (ha-protocol R2): an equal, a server of last resort, or none."""

    READY = "READY"
    LAST_RESORT = "LAST_RESORT"
    NO = "NO"


class VolumeReport(Message, frozen=True):
    """The volume as the station sees it now; ``problem`` says why it is unusable.

    ``writer_token`` is the highest token that the volume carries (R1, R8). ``own_nonce`` is what this station wrote
    last on it, and ``nonces`` what it reads there of each station, itself included: the proof of sharing (R10).
    """

    volume_id: str | None
    directory: str
    total_bytes: int = 0
    available_bytes: int = 0
    is_writable: bool = False
    is_on_root_file_system: bool = False
    problem: Problem | None = None
    writer_token: int = 0
    own_nonce: str = ""
    nonces: dict[str, str] = {}


class MirrorState(enum.StrEnum):
    """OSMH's states of a mirror, a function of what is on the volume (I7) and of what is running."""

    UNSYNCED = "UNSYNCED"
    QUEUED = "QUEUED"
    SYNCING = "SYNCING"
    SYNCED = "SYNCED"
    FAILED = "FAILED"


class HeldGeneration(Message, frozen=True):
    """A generation that is whole on the volume; ``is_fetchable`` after it was fetched at the station's address (R4)."""

    generation: str
    is_fetchable: bool
    package_count: int
    size_bytes: int
    time_root: datetime.datetime | None = None
    unique_package_count: int = 0


class SyncReport(Message, frozen=True):
    """The sync of a source that runs, or the last one that ended. ``number`` is the request it answers.

    ``lease_token`` is the lease under which it talked to the upstream, 0 for a copy from peers. ``is_upstream_reached``
    is false when the upstream could not be reached at all: such a station is no leader for a while (R5).
    """

    number: int
    is_running: bool
    percentage: int = 0
    bytes_downloaded: int = 0
    time_started: datetime.datetime | None = None
    time_finished: datetime.datetime | None = None
    generation: str | None = None
    problem: Problem | None = None
    log: str = ""
    lease_token: int = 0
    is_upstream_reached: bool = True


class SourceReport(Message, frozen=True):
    """One source on this station: what the volume holds and shows, and what its sync does.

    ``lease_token`` is the highest lease of this source that the station ever had (R8: the hub may go back in time).
    """

    source_id: str
    state: MirrorState
    held: list[HeldGeneration] = []
    shown: Visible | None = None
    sync: SyncReport | None = None
    lease_token: int = 0


class CertificateReport(Message, frozen=True):
    """The certificate that the mirror shows; ``is_operators``: the hub does not renew it."""

    not_after: datetime.datetime
    names: list[str]
    is_operators: bool = False


class StationHeartbeat(Message, frozen=True):
    """Sent every two seconds: the station's full state; the hub decides on the last one only (R7)."""

    time_sent: datetime.datetime
    daemon_version: str
    addresses: list[str]
    volume: VolumeReport
    readiness: Readiness
    reasons: list[Problem]
    sources: list[SourceReport]
    problems: list[Problem] = []
    desired_digest: str = ""
    applied_digest: str = ""
    certificate: CertificateReport | None = None


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
    """Everything a station should be; kept by it, so that it can start without the hub (I9)."""

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
    """The right to remove from a volume, by volume id alone, whatever groups use it (R10); times as in `Lease`."""

    volume_id: str
    token: int
    seconds: float = 10.0
    stop_after_seconds: float = 8.0


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
    ``volume_problem`` says why the hub does not let this station use its volume (a copied volume id, R10).
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


class CertificateRequest(Message, frozen=True):
    """A PEM certificate signing request; the hub decides the names, not the request."""

    request: str


class CertificateAnswer(Message, frozen=True):
    """PEM: the station's certificate, then the hub's CA."""

    chain: str


# --- instance ----------------------------------------------------------------------------------------------------


class Package(Message, frozen=True):
    """One installed package, or one that could be installed."""

    name: str
    version: str
    architecture: str
    time_installed: datetime.datetime | None = None
    available_version: str | None = None
    source_id: str | None = None


class Inventory(Message, frozen=True):
    """All installed packages, and those among them that a source could update (``available_version`` set)."""

    installed: list[Package]
    updatable: list[Package]


class InstanceSource(Message, frozen=True):
    """A source as an instance's package manager needs it; the base address is made from the client address (I12)."""

    source_id: str
    repo_id: str
    display_name: str
    format: SourceFormat
    suites: list[str] = []
    components: list[str] = []
    architectures: list[str] = []
    gpg_keys: list[str] = []
    is_gpg_checked: bool = True
    is_enabled: bool = True
    options: list[str] = []


class InstanceDesired(Message, frozen=True):
    """Everything an instance should be pointed at. ``address`` is adopted only after a rehearsal from the instance."""

    managed_instance_id: str
    address: ClientAddress | None
    ca: str
    sources: list[InstanceSource]
    is_tls_verified: bool = False


class Operation(enum.StrEnum):
    """What a job does on an instance; the values are OSMH's operation types."""

    INSTALL_PACKAGES = "INSTALL_PACKAGES"
    UPDATE_PACKAGES = "UPDATE_PACKAGES"
    REMOVE_PACKAGES = "REMOVE_PACKAGES"
    UPDATE_ALL = "UPDATE_ALL"
    UPDATE_SECURITY = "UPDATE_SECURITY"
    UPDATE_BUGFIX = "UPDATE_BUGFIX"
    UPDATE_ENHANCEMENT = "UPDATE_ENHANCEMENT"
    UPDATE_OTHER = "UPDATE_OTHER"
    REFRESH_SOFTWARE = "REFRESH_SOFTWARE"
    SET_SOFTWARE_SOURCES = "SET_SOFTWARE_SOURCES"


class Job(Message, frozen=True):
    """Work for an instance. ``visible`` are the generations it was dispatched for (I14, R3: jobs are pinned)."""

    work_request_id: str
    operation: Operation
    packages: list[str] = []
    visible: list[Visible] = []


class JobState(enum.StrEnum):
    """How far an instance is with a job."""

    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class LogLine(Message, frozen=True):
    """One line of a job's log."""

    time: datetime.datetime
    message: str


class JobReport(Message, frozen=True):
    """Numbered per work request from 1, kept by the agent until acknowledged; a repeated number changes nothing."""

    work_request_id: str
    number: int
    state: JobState
    percentage: int = 0
    log: list[LogLine] = []
    problems: list[Problem] = []


class Checkin(Message, frozen=True):
    """An agent's regular call. ``inventory`` is sent when its digest differs from the one the hub last acknowledged."""

    time_sent: datetime.datetime
    facts: Facts
    inventory_digest: str = ""
    inventory: Inventory | None = None
    desired_digest: str = ""
    applied_digest: str = ""
    address_in_use: ClientAddress | None = None
    is_reboot_required: bool = False
    reports: list[JobReport] = []
    problems: list[Problem] = []


class CheckinAnswer(Message, frozen=True):
    """``acknowledged`` maps a work request to the highest report number that is stored.

    ``is_leaving``: the instance was removed in the hub; it restores what it had before and calls ``leave``.
    """

    time_received: datetime.datetime
    checkin_seconds: float
    desired_digest: str
    desired: InstanceDesired | None = None
    is_inventory_wanted: bool = False
    acknowledged: dict[str, int] = {}
    jobs: list[Job] = []
    is_leaving: bool = False


# --- balancer ----------------------------------------------------------------------------------------------------


class ServerState(enum.StrEnum):
    """Whether a balancer may send work to a station; whether it is ready is for the balancer's own checks."""

    IN_ROTATION = "IN_ROTATION"
    DRAINING = "DRAINING"
    NO_ADDRESS = "NO_ADDRESS"


class BalancedServer(Message, frozen=True):
    """A station as a balancer sees it; ``ports`` demand the PROXY protocol, ``direct_ports`` do not."""

    station_id: str
    display_name: str
    address: str | None
    ports: Ports
    direct_ports: Ports
    state: ServerState
    agent_port: int = 0  # HAProxy's agent check; 0 for none


class BalancerView(Message, frozen=True):
    """All a balancer of one group needs to know; ``digest`` changes when anything else does.

    ``can_end_tls``: clients trust the hub's CA for the group's name, since no station shows a certificate of its own.
    """

    hostname: str
    group_id: str
    ports: Ports
    servers: list[BalancedServer]
    can_end_tls: bool = False
    digest: str = ""
