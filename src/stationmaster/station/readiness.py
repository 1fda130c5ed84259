"""Whether this station should get work: ready, last-resort, or no (ha-protocol R2). Pure.

What turns a station from an equal into a server of last resort, or into none, is one list of findings in the order in
which a person should read them. The worst finding decides. A volume that cannot be written is no finding: such a
station serves on while it holds all that is visible (design 12a).
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator

from stationmaster.model import protocol
from stationmaster.station import certificates, lost_files
from stationmaster.station import snapshot as snapshots

ENGINE_SILENT_SECONDS = 3.0
PORT_TAKEN = "PortTaken"
_RANK = {protocol.Readiness.READY: 0, protocol.Readiness.LAST_RESORT: 1, protocol.Readiness.NO: 2}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The answer and its reasons; a ready station has none."""

    readiness: protocol.Readiness
    reasons: tuple[protocol.Problem, ...]

    @property
    def is_ready(self) -> bool:
        """Answer to ``/healthz``."""
        return self.readiness is protocol.Readiness.READY

    @property
    def is_serving(self) -> bool:
        """Answer to ``/healthz?tier=serving``."""
        return self.readiness is not protocol.Readiness.NO


Finding = tuple[protocol.Readiness, str, str]


def judge(snapshot: snapshots.Snapshot, now_at: float, now: datetime.datetime) -> Verdict:
    """I8: READY only for a station that can serve all that is visible, can proxy, and was confirmed by the hub."""
    findings = list(_findings(snapshot, now_at, now))
    worst = max((kind for kind, _, _ in findings), key=_RANK.__getitem__, default=protocol.Readiness.READY)
    reasons = tuple(protocol.Problem(code=code, message=message) for _, code, message in findings)
    return Verdict(worst, reasons)


def _findings(snapshot: snapshots.Snapshot, now_at: float, now: datetime.datetime) -> Iterator[Finding]:
    if snapshot.desired is None:
        yield protocol.Readiness.NO, "NoDesiredState", "The hub has not yet said what this station should be."
        return
    yield from _volume_findings(snapshot, now_at)
    is_changing = snapshot.desired.also_ports is not None
    yield from _engine_findings("nginx", snapshot.nginx, now_at, is_changing=is_changing)
    if snapshot.nginx.is_blind and not is_volume_silent(snapshot, now_at):
        yield protocol.Readiness.NO, "VolumeReturning", "The mirror volume answers again; nginx is about to look at it."
    if snapshot.desired.is_proxy_enabled:
        yield from _engine_findings("squid", snapshot.squid, now_at, is_changing=is_changing)
    yield from _certificate_findings(snapshot, snapshot.desired, now)
    if snapshot.volume is not None and snapshot.volume.problem is None:  # else the volume is the reason, and is told
        yield from _visible_findings(snapshot, snapshot.desired)
    yield from _contact_findings(snapshot, snapshot.desired, now_at)
    if snapshot.orders.volume_problem is not None:
        # What it holds is whole; it is what it would write that may not be (R10). So it is no equal, and not nothing.
        yield (
            protocol.Readiness.LAST_RESORT,
            snapshot.orders.volume_problem.code,
            snapshot.orders.volume_problem.message,
        )
    if snapshot.desired.is_draining:
        yield protocol.Readiness.LAST_RESORT, "Draining", "An operator is draining this station."


def judge_proxy(verdict: Verdict, contact: snapshots.Contact) -> Verdict:
    """The same for the proxy port alone: a squid that cannot reach the hub is no equal of those that can (R2, ADR 19).

    The mirror ports do not need the hub, so a station that speaks with it through a peer is ready there.
    """
    if not contact.is_by_peer or verdict.readiness is protocol.Readiness.NO:
        return verdict
    message = "The hub is out of this station's own reach, so its proxy cannot make tunnels to it."
    reason = protocol.Problem(code="HubThroughPeer", message=message)
    return Verdict(protocol.Readiness.LAST_RESORT, (*verdict.reasons, reason))


def is_volume_silent(snapshot: snapshots.Snapshot, now_at: float) -> bool:
    """Whether looking at the volume has taken longer than its storage may stall."""
    volume = snapshot.volume
    return volume is not None and now_at - volume.seen_at > snapshot.volume_timeout_seconds


def _volume_findings(snapshot: snapshots.Snapshot, now_at: float) -> Iterator[Finding]:
    volume = snapshot.volume
    if volume is None:
        yield protocol.Readiness.NO, "VolumeUnknown", "The mirror volume has not been looked at yet."
    elif is_volume_silent(snapshot, now_at):
        silent = f"The mirror volume {volume.directory} has not answered for {now_at - volume.seen_at:.0f} s."
        yield protocol.Readiness.NO, "VolumeSilent", silent + " Check the mount and its server."
    elif volume.problem is not None:
        yield protocol.Readiness.NO, volume.problem.code, volume.problem.message


