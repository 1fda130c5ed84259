"""The steps a station can take: what the planner says and ``apply`` does. Each is one effect that may be repeated.

No step of a plan relies on another step of the same plan: what must come later is planned once the earlier is seen to
have happened. So any prefix is safe, and one step that fails holds up nothing but its own line of work.
"""

from __future__ import annotations

import dataclasses

from stationmaster.model import protocol
from stationmaster.station import snapshot as snapshots
from stationmaster.station.sites import spec as site_spec


@dataclasses.dataclass(frozen=True)
class KeepDesired:
    """Store the desired state for a start without the hub (I9)."""

    digest: str


@dataclasses.dataclass(frozen=True)
class KeepVisible:
    """Store what the hub told, and what clients are told here, for a start without the hub (I9)."""

    told: tuple[protocol.Visible, ...]
    shown: tuple[protocol.Visible, ...]


@dataclasses.dataclass(frozen=True)
class KeepRecord:
    """Store the signed record in force, for a start without the hub (R12)."""

    record: snapshots.RecordView


@dataclasses.dataclass(frozen=True)
class ShareRecord:
    """Put the signed record in force on the volume, for whoever comes back without its state directory (R12)."""

    record: snapshots.RecordView


@dataclasses.dataclass(frozen=True)
class RecordVisible:
    """Make the record of a number on the volume by link(2) (ha-protocol R1)."""

    visible: protocol.Visible


@dataclasses.dataclass(frozen=True)
class WriteWww:
    """Replace one small file that nginx serves; ``path`` is relative to ``www``."""

    path: str
    content: str


@dataclasses.dataclass(frozen=True)
class LinkWww:
    """Point one link that nginx follows."""

    path: str
    target: str


@dataclasses.dataclass(frozen=True)
class RemoveWww:
    """Take away what is no longer served."""

    path: str


@dataclasses.dataclass(frozen=True)
class FetchKeys:
    """Get the OpenPGP keys of a source, once, and pin them by storing them."""

    source: protocol.MirrorSource


@dataclasses.dataclass(frozen=True)
class RequestCertificate:
    """Have the hub sign a certificate that names the group."""

    host: str


@dataclasses.dataclass(frozen=True)
class ApplyNginx:
    """Give nginx's keeper this configuration; it checks, starts or reloads, and goes back when that fails."""

    spec: site_spec.NginxSpec
    digest: str


@dataclasses.dataclass(frozen=True)
class ApplySquid:
    """Give squid's keeper this configuration; a disabled squid is stopped."""

    spec: site_spec.SquidSpec
    digest: str


@dataclasses.dataclass(frozen=True)
class StartSync:
    """Queue a sync from the upstream; ``number`` is the request it answers, ``token`` the lease that allows it (R5)."""

    source: protocol.MirrorSource
    number: int
    token: int = 0


@dataclasses.dataclass(frozen=True)
class StartCopy:
    """Queue the copying of one generation from peers that hold it, best first; the upstream is not asked."""

    source: protocol.MirrorSource
    generation: str
    holders: tuple[protocol.Peer, ...]


@dataclasses.dataclass(frozen=True)
class KeepTokens:
    """Store the highest tokens that were seen, before anything is done under them (R8)."""

    tokens: tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class ProbeFetchable:
    """Ask for every path of a generation at the client's address (R4)."""

    source_id: str
    generation: str


@dataclasses.dataclass(frozen=True)
class Clean:
    """Remove generations that nobody may still be in the middle of, and what only they referred to."""

    retention_seconds: float


@dataclasses.dataclass(frozen=True)
class MakeRoom:
    """Remove generations before their time, until so much is free (R12): a sync of this volume waits for it."""

    room_bytes: int


@dataclasses.dataclass(frozen=True)
class Mend:
    """Look what a generation lost on this volume, and fetch it again, from peers first."""

    source: protocol.MirrorSource
    generation: str


@dataclasses.dataclass(frozen=True)
class CheckHoldings:
    """Look at every file of every generation held here, slowly."""


@dataclasses.dataclass(frozen=True)
class RunSetup:
    """Open the firewall and label the ports of this host (``is_auto_config_enabled``)."""

    digest: str


Step = (
    KeepDesired
    | KeepVisible
    | KeepRecord
    | ShareRecord
    | RecordVisible
    | WriteWww
    | LinkWww
    | RemoveWww
    | FetchKeys
    | RequestCertificate
    | ApplyNginx
    | ApplySquid
    | StartSync
    | StartCopy
    | KeepTokens
    | ProbeFetchable
    | Clean
    | MakeRoom
    | Mend
    | CheckHoldings
    | RunSetup
)

VolumeStep = ProbeFetchable | RecordVisible | ShareRecord | Clean | MakeRoom
SlowStep = FetchKeys | RequestCertificate | RunSetup | VolumeStep
