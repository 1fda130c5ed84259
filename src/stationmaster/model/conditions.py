"""What a group's doctor looks at and what he finds, as values."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math

from stationmaster.model import impacts, protocol
from stationmaster.model import port_change as changes


class Severity(enum.StrEnum):
    """``INFO`` is worth knowing; from ``WARNING`` upwards something should be done (design 12a: exit status 1)."""

    CRITICAL = "CRITICAL"
    ERROR = "ERROR"
    WARNING = "WARNING"
    INFO = "INFO"

    @property
    def is_trouble(self) -> bool:
        """Whether something should be done."""
        return self is not Severity.INFO


@dataclasses.dataclass(frozen=True)
class Finding:
    """``code`` is stable; ``subject`` names the station, source or group. Why it matters follows from the code."""

    severity: Severity
    code: str
    subject: str
    message: str
    hint: str

    @property
    def impact(self) -> str:
        """Why it matters."""
        return impacts.impact_of(self.code, is_trouble=self.severity.is_trouble)


@dataclasses.dataclass(frozen=True)
class StationCondition:
    """A member as the hub sees it; what it told is of its last heartbeat.

    ``clock_ahead_seconds`` is by how much its clock is before the hub's. ``is_answering``: whether its address took a
    connection from the hub; None when that says nothing. ``shares`` is equal for stations that were proved to use one
    volume.
    """

    name: str
    directory: str
    is_registered: bool = True
    is_draining: bool = False
    is_in_touch: bool = True
    is_applied: bool = True
    readiness: protocol.Readiness | None = protocol.Readiness.READY
    reasons: tuple[protocol.Problem, ...] = ()
    problems: tuple[protocol.Problem, ...] = ()
    volume: protocol.VolumeReport | None = None
    ports: tuple[tuple[str, int], ...] = ()
    address: str = ""
    is_answering: bool | None = None
    clock_ahead_seconds: float = 0.0
    certificate: protocol.CertificateReport | None = None
    shares: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether balancers may use it as an equal."""
        return self.is_in_touch and self.readiness is protocol.Readiness.READY


@dataclasses.dataclass(frozen=True)
class SourceCondition:
    """A mirrored source: who among the stations in touch holds what is visible, whose sync failed, who was left out.

    ``unled``: when nobody may ask the upstream, each station with the reason; ``is_owed``: somebody should.
    """

    name: str
    is_visible: bool = True
    holders: tuple[str, ...] = ()
    failures: tuple[tuple[str, protocol.Problem], ...] = ()
    excluded: tuple[str, ...] = ()
    behind: tuple[tuple[str, float], ...] = ()
    unled: tuple[tuple[str, str], ...] = ()
    is_owed: bool = False


@dataclasses.dataclass(frozen=True)
class BalancerCondition:
    """A node that ran ``balancer run`` within a day, and how long ago it was heard."""

    node: str
    silent_seconds: float


@dataclasses.dataclass(frozen=True)
class HubCondition:
    """The hub itself. ``ca_ends`` is when its CA ends, and with it all trust in the group's certificates."""

    is_settled: bool = True
    ca_ends: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True)
class PortChangeCondition:
    """A change-over of ports, in words: ``seconds`` in its phase, ``seconds_left`` until the former go, who waits."""

    phase: changes.Phase
    told: str
    beside: str
    waiting: tuple[str, ...] = ()
    users: int = 0
    seconds: float = 0.0
    seconds_left: float = math.inf


@dataclasses.dataclass(frozen=True)
class NeighbourCondition:
    """Another group: its name, its compartment, and its stations' names."""

    hostname: str
    compartment: str
    stations: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class GroupCondition:
    """All that is looked at, at the time ``now``. ``balancer_addresses`` are those that were stated or that run.

    ``past_balancer``: instances that come by another address than the group's, with that address.
    """

    hostname: str
    stations: tuple[StationCondition, ...]
    sources: tuple[SourceCondition, ...] = ()
    balancer_addresses: tuple[str, ...] = ()
    balancers: tuple[BalancerCondition, ...] = ()
    hub: HubCondition = HubCondition()
    now: datetime.datetime | None = None
    port_change: PortChangeCondition | None = None
    neighbours: tuple[NeighbourCondition, ...] = ()
    past_balancer: tuple[tuple[str, str], ...] = ()