def _engine_findings(name: str, engine: snapshots.EngineView, now_at: float, *, is_changing: bool) -> Iterator[Finding]:
    if not engine.is_answering or now_at - engine.seen_at > ENGINE_SILENT_SECONDS:
        why = engine.problem.message if engine.problem else f"{name} does not answer on its port."
        code = engine.problem.code if engine.problem else f"{name.capitalize()}Silent"
        yield protocol.Readiness.NO, code, why
    elif engine.problem is not None and not (is_changing and engine.problem.code == PORT_TAKEN):
        # A port that clients are not told of, and that cannot be opened, makes nobody less of an equal (ADR 24).
        # It serves with its former configuration: better than nothing, not an equal of its peers.
        yield protocol.Readiness.LAST_RESORT, engine.problem.code, engine.problem.message


def _certificate_findings(
    snapshot: snapshots.Snapshot, desired: protocol.StationDesired, now: datetime.datetime
) -> Iterator[Finding]:
    host = desired.client_address.host
    kind = protocol.Readiness.NO if desired.client_address.is_mirror_tls else protocol.Readiness.LAST_RESORT
    view = certificates.chosen(snapshot.certificates, host, now)
    if view is None:
        asked = snapshot.certificates.request_problem
        why = f" The hub was asked: {asked.message}" if asked else ""
        yield kind, "CertificateMissing", f"The mirror has no certificate for {host} yet.{why}"
        return
    fault = certificates.fault_of(view, host, now)
    if fault:
        # One that ended while the hub was away must not end all service (I9): HTTP goes on, and others are preferred.
        kind, why = protocol.Readiness.LAST_RESORT, f"Clients refuse the mirror's certificate {view.chain}: {fault}."
        yield kind, "CertificateInvalid", why


def _visible_findings(snapshot: snapshots.Snapshot, desired: protocol.StationDesired) -> Iterator[Finding]:
    wanted = [one for one in snapshot.told if any(one.source_id == source.source_id for source in desired.sources)]
    names = {source.source_id: source.title for source in desired.sources}
    served = 0
    behind: list[str] = []
    unproved: list[str] = []
    lost: list[str] = []
    for told in wanted:
        shown = snapshot.shown_of(told.source_id)
        if shown is not None and snapshot.can_fetch(shown.source_id, shown.generation):
            served += 1
            if shown.number >= told.number:
                continue
        elif shown is not None and (loss := lost_files.told(snapshot, shown)) is not None:
            served += 1  # all but those; peers fill them
            lost.append(f"{names[told.source_id]}: {loss.message}")
            if shown.number >= told.number:
                continue
        elif shown is not None and _is_unproved(snapshot, shown):
            unproved.append(names[told.source_id])
            continue
        behind.append(names[told.source_id])
    for message in sorted(lost):
        yield protocol.Readiness.LAST_RESORT, lost_files.LOST, message
    if unproved:
        kind = protocol.Readiness.LAST_RESORT if served else protocol.Readiness.NO
        yield kind, "Unproved", f"This station is checking what it holds of {', '.join(sorted(unproved))}."
    if behind:
        kind = protocol.Readiness.LAST_RESORT if served else protocol.Readiness.NO
        yield kind, "Behind", f"This station does not yet show the visible generation of {', '.join(sorted(behind))}."


def _is_unproved(snapshot: snapshots.Snapshot, shown: protocol.Visible) -> bool:
    volume = snapshot.volume
    is_held = volume is not None and volume.holds(shown.source_id, shown.generation)
    return is_held and (shown.source_id, shown.generation) not in snapshot.fetch


def _contact_findings(
    snapshot: snapshots.Snapshot, desired: protocol.StationDesired, now_at: float
) -> Iterator[Finding]:
    contact = snapshot.contact
    if contact.is_gone:
        yield protocol.Readiness.NO, "Gone", "The hub no longer knows this station: it was deleted."
        return
    if not contact.is_in_rotation:
        message = "The hub took this station out of the rotation: it lags behind its peers."
        yield protocol.Readiness.LAST_RESORT, "Lagging", message
    age = None if contact.confirmed_at is None else now_at - contact.confirmed_at
    if age is None or age > desired.confirmed_seconds:
        since = "since the daemon started" if age is None else f"for {age:.0f} s"
        why = f" {contact.problem.message}" if contact.problem else ""
        message = f"The hub has not confirmed this station {since}.{why}"
        yield protocol.Readiness.LAST_RESORT, "Unconfirmed", message
