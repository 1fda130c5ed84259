"""What a station daemon knows at one moment: frozen values that observers fill and the pure modules read.

Times named ``_at`` are seconds of the host's monotonic clock (it runs through suspend); others are wall time.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeVar

from stationmaster.model import protocol, visible_record

EngineName = Literal["nginx", "squid"]
_K = TypeVar("_K")
_V = TypeVar("_V")


def frozen_map(content: Mapping[_K, _V] | None = None) -> Mapping[_K, _V]:
    """A copy that cannot be changed."""
    return MappingProxyType(dict(content or {}))


@dataclasses.dataclass(frozen=True)
class RecordView:
    """A record that the hub's CA signed: what it says, its bytes, and when this station took it over."""

    record: visible_record.VisibleRecord
    content: bytes
    time_taken: datetime.datetime | None = None

    @property
    def name(self) -> RecordName:
        """Which one it is."""
        return RecordName(self.record.group_id, self.record.counter)


@dataclasses.dataclass(frozen=True)
class RecordName:
    """Group and counter of a record; the first is no record at all."""

    group_id: str = ""
    counter: int = 0


@dataclasses.dataclass(frozen=True)
class HeldView:
    """A generation that is whole on the volume."""

    generation: str
    package_count: int = 0
    unique_package_count: int = 0
    size_bytes: int = 0
    time_root: datetime.datetime | None = None
    time_held: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True)
class VolumeView:
    """The volume as last seen. ``seen_at`` is when the look began: a mount that hangs leaves it standing still.

    ``own_nonce`` and ``nonces`` prove sharing (R10); ``writer_token`` is the highest that the volume carries (R8);
    ``mount`` changes when the directory becomes another one. ``record`` is the signed one that holds there (R12).
    ``damage`` says which parts could not be read; ``unreadable`` are sources whose generations are among them.
    """

    directory: str
    seen_at: float
    volume_id: str | None = None
    total_bytes: int = 0
    available_bytes: int = 0
    is_writable: bool = False
    is_on_root_file_system: bool = False
    problem: protocol.Problem | None = None
    write_problem: protocol.Problem | None = None
    held: Mapping[str, tuple[HeldView, ...]] = dataclasses.field(default_factory=frozen_map)
    records: Mapping[str, protocol.Visible] = dataclasses.field(default_factory=frozen_map)
    own_nonce: str = ""
    nonces: Mapping[str, str] = dataclasses.field(default_factory=frozen_map)
    writer_token: int = 0
    mount: str = ""
    record: RecordView | None = None
    record_problem: protocol.Problem | None = None
    is_record_named: bool = False
    damage: protocol.Problem | None = None
    unreadable: frozenset[str] = frozenset()

    def holds(self, source_id: str, generation: str) -> bool:
        """Whether the generation is whole here."""
        return any(one.generation == generation for one in self.held.get(source_id, ()))


@dataclasses.dataclass(frozen=True)
class EngineView:
    """nginx or squid. ``wanted`` names the configuration its keeper was given, ``applied`` the one in force.

    ``is_blind``: that one does not look at the volume, since it hung. ``ports`` are those in force.
    """

    wanted: str = ""
    applied: str = ""
    is_running: bool = False
    problem: protocol.Problem | None = None
    is_answering: bool = False
    seen_at: float = float("-inf")
    is_blind: bool = False
    ports: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class CertificateView:
    """A certificate for the mirror. ``digest`` changes with its bytes; ``names`` are lower case, addresses by value.

    ``holder``: the station whose certificate it is, as the hub wrote it.
    """

    chain: str
    key: str
    digest: str
    names: frozenset[str]
    not_before: datetime.datetime
    not_after: datetime.datetime
    holder: str = ""


@dataclasses.dataclass(frozen=True)
class CertificatesView:
    """The certificate the hub signed, the operator's, and why the latter cannot be used."""

    signed: CertificateView | None = None
    operators: CertificateView | None = None
    operators_problem: protocol.Problem | None = None
    request_problem: protocol.Problem | None = None
    retry_at: float = float("-inf")


@dataclasses.dataclass(frozen=True)
class Moment:
    """Now, on both clocks."""

    at: float
    time: datetime.datetime


@dataclasses.dataclass(frozen=True)
class LeaseView:
    """A lease as its holder counts it: from the sending of the heartbeat that brought it, to before its end (R5)."""

    token: int
    until: float

    def holds(self, now_at: float) -> bool:
        """Whether it may still be used; to be asked again after every wait."""
        return now_at < self.until


@dataclasses.dataclass(frozen=True)
class Orders:
    """What the last answer allows and asks for. ``leases`` None: from a hub that gives none, so everybody may.

    ``tokens`` are the highest that were ever seen of each source, ``stored_tokens`` those that a restart would know.
    ``room_bytes`` must be free on the volume for what one of its stations waits for; ``pinned`` stays even then.
    """

    leases: Mapping[str, LeaseView] | None = None
    copies: tuple[protocol.Copy, ...] = ()
    volume_lease: LeaseView | None = None
    retained: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=frozen_map)
    pinned: Mapping[str, frozenset[str]] | None = None
    room_bytes: int = 0
    volume_problem: protocol.Problem | None = None
    tokens: Mapping[str, int] = dataclasses.field(default_factory=frozen_map)
    stored_tokens: Mapping[str, int] = dataclasses.field(default_factory=frozen_map)


