"""The hub of the exploration: hears, answers, and decides with the functions that the real one uses."""

from __future__ import annotations

import dataclasses
import datetime

from stationmaster.model import candidates, copying, leadership, protocol, rotation, visibility
from stationmaster.testing.exploration import state
from stationmaster.testing.exploration.state import FAR, LIMITS, SOURCE, UNIT, Hub, Lag, Lease, Report, Shown, World

_START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
GENERATIONS = {
    name: rotation.Generation(name, _START, _START + datetime.timedelta(hours=index))
    for index, name in enumerate(("g0", "g1", "g2", "g3"))
}
_TERMS = leadership.Terms(stall=state.STALL, retry=state.RETRY)
_SETTLED = 5


def is_settled(hub: Hub) -> bool:
    """R8: it has listened for one liveness period."""
    return hub.settling >= _SETTLED


def grow_older(hub: Hub) -> Hub:
    """One unit later. A hub that is away does not count; when it returns, all it knows is old."""
    older, older_or_none = state.older, state.older_or_none
    return hub._replace(
        reports=tuple(one._replace(age=older(one.age)) for one in hub.reports),
        lags=tuple(
            one and one._replace(behind=older(one.behind), excluded=older_or_none(one.excluded)) for one in hub.lags
        ),
        writers=tuple(one._replace(renewed=older(one.renewed)) for one in hub.writers),
        settling=older(hub.settling),
        candidate_age=older(hub.candidate_age) if hub.candidate else 0,
        lost=older_or_none(hub.lost),
        orphaned=older_or_none(hub.orphaned),
        lease=hub.lease._replace(
            renewed=older(hub.lease.renewed),
            idle=older(hub.lease.idle),
            failed=tuple((who, older(age)) for who, age in hub.lease.failed if age < state.RETRY / UNIT),
        ),
        raised=older(hub.raised),
    )


def returned(hub: Hub) -> Hub:
    """The same, after a start: it listens first, and what it knew may be old."""
    far = tuple(one._replace(age=FAR) for one in hub.reports)
    lease = hub.lease._replace(renewed=FAR)
    writers = tuple(one._replace(renewed=FAR) for one in hub.writers)
    return hub._replace(is_up=True, settling=0, reports=far, lease=lease, writers=writers)


def hear(world: World, index: int) -> World:
    """A heartbeat: stored, and what the station holds of leases is renewed (`hub.services.leases.renew`)."""
    station, hub = world.stations[index], world.hub
    volume = world.volumes[station.volume]
    held = volume.held - {station.leaving}
    report = Report(0, held, station.shown, station.run, station.token, volume.closed and volume.closed + 1)
    hub = hub._replace(reports=_with(hub.reports, index, report))
    if is_settled(hub):
        if hub.lease.holder == index:
            hub = hub._replace(lease=hub.lease._replace(renewed=0))
        writer = hub.writers[station.volume]
        if writer.holder == index:
            hub = hub._replace(writers=_with(hub.writers, station.volume, writer._replace(renewed=0)))
    return world._replace(hub=hub)


def retained(hub: Hub) -> frozenset[str]:
    """As `hub.services.retention`, when the retention time is over for all but what may still be shown."""
    shown = {report.shown.generation for report in hub.reports if report.shown}
    wanted = {hub.visible.generation if hub.visible else None, hub.candidate, hub.former}
    return frozenset(shown | {one for one in wanted if one})


def decide(world: World) -> World:
    """One round of the scheduler: `hub.services.visibility.plan_group`, then the leases."""
    hub = world.hub
    snapshot = _snapshot(world)
    ruling = candidates.rule(snapshot, LIMITS)
    if ruling.verdict is not candidates.Verdict.KEEP:
        hub = hub._replace(candidate=ruling.generation, candidate_age=0, lost=None)
        snapshot = _changed(snapshot, hub)
    decision = visibility.decide(snapshot, LIMITS)
    hub = _lagging(hub, snapshot, decision)
    gone = snapshot.visible is not None and not rotation.holders_in_touch(snapshot, snapshot.visible.generation, LIMITS)
    lost = hub.candidate is not None and not rotation.holders_in_touch(snapshot, hub.candidate, LIMITS)
    hub = hub._replace(
        orphaned=(hub.orphaned or 0) if gone else None,
        lost=(hub.lost or 0) if lost else None,
    )
    if decision.verdict in {visibility.Verdict.RESYNC, visibility.Verdict.RESTORE}:
        hub = ask(hub)
    if decision.visible is not None and decision.visible != snapshot.visible:
        former = hub.visible.generation if hub.visible else None
        following = Shown(decision.visible.number, decision.visible.generation)
        hub = hub._replace(known=hub.known | {following.generation})
        hub = hub._replace(visible=following, former=former if former != following.generation else hub.former)
    hub = _led(hub, snapshot)
    hub = _written(world, hub)
    snapshot = _changed(snapshot, hub)
    writers = {str(number): _name(one.holder) for number, one in enumerate(hub.writers) if one.holder is not None}
    copies = copying.copies_of([snapshot], writers, LIMITS)
    ordered = tuple(
        tuple(one.generation for one in copies.get(_name(index), ())) for index in range(len(world.stations))
    )
    return world._replace(hub=hub._replace(copies=ordered))


def ask(hub: Hub) -> Hub:
    """Somebody wants a sync: above every number that was ever answered (R8)."""
    highest = max([hub.number, *(one.run.number for one in hub.reports)])
    return hub._replace(number=highest + 1, raised=0)


