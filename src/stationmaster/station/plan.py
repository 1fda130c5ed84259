"""What to do next. Pure: ``plan(snapshot, host, now)`` gives the steps, and ``apply`` takes them one at a time.

Order of making a generation visible (R1, R3, R4, I4): it is held and proved fetchable here; its number is recorded on
the volume by link(2); the links and lists that nginx follows name it; only then is it stored and reported as shown.
Each of these is planned when the one before is seen to have happened, so a daemon may die between any two.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from stationmaster.model import errors, groups, protocol
from stationmaster.station import certificates, readiness, source_keys, sources, specs, steps, visible_record
from stationmaster.station import snapshot as snapshots
from stationmaster.station.sites import spec as site_spec


@dataclasses.dataclass(frozen=True)
class Plan:
    """Steps, what stands in their way, and whether nginx and squid are what the desired state says."""

    steps: tuple[steps.Step, ...] = ()
    problems: tuple[protocol.Problem, ...] = ()
    is_applied: bool = False


Moment = snapshots.Moment


def plan(snapshot: snapshots.Snapshot, host: specs.SiteHost, resolved: specs.Resolved, now: Moment) -> Plan:
    """The steps that lead from what is to what should be; none when nothing is to be done."""
    desired = snapshot.desired
    if desired is None:
        return Plan()
    found: list[steps.Step] = list(_plan_memory(snapshot))
    for source in desired.sources:
        found += _plan_keys(snapshot, source, now)
    found += plan_www(snapshot, desired)
    found += _plan_certificate(snapshot, desired, now)
    engines = _plan_engines(snapshot, desired, host, resolved, now)
    found += engines.steps
    for source in desired.sources:
        found += sources.plan_source(snapshot, source, now)
    if now.at >= snapshot.clean_at and sources.may_clean(snapshot, desired, now):
        found.append(steps.Clean(desired.retention_seconds))
    room = sources.room_needed(snapshot)
    if room and now.at >= snapshot.relieve_at and sources.may_clean(snapshot, desired, now, is_pressed=True):
        found.append(steps.MakeRoom(room))
    if now.at >= snapshot.check_at and snapshot.volume is not None and snapshot.volume.problem is None:
        found.append(steps.CheckHoldings())
    if desired.is_auto_config_enabled and snapshot.setup_done != setup_digest(desired):
        found.append(steps.RunSetup(setup_digest(desired)))
    return Plan(tuple(found), engines.problems, engines.is_applied)


def setup_digest(desired: protocol.StationDesired) -> str:
    """Changes when the ports do: the host has to be set up again then."""
    known: tuple[object, ...] = (desired.ports, desired.balancer_ports)
    if desired.also_ports is not None:
        known = (*known, desired.also_ports, desired.also_balancer_ports)
    return hashlib.sha256(repr(known).encode()).hexdigest()[:32]


def target_of(snapshot: snapshots.Snapshot, source_id: str) -> protocol.Visible | None:
    """What should be shown: the highest number among the hub's word, the volume's record and what is shown (R1, R8)."""
    record = snapshot.volume.records.get(source_id) if snapshot.volume else None
    known = [one for one in (record, snapshot.shown_of(source_id), snapshot.told_of(source_id)) if one is not None]
    return max(known, key=lambda one: one.number, default=None)


def next_shown(snapshot: snapshots.Snapshot, source_id: str) -> protocol.Visible | None:
    """I4: the target once it is fetchable here and recorded on the volume; until then what is shown already."""
    target, shown = target_of(snapshot, source_id), snapshot.shown_of(source_id)
    if target is None or target == shown or not snapshot.can_fetch(source_id, target.generation):
        return shown
    record = snapshot.volume.records.get(source_id) if snapshot.volume else None
    return target if record is not None and record == target else shown


def _plan_memory(snapshot: snapshots.Snapshot) -> Iterator[steps.Step]:
    desired = snapshot.desired
    if desired is None:
        return
    if snapshot.stored_desired != snapshot.desired_digest:
        yield steps.KeepDesired(snapshot.desired_digest)
    if snapshot.orders.tokens != snapshot.orders.stored_tokens:
        yield steps.KeepTokens(tuple(sorted(snapshot.orders.tokens.items())))
    shown = list(snapshot.shown)
    for source in desired.sources:
        following = next_shown(snapshot, source.source_id)
        if following is None or following == snapshot.shown_of(source.source_id):
            continue
        if not _differences(snapshot.www, wanted_entries(snapshot, desired, source.source_id)):
            shown = [one for one in shown if one.source_id != source.source_id] + [following]
    kept = tuple(sorted(shown, key=lambda one: one.source_id))
    if snapshot.stored_told != snapshot.told or kept != snapshot.shown:
        yield steps.KeepVisible(snapshot.told, kept)
    for source in desired.sources:
        yield from _plan_record(snapshot, source.source_id)
    yield from _plan_signed_record(snapshot)


def _plan_signed_record(snapshot: snapshots.Snapshot) -> Iterator[steps.Step]:
    """R12: the signed record in force lies in the state directory and on the volume (R10: not on a refused one)."""
    record, volume = snapshot.record, snapshot.volume
    if record is None:
        return
    if snapshot.stored_record != record.name:
        yield steps.KeepRecord(record)
    is_usable = volume is not None and volume.problem is None and volume.write_problem is None
    if volume is None or not is_usable or snapshot.orders.volume_problem is not None:
        return
    if visible_record.volume_counter(snapshot) < record.record.counter or not volume.is_record_named:
        yield steps.ShareRecord(record)


def _plan_record(snapshot: snapshots.Snapshot, source_id: str) -> Iterator[steps.Step]:
    target = target_of(snapshot, source_id)
    volume = snapshot.volume
    if target is None or volume is None or not snapshot.can_fetch(source_id, target.generation):
        return
    if snapshot.orders.volume_problem is not None or volume.write_problem is not None:
        return  # R10: nothing is written to a volume that the hub refuses; nor again and again to one that is full
    record = volume.records.get(source_id)
    if record is None or record.number < target.number:
        yield steps.RecordVisible(target)


def plan_www(snapshot: snapshots.Snapshot, desired: protocol.StationDesired) -> list[steps.Step]:
    """What nginx serves beside the volume, as differences."""
    wanted: dict[str, str] = {}
    if desired.instance_setup_script:
        wanted["instance-setup.sh"] = desired.instance_setup_script
    for source in desired.sources:
        wanted |= wanted_entries(snapshot, desired, source.source_id)
        keys = snapshot.keys.get(source.source_id)
        if keys is not None and keys.armored:
            wanted[f"keys/{source.source_id}.asc"] = keys.armored
    changed = _differences(snapshot.www, wanted)
    gone: list[steps.Step] = [steps.RemoveWww(path) for path in sorted(set(snapshot.www) - set(wanted))]
    return changed + gone


def wanted_entries(snapshot: snapshots.Snapshot, desired: protocol.StationDesired, source_id: str) -> Mapping[str, str]:
    """Lists and links of one source (R3): links come as ``->`` and their target."""
    following = next_shown(snapshot, source_id)
    if following is None:
        return {}
    trees = Path(desired.mirror_directory) / "generations" / source_id
    address, generation = desired.client_address, following.generation
    entries = {
        f"u/{source_id}": f"->{trees / generation / 'tree'}",
        f"m-http/{source_id}": groups.pinned_url(address, source_id, generation, is_tls=False) + "\n",
        f"m-https/{source_id}": groups.pinned_url(address, source_id, generation, is_tls=True) + "\n",
    }
    shown = snapshot.shown_of(source_id)
    former = snapshot.www.get(f"u-former/{source_id}")
    if shown is not None and shown.generation != generation:
        former = f"->{trees / shown.generation / 'tree'}"
    if former is not None:
        entries[f"u-former/{source_id}"] = former
    return entries


def _differences(present: Mapping[str, str], wanted: Mapping[str, str]) -> list[steps.Step]:
    """Links first: a list is written when what it leads to is in place."""
    links = [(path, content) for path, content in wanted.items() if content.startswith("->")]
    files = [(path, content) for path, content in wanted.items() if not content.startswith("->")]
    found: list[steps.Step] = []
    found += [steps.LinkWww(path, content[2:]) for path, content in sorted(links) if present.get(path) != content]
    found += [steps.WriteWww(path, content) for path, content in sorted(files) if present.get(path) != content]
    return found


def _plan_keys(snapshot: snapshots.Snapshot, source: protocol.MirrorSource, now: Moment) -> Iterator[steps.Step]:
    known = snapshot.keys.get(source.source_id)
    wanted = source_keys.wanted_name(source)
    if known is None or known.wanted != wanted or (known.problem is not None and now.at >= known.retry_at):
        yield steps.FetchKeys(source)


def _plan_certificate(
    snapshot: snapshots.Snapshot, desired: protocol.StationDesired, now: Moment
) -> Iterator[steps.Step]:
    host = desired.client_address.host
    view = snapshot.certificates
    is_confirmed = snapshot.contact.confirmed_at is not None and snapshot.contact.problem is None
    is_due = certificates.is_request_due(view, host, snapshot.station_id, now.time)
    if is_confirmed and now.at >= view.retry_at and is_due:
        yield steps.RequestCertificate(host)


@dataclasses.dataclass(frozen=True)
class _Engines:
    steps: tuple[steps.Step, ...]
    problems: tuple[protocol.Problem, ...]
    is_applied: bool


def _plan_engines(
    snapshot: snapshots.Snapshot,
    desired: protocol.StationDesired,
    host: specs.SiteHost,
    resolved: specs.Resolved,
    now: Moment,
) -> _Engines:
    found: list[steps.Step] = []
    problems = list(specs.permitted_networks(desired.permitted_ranges, resolved)[1])
    is_applied = True
    try:
        nginx = specs.nginx_spec(desired, host, resolved, _mirror(snapshot, desired, now))
        digest = specs.nginx_digest(nginx)
        is_applied = snapshot.nginx.applied == digest
        if snapshot.nginx.wanted != digest:
            found.append(steps.ApplyNginx(nginx, digest))
    except errors.CallerError as exc:
        problems.append(protocol.Problem(code=exc.code, message=str(exc)))
    try:
        squid = specs.squid_spec(desired, host, resolved, snapshot.contact.hub_address)
        digest = specs.squid_digest(squid)
        is_applied = is_applied and snapshot.squid.applied == digest
        if snapshot.squid.wanted != digest:
            found.append(steps.ApplySquid(squid, digest))
    except errors.CallerError as exc:
        problems.append(protocol.Problem(code=exc.code, message=str(exc)))
    return _Engines(tuple(found), tuple(problems), is_applied and not problems)


def _mirror(snapshot: snapshots.Snapshot, desired: protocol.StationDesired, now: Moment) -> specs.Mirror:
    view = certificates.chosen(snapshot.certificates, desired.client_address.host, now.time)
    signed = snapshot.certificates.signed
    return specs.Mirror(
        certificate=None if view is None else site_spec.Certificate(Path(view.chain), Path(view.key), view.digest),
        authority=Path(signed.chain) if signed is not None else None,
        is_volume_silent=readiness.is_volume_silent(snapshot, now.at),
    )