@dataclasses.dataclass(frozen=True)
class Contact:
    """Talk with the hub. ``confirmed_at`` is when the last heartbeat that was answered was *sent* (R2).

    ``skew_seconds``: how far this host's wall clock and the hub's are apart. ``is_by_peer``: the hub is out of this
    host's own reach, and answered through the proxy of a peer. ``hub_address``: of several, which answered last.
    """

    confirmed_at: float | None = None
    time_confirmed: datetime.datetime | None = None
    problem: protocol.Problem | None = None
    is_gone: bool = False
    is_in_rotation: bool = True
    skew_seconds: float = 0.0
    is_by_peer: bool = False
    hub_address: str = ""


@dataclasses.dataclass(frozen=True)
class FetchView:
    """Whether every path of a generation answers 200 at the client's address (R4)."""

    is_fetchable: bool
    problem: protocol.Problem | None = None
    retry_at: float = float("-inf")


@dataclasses.dataclass(frozen=True)
class LossView:
    """Files of a generation that are not on the volume: ``count`` of them, or suspected and not yet looked for."""

    is_suspected: bool = False
    count: int = 0
    failures: int = 0
    retry_at: float = float("-inf")


@dataclasses.dataclass(frozen=True)
class SyncView:
    """The sync of one source: what runs or waits, how the last one ended, and when to try a failed one again.

    A copy from peers is one too; it answers no request, and is tried again after a pause of its own.
    ``interruptions``: how often the volume failed under it since it last came to an end.
    """

    is_queued: bool = False
    is_running: bool = False
    number: int = -1
    report: protocol.SyncReport | None = None
    failures: int = 0
    retry_at: float = float("-inf")
    copy_failures: int = 0
    copy_retry_at: float = float("-inf")
    interruptions: int = 0
    pause_until: float = float("-inf")

    @property
    def room_bytes(self) -> int:
        """How much must be free for what failed for want of room; 0 when that is not what is in its way."""
        return 0 if self.is_busy or self.report is None else self.report.room_bytes

    @property
    def is_busy(self) -> bool:
        """Whether it runs or waits for a thread."""
        return self.is_queued or self.is_running


@dataclasses.dataclass(frozen=True)
class KeysView:
    """OpenPGP keys of a source: ``wanted`` names what they were made from, ``armored`` is what clients get."""

    wanted: str
    armored: str = ""
    problem: protocol.Problem | None = None
    retry_at: float = float("-inf")


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Everything the planner and the readiness rule look at.

    ``record`` is the signed one in force, ``desired_record`` the one in force when the desired state was stored.
    ``forward_proxy`` is what the station was registered with. ``dropped`` are generations that went before their time.
    """

    station_id: str
    volume_id: str
    address: str
    desired: protocol.StationDesired | None = None
    desired_digest: str = ""
    stored_desired: str = ""
    stored_told: tuple[protocol.Visible, ...] = ()
    told: tuple[protocol.Visible, ...] = ()
    shown: tuple[protocol.Visible, ...] = ()
    contact: Contact = dataclasses.field(default_factory=Contact)
    orders: Orders = dataclasses.field(default_factory=Orders)
    volume: VolumeView | None = None
    volume_timeout_seconds: float = 12.0
    nginx: EngineView = dataclasses.field(default_factory=EngineView)
    squid: EngineView = dataclasses.field(default_factory=EngineView)
    certificates: CertificatesView = dataclasses.field(default_factory=CertificatesView)
    www: Mapping[str, str] = dataclasses.field(default_factory=frozen_map)
    fetch: Mapping[tuple[str, str], FetchView] = dataclasses.field(default_factory=frozen_map)
    proved_mount: str = ""
    syncs: Mapping[str, SyncView] = dataclasses.field(default_factory=frozen_map)
    keys: Mapping[str, KeysView] = dataclasses.field(default_factory=frozen_map)
    clean_at: float = float("inf")
    losses: Mapping[tuple[str, str], LossView] = dataclasses.field(default_factory=frozen_map)
    check_at: float = float("inf")
    relieve_at: float = float("-inf")
    notices: tuple[protocol.Notice, ...] = ()
    dropped: frozenset[tuple[str, str]] = frozenset()
    setup_done: str = ""
    setup_problem: protocol.Problem | None = None
    can_read_records: bool = False
    record: RecordView | None = None
    record_problem: protocol.Problem | None = None
    stored_record: RecordName = RecordName()
    desired_record: RecordName = RecordName()
    forward_proxy: str | None = None

    def engine(self, name: EngineName) -> EngineView:
        """The view of nginx or squid."""
        return self.nginx if name == "nginx" else self.squid

    def with_engine(self, name: EngineName, view: EngineView) -> Snapshot:
        """This, with another view of one engine."""
        return dataclasses.replace(self, nginx=view) if name == "nginx" else dataclasses.replace(self, squid=view)

    def shown_of(self, source_id: str) -> protocol.Visible | None:
        """What clients are told of a source here."""
        return next((one for one in self.shown if one.source_id == source_id), None)

    def told_of(self, source_id: str) -> protocol.Visible | None:
        """What the hub said last of a source."""
        return next((one for one in self.told if one.source_id == source_id), None)

    def can_fetch(self, source_id: str, generation: str) -> bool:
        """R4: held whole, and proved fetchable at the client's address."""
        proof = self.fetch.get((source_id, generation))
        return (
            self.volume is not None
            and self.volume.problem is None
            and self.volume.holds(source_id, generation)
            and proof is not None
            and proof.is_fetchable
        )
