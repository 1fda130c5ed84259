"""HA groups on the wire: our own API."""

from __future__ import annotations

from typing import Annotated

import msgspec

from stationmaster.hub.api.decoding import Query
from stationmaster.hub.api.wire.base import Details, Shown
from stationmaster.model import protocol


class GroupPorts(Shown, frozen=True):
    """The ports that clients know, by the names of the protocol and by those of balancers."""

    proxy: int
    http: int
    https: int
    mirror_http: int
    mirror_https: int


class BalancerView(Shown, frozen=True):
    """``protocol.BalancerView`` with both spellings of the ports."""

    hostname: str
    group_id: str
    ports: GroupPorts
    servers: list[protocol.BalancedServer]
    digest: str
    can_end_tls: bool
    also_ports: protocol.Ports | None


class VolumeOutlook(Shown, frozen=True):
    """When the volume will be full (`model.volume_trend`): ``days`` only when ``trend`` is FILLING."""

    trend: str
    days: float | None


class GroupStation(Shown, frozen=True):
    """A member: what it says of itself, and when it was last heard.

    ``shared_with``: members that use the same volume, proved. ``time_health_changed``: since when its health is what
    it is. ``missing_bytes``: what it lacks of all that its group shows or stages; null when that cannot be known.
    """

    id: str
    display_name: str
    addresses: list[str]
    is_registered: bool
    is_draining: bool
    is_in_touch: bool
    is_in_rotation: bool
    readiness: str | None
    reasons: list[protocol.Problem]
    problems: list[protocol.Problem]
    volume: protocol.VolumeReport | None
    time_last_heartbeat: str | None
    daemon_version: str | None
    is_applied: bool
    shared_with: list[str]
    outlook: VolumeOutlook
    time_health_changed: str | None
    missing_bytes: int | None


class SourceOnStation(Shown, frozen=True):
    """What a member holds of a source. ``missing_bytes``: of the candidate, or of what is visible."""

    station_id: str
    missing_bytes: int | None
    lease_token: int
    held: list[protocol.HeldGeneration]
    shown: protocol.Visible | None
    sync: protocol.SyncReport | None
    time_behind: str | None
    time_excluded: str | None


class Leader(Shown, frozen=True):
    """Who talks to the upstream for the group (R1): the lease, since when, and when the station was last told of it."""

    station_id: str
    token: int
    time_granted: str
    time_renewed: str


class Candidate(Shown, frozen=True):
    """The generation that the group stages next (R7)."""

    number: int
    generation: str
    time_set: str


class MirrorNeed(Shown, frozen=True):
    """Why a source is mirrored: a profile, or an instance as an example of all that refer to this station."""

    kind: str
    id: str
    display_name: str
    station_id: str


class GroupSource(Shown, frozen=True):
    """A source of the group's mirror list, and why it is there (I3)."""

    id: str
    display_name: str
    repo_id: str
    format: str
    reasons: list[str]
    visible: protocol.Visible | None
    sync_number: int
    stations: list[SourceOnStation]
    decision: str
    time_visible: str | None
    leader: Leader | None
    candidate: Candidate | None
    needs: list[MirrorNeed]


class Finding(Shown, frozen=True):
    """One thing that is wrong, or worth knowing (`model.diagnosis`); ``impact`` says why it matters."""

    severity: str
    code: str
    subject: str
    message: str
    impact: str
    hint: str


class PortChange(Shown, frozen=True):
    """The ports of a group, and their change-over (`model.port_change`): ``phase`` is OPENING, MOVING, or DONE.

    ``told`` is what clients are told now, ``beside`` what is served as well. ``waiting`` says for whom it waits.
    ``time_ends``: when the former ports go at the latest.
    """

    phase: str
    told: protocol.Ports
    beside: protocol.Ports | None
    time_started: str | None
    time_moved: str | None
    time_ends: str | None
    waiting: list[str]


class Group(Shown, frozen=True):
    """An HA group: the stations with one hostname in one compartment (I1)."""

    id: str
    hostname: str
    compartment_id: str
    client_address: protocol.ClientAddress
    balancer_addresses: list[str]
    stations: list[GroupStation]
    sources: list[GroupSource]
    findings: list[Finding]
    port_change: PortChange | None


class GroupCollection(Shown, frozen=True):
    """Groups."""

    items: list[Group]


class GroupsQuery(Query, frozen=True):
    """Which groups."""

    hostname: str | None = None
    compartment_id: str | None = None


class GroupQuery(Query, frozen=True):
    """Which one group."""

    hostname: str
    compartment_id: str | None = None


class BalancersDetails(Details, frozen=True):
    """Where balancers connect from. ``node`` names one that runs; without it an operator states them."""

    hostname: str
    addresses: Annotated[list[str], msgspec.Meta(max_length=64)]
    compartment_id: str | None = None
    node: Annotated[str, msgspec.Meta(max_length=255)] = ""
    serves: Annotated[list[protocol.Ports], msgspec.Meta(max_length=2)] = []


_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
_Seconds = Annotated[int, msgspec.Meta(ge=0, le=366 * 86400)]


class ChangePortsDetails(Details, frozen=True):
    """The ports to which a whole group goes over, and how long the former ones stay: until nobody uses them.

    But not less than ``keep_at_least_seconds``, and not longer than ``keep_at_most_seconds``.
    """

    hostname: str
    proxy: _Port
    http: _Port
    https: _Port
    compartment_id: str | None = None
    keep_at_least_seconds: _Seconds = 0
    keep_at_most_seconds: _Seconds = 86400


class CertificateDetails(Details, frozen=True):
    """A PEM certificate signing request of a balancer; the hub decides the names, not the request."""

    hostname: str
    request: Annotated[str, msgspec.Meta(max_length=16384)]
    compartment_id: str | None = None


class Balancers(Shown, frozen=True):
    """All addresses that count now."""

    addresses: list[str]


class Diagnosis(Shown, frozen=True):
    """All findings about one group; ``is_trouble`` when one of them is a warning or worse."""

    hostname: str
    is_trouble: bool
    items: list[Finding]
