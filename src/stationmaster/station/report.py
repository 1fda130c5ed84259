"""What the station tells the hub every two seconds: its whole state, as a function of a snapshot. Pure (R7, I7)."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

import msgspec

import stationmaster
from stationmaster.model import protocol
from stationmaster.station import certificates, readiness, visible_record
from stationmaster.station import plan as plans
from stationmaster.station import snapshot as snapshots


def heartbeat(
    snapshot: snapshots.Snapshot, plan: plans.Plan, verdict: readiness.Verdict, now: datetime.datetime
) -> protocol.StationHeartbeat:
    """The message. ``applied_digest`` equals ``desired_digest`` once nginx and squid are what was desired."""
    sources = snapshot.desired.sources if snapshot.desired else []
    return protocol.StationHeartbeat(
        time_sent=now,
        daemon_version=stationmaster.__version__,
        addresses=[snapshot.address],
        volume=volume_report(snapshot),
        readiness=verdict.readiness,
        reasons=list(verdict.reasons),
        sources=[source_report(snapshot, source.source_id) for source in sources],
        problems=list(problems_of(snapshot, plan, now)),
        desired_digest=snapshot.desired_digest,
        applied_digest=snapshot.desired_digest if plan.is_applied else "",
        certificate=certificate_report(snapshot, now),
        record=visible_record.report(snapshot),
        notices=list(snapshot.notices),
        listening=sorted({*snapshot.nginx.ports, *snapshot.squid.ports}),
    )


def certificate_report(snapshot: snapshots.Snapshot, now: datetime.datetime) -> protocol.CertificateReport | None:
    """What clients of the mirror are shown; None when there is none yet."""
    if snapshot.desired is None:
        return None
    view = certificates.chosen(snapshot.certificates, snapshot.desired.client_address.host, now)
    if view is None:
        return None
    is_operators = view is snapshot.certificates.operators
    return protocol.CertificateReport(not_after=view.not_after, names=sorted(view.names), is_operators=is_operators)


def news_of(snapshot: snapshots.Snapshot, verdict: readiness.Verdict) -> object:
    """What the hub should hear of at once; equal as long as nothing of it changed."""
    sources = snapshot.desired.sources if snapshot.desired else []
    reports = [source_report(snapshot, source.source_id) for source in sources]
    volume = snapshot.volume
    return (
        verdict.readiness,
        (snapshot.nginx.ports, snapshot.squid.ports),
        volume.problem if volume else None,
        [(one.state, [(held.generation, held.is_fetchable) for held in one.held], one.shown) for one in reports],
    )


def volume_report(snapshot: snapshots.Snapshot) -> protocol.VolumeReport:
    """The volume as last seen. One that cannot be written is usable: its station still counts (design 12a)."""
    volume = snapshot.volume
    if volume is None:
        directory = snapshot.desired.mirror_directory if snapshot.desired else ""
        return protocol.VolumeReport(volume_id=None, directory=directory)
    return protocol.VolumeReport(
        volume_id=volume.volume_id,
        directory=volume.directory,
        total_bytes=volume.total_bytes,
        available_bytes=volume.available_bytes,
        is_writable=volume.is_writable,
        is_on_root_file_system=volume.is_on_root_file_system,
        problem=volume.problem,
        writer_token=volume.writer_token,
        room_bytes=room_wanted(snapshot),
        own_nonce=volume.own_nonce,
        nonces=dict(volume.nonces),
    )


def room_wanted(snapshot: snapshots.Snapshot) -> int:
    """How much must be free for what this station could not bring; what another one brought since wants nothing."""
    found = [0]
    for source in snapshot.desired.sources if snapshot.desired else ():
        view = snapshot.syncs.get(source.source_id)
        if view is not None and (told := _answered(snapshot, source.source_id, view.report)) is not None:
            found.append(view.room_bytes if told.problem is not None else 0)
    return max(found)


def source_report(snapshot: snapshots.Snapshot, source_id: str) -> protocol.SourceReport:
    """One source: what is held, what is shown, what its sync does."""
    volume = snapshot.volume
    held = volume.held.get(source_id, ()) if volume is not None and volume.problem is None else ()
    return protocol.SourceReport(
        source_id=source_id,
        state=mirror_state(snapshot, source_id),
        held=[
            protocol.HeldGeneration(
                generation=one.generation,
                is_fetchable=snapshot.can_fetch(source_id, one.generation),
                package_count=one.package_count,
                size_bytes=one.size_bytes,
                time_root=one.time_root,
                unique_package_count=one.unique_package_count,
            )
            for one in held
        ],
        shown=snapshot.shown_of(source_id),
        sync=sync_report(snapshot, source_id),
        lease_token=snapshot.orders.tokens.get(source_id, 0),
    )


def sync_report(snapshot: snapshots.Snapshot, source_id: str) -> protocol.SyncReport | None:
    """How the sync stands. One that cannot begin is told as failed: who ordered it would wait for ever, without a why.

    It begins by itself when what is in its way has gone.
    """
    view = snapshot.syncs.get(source_id, snapshots.SyncView())
    desired = snapshot.desired.sources if snapshot.desired else []
    source = next((one for one in desired if one.source_id == source_id), None)
    hindrance = None if source is None or view.is_busy else _hindrance(snapshot, source, view)
    if source is None or hindrance is None:
        return _answered(snapshot, source_id, view.report)
    return protocol.SyncReport(
        number=source.sync_number, is_running=False, problem=hindrance, log=f"Not begun: {hindrance.message}"
    )


def _answered(
    snapshot: snapshots.Snapshot, source_id: str, report: protocol.SyncReport | None
) -> protocol.SyncReport | None:
    """I7: a failure is over once a later generation is whole on the volume, whichever station brought it."""
    if report is None or report.problem is None or report.time_finished is None or snapshot.volume is None:
        return report
    held = snapshot.volume.held.get(source_id, ())
    if not any(one.time_held is not None and one.time_held > report.time_finished for one in held):
        return report
    log = f"{report.log}\nAnother station has brought a later generation since."
    return msgspec.structs.replace(report, problem=None, log=log)


def _hindrance(
    snapshot: snapshots.Snapshot, source: protocol.MirrorSource, view: snapshots.SyncView
) -> protocol.Problem | None:
    volume, keys = snapshot.volume, snapshot.keys.get(source.source_id)
    unusable = (volume.problem or volume.write_problem) if volume is not None else None
    told, shown = snapshot.told_of(source.source_id), snapshot.shown_of(source.source_id)
    if unusable is not None and told is not None and (shown is None or shown.number < told.number):
        return unusable  # it cannot be recorded as visible, whoever brought it
    is_owed = source.sync_number > max(view.number, 0)
    return (unusable or (keys.problem if keys is not None else None)) if is_owed else None


def mirror_state(snapshot: snapshots.Snapshot, source_id: str) -> protocol.MirrorState:
    """I7: SYNCED when the group's visible generation is whole on this volume and shown, whoever brought it there."""
    sync = snapshot.syncs.get(source_id, snapshots.SyncView())
    if sync.is_running:
        return protocol.MirrorState.SYNCING
    if sync.is_queued:
        return protocol.MirrorState.QUEUED
    told, shown = snapshot.told_of(source_id), snapshot.shown_of(source_id)
    is_newest = shown is not None and (told is None or shown.number >= told.number)
    if shown is not None and is_newest and snapshot.can_fetch(source_id, shown.generation):
        return protocol.MirrorState.SYNCED
    ended = sync_report(snapshot, source_id)
    if ended is not None and ended.problem is not None:
        return protocol.MirrorState.FAILED
    return protocol.MirrorState.UNSYNCED


