"""What a station tells the hub with each heartbeat: volume, mirrors, readiness."""

from __future__ import annotations

import datetime
import enum

from stationmaster.model.protocol.messages import Message, Problem, Visible
from stationmaster.model.protocol.visible_record import RecordReport


class Readiness(enum.StrEnum):
    """Three values (ha-protocol R2): an equal, a server of last resort, or none."""

    READY = "READY"
    LAST_RESORT = "LAST_RESORT"
    NO = "NO"


class VolumeReport(Message, frozen=True):
    """The volume as the station sees it now; ``problem`` says why it is unusable.

    ``writer_token`` is the highest token that the volume carries (R1, R8). ``own_nonce`` is what this station wrote
    last on it, and ``nonces`` what it reads there of each station, itself included: the proof of sharing (R10).
    ``room_bytes`` is how much must be free for what could not be brought for want of room; 0 when nothing waits for it.
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
    room_bytes: int = 0


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
    ``room_bytes``: how much must be free for one that failed for want of room.
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
    room_bytes: int = 0


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


class Notice(Message, frozen=True):
    """Something that a station did by itself and that people should hear of; sent until the hub has noted it."""

    id: str
    time: datetime.datetime
    code: str
    message: str


class StationHeartbeat(Message, frozen=True):
    """Sent every two seconds: the station's full state; the hub decides on the last one only (R7).

    ``record`` is null from a station that keeps no signed record: one of an earlier release, or without a hub's CA.
    ``listening`` are the ports of nginx and squid that are in force, those for balancers too.
    """

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
    record: RecordReport | None = None
    notices: list[Notice] = []
    listening: list[int] = []