def _name(index: int | None) -> str:
    return "" if index is None else f"s{index}"


def _index(name: str | None) -> int | None:
    return None if name is None else int(name[1:])


def _with(values: tuple[object, ...], index: int, value: object) -> tuple:  # type: ignore[type-arg]
    return (*values[:index], value, *values[index + 1 :])


def wire(shown: Shown | None) -> protocol.Visible | None:
    """As the protocol writes it."""
    if shown is None:
        return None
    return protocol.Visible(source_id=SOURCE, number=shown.number, generation=shown.generation)


def _changed(snapshot: rotation.Snapshot, hub: Hub) -> rotation.Snapshot:
    return dataclasses.replace(
        snapshot,
        candidate=hub.candidate,
        visible=wire(hub.visible),
        candidate_seconds=hub.candidate_age * UNIT,
        is_candidate_old=hub.candidate in hub.known,
    )


def _snapshot(world: World) -> rotation.Snapshot:
    hub = world.hub
    return rotation.Snapshot(
        source_id=SOURCE,
        visible=wire(hub.visible),
        generations=GENERATIONS,
        stations=tuple(_station(world, index) for index in range(len(world.stations))),
        candidate=hub.candidate,
        candidate_seconds=hub.candidate_age * UNIT,
        lost_seconds=(hub.lost or 0) * UNIT,
        is_candidate_old=hub.candidate in hub.known,
        lease=leadership.Lease(
            hub.lease.token,
            None if hub.lease.holder is None else _name(hub.lease.holder),
            hub.lease.renewed * UNIT,
            min(hub.lease.idle, hub.raised) * UNIT,
            {_name(who): age * UNIT for who, age in hub.lease.failed},
        ),
        sync_number=hub.number,
        since_sync_raised=hub.raised * UNIT,
        orphaned_seconds=(hub.orphaned or 0) * UNIT,
        is_settled=is_settled(hub),
    )


def _station(world: World, index: int) -> rotation.Station:
    hub = world.hub
    report, lag = hub.reports[index], hub.lags[index]
    others = [one for number, one in enumerate(hub.lags) if number != index]
    excluded = lag.excluded if lag else None
    return rotation.Station(
        id=_name(index),
        silent_seconds=report.age * UNIT,
        held=report.held,
        fetchable=report.held,
        shown=wire(report.shown),
        stalled_seconds=lag.behind * UNIT if lag else 0.0,
        behind_seconds=lag.behind * UNIT if lag else 0.0,
        excluded_seconds=excluded * UNIT if excluded is not None else None,
        lagging_behind=lag.generation if lag else None,
        finished_sync=report.run.number,
        sync_token=report.run.token,
        sync_generation=report.run.generation,
        lease_token=report.token,
        volume=str(world.stations[index].volume),
        is_last=all(one is not None and one.excluded is not None for one in others),
    )


def _lagging(hub: Hub, snapshot: rotation.Snapshot, decision: visibility.Decision) -> Hub:
    lags: list[Lag | None] = []
    for index, station in enumerate(snapshot.stations):
        if not rotation.lacks(snapshot, station) or station.silent_seconds > LIMITS.liveness:
            lags.append(None)
            continue
        former, target = hub.lags[index], rotation.target(snapshot)
        excluded = former.excluded if former else None
        excluded = (excluded or 0) if station.id in decision.excluded else None
        behind = former.behind if former is not None and former.generation == target else 0
        lags.append(Lag(target, behind, excluded))
    return hub._replace(lags=tuple(lags))


def _led(hub: Hub, snapshot: rotation.Snapshot) -> Hub:
    contenders = [
        leadership.Contender(
            id=one.id,
            hindrance="It is silent." if one.silent_seconds > LIMITS.liveness else "",
            is_owing=one.id == snapshot.lease.holder and one.finished_sync < snapshot.sync_number,
            merit=2 * (hub.candidate in one.held)
            + (snapshot.visible is not None and snapshot.visible.generation in one.held),
            token=one.lease_token,
        )
        for one in snapshot.stations
    ]
    ruling = leadership.rule(snapshot.lease, contenders, _TERMS, is_settled=is_settled(hub))
    return hub._replace(lease=_ruled(hub.lease, ruling))


def _written(world: World, hub: Hub) -> Hub:
    writers = []
    for number, writer in enumerate(hub.writers):
        contenders = [
            leadership.Contender(
                id=_name(index),
                hindrance="It is silent." if hub.reports[index].age * UNIT > LIMITS.liveness else "",
                token=hub.reports[index].writer,
            )
            for index, station in enumerate(world.stations)
            if station.volume == number
        ]
        lease = leadership.Lease(
            writer.token, None if writer.holder is None else _name(writer.holder), writer.renewed * UNIT
        )
        writers.append(_ruled(writer, leadership.rule(lease, contenders, _TERMS, is_settled=is_settled(hub))))
    return hub._replace(writers=tuple(writers))


def _ruled(lease: Lease, ruling: leadership.Ruling) -> Lease:
    failed = lease.failed
    if ruling.failed is not None:
        who = _index(ruling.failed) or 0
        failed = (*(one for one in failed if one[0] != who), (who, 0))
    if ruling.verdict is leadership.Verdict.GRANT:
        return Lease(_index(ruling.holder), ruling.token, 0, 0, failed)
    return lease._replace(holder=_index(ruling.holder), token=ruling.token, failed=failed)