def problems_of(snapshot: snapshots.Snapshot, plan: plans.Plan, now: datetime.datetime) -> Iterable[protocol.Problem]:
    """All that is wrong here, for the hub's console and doctor; each once, in a fixed order."""
    volume = snapshot.volume
    names = {one.source_id: one.title for one in snapshot.desired.sources} if snapshot.desired else {}
    found = list(plan.problems)
    found += [
        one for one in (snapshot.nginx.problem, snapshot.squid.problem, snapshot.setup_problem) if one is not None
    ]
    if volume is not None:
        found += [one for one in (volume.problem, volume.write_problem, volume.damage) if one is not None]
        if volume.is_on_root_file_system:
            message = f"The mirror directory {volume.directory} lies on the root file system: a full mirror fills it."
            found.append(protocol.Problem(code="VolumeOnRoot", message=message))
    found += _certificate_problems(snapshot, now)
    found += visible_record.problems(snapshot, now)
    for source_id, name in sorted(names.items()):
        sync, keys = snapshot.syncs.get(source_id), snapshot.keys.get(source_id)
        if keys is not None and keys.problem is not None:
            found.append(_about(name, keys.problem))
        told = _answered(snapshot, source_id, sync.report) if sync is not None else None
        if told is not None and told.problem is not None:
            found.append(_about(name, told.problem))
        found += [
            _about(name, view.problem)
            for key, view in sorted(snapshot.fetch.items())
            if key[0] == source_id and view.problem
        ]
        found += _record_problems(snapshot, source_id, name)
    return tuple(dict.fromkeys(found))


def _about(name: str, problem: protocol.Problem) -> protocol.Problem:
    return protocol.Problem(code=problem.code, message=f"{name}: {problem.message}")


def _certificate_problems(snapshot: snapshots.Snapshot, now: datetime.datetime) -> list[protocol.Problem]:
    view = snapshot.certificates
    found = [one for one in (view.operators_problem, view.request_problem) if one is not None]
    if view.operators is not None and snapshot.desired is not None:
        fault = certificates.fault_of(view.operators, snapshot.desired.client_address.host, now)
        if fault:
            message = f"The certificate {view.operators.chain} is not used: {fault}. The hub's is shown instead."
            found.append(protocol.Problem(code="CertificateInvalid", message=message))
    return found


def _record_problems(snapshot: snapshots.Snapshot, source_id: str, name: str) -> list[protocol.Problem]:
    told = snapshot.told_of(source_id)
    record = snapshot.volume.records.get(source_id) if snapshot.volume else None
    if told is None or record is None or told.number != record.number or told.generation == record.generation:
        return []
    message = (
        f"{name}: the hub says number {told.number} is {told.generation}, the volume says it is {record.generation}. "
        "The volume's word holds until the hub gives a higher number."
    )
    return [protocol.Problem(code="NumberConflict", message=message)]
