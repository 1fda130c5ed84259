"""The hub of the exploration: what it stores, hears and tells. What it decides each second is in ``hub_rounds``."""

from __future__ import annotations

from stationmaster.model import listening, protocol, retained
from stationmaster.testing.exploration import state
from stationmaster.testing.exploration.state import (
    Generations,
    Hub,
    Lag,
    Lease,
    Report,
    Row,
    Shown,
    Station,
    Told,
    Value,
    Volume,
    changed,
    older,
    remembered,
    replaced,
    shared,
)


@remembered
def grow_older(hub: Hub) -> Hub:
    """One unit later. A hub that is away does not count; when it returns, all it knows is old."""
    if not hub.is_up:
        return hub
    return changed(
        hub,
        reports=tuple(changed(one, age=older(one.age, state.HEARD)) for one in hub.reports),
        writers=tuple(changed(one, renewed=older(one.renewed, state.RENEWED)) for one in hub.writers),
        rows=tuple(map(_row_older, hub.rows)),
        processes=tuple(None if one is None else older(one, state.SURE) for one in hub.processes),
        parted=older(hub.parted, state.EXCLUDED),
        deleted=tuple(
            older(age, state.BEHIND) if one == state.DELETING else 0
            for age, one in zip(hub.deleted, hub.members, strict=True)
        ),
    )


@remembered
def _row_older(row: Row) -> Row:
    lease = row.lease
    return changed(
        row,
        lags=tuple(one and _lag_older(one) for one in row.lags),
        candidate_age=older(row.candidate_age, state.WAITED) if row.candidate else 0,
        lost=None if row.lost is None else older(row.lost, state.LOST),
        orphaned=None if row.orphaned is None else older(row.orphaned, state.LOST),
        lease=changed(
            lease,
            renewed=older(lease.renewed, state.RENEWED),
            idle=older(lease.idle, state.IDLE),
            failed=tuple((who, age + 1) for who, age in lease.failed if age + 1 < state.tried(len(row.lags))),
        ),
        raised=older(row.raised, state.RAISED),
    )


def _lag_older(lag: Lag) -> Lag:
    excluded = None if lag.excluded is None else older(lag.excluded, state.EXCLUDED)
    return changed(lag, behind=older(lag.behind, state.BEHIND), excluded=excluded)


def returned(hub: Hub, process: int | None = None) -> Hub:
    """After a start of all processes, or of one: it listens first; when nobody listened, what is known may be old."""
    if process is not None and any(one is not None for one in hub.processes):
        return changed(hub, processes=replaced(hub.processes, process, 0))
    return changed(
        hub,
        processes=tuple(0 for _ in hub.processes) if process is None else replaced(hub.processes, process, 0),
        reports=tuple(changed(one, age=state.HEARD) for one in hub.reports),
        rows=tuple(changed(one, lease=changed(one.lease, renewed=state.RENEWED)) for one in hub.rows),
        writers=tuple(changed(one, renewed=state.RENEWED) for one in hub.writers),
    )


def process_of(hub: Hub, index: int) -> int | None:
    """Which process a station speaks with: its own while that one has the database, else the first that has."""
    own = index % len(hub.processes)
    order = (own, *range(len(hub.processes)))
    return next((one for one in order if hub.processes[one] is not None), None)


@remembered
def answering(hub: Hub) -> tuple[bool, ...]:
    """By station, whether it is answered.

    R8: a process that lost the database says "no decision", which confirms nobody; another may answer instead.
    """
    return tuple(process_of(hub, index) is not None for index in range(len(hub.members)))


def is_leading(hub: Hub, index: int) -> bool:
    """R8: only a process that has listened for a liveness period renews and tells leases."""
    process = process_of(hub, index)
    return process is not None and hub.processes[process] in (state.SETTLED, state.SURE)


@remembered
def report_of(station: Station, volume: Volume) -> Report:
    """What a heartbeat says."""
    told = tuple(
        Told(
            held=content.held,
            fetchable=reported(part.proved, content.held),
            shown=part.shown,
            run=part.run,
            token=part.token,
        )
        for part, content in zip(station.parts, volume.contents, strict=True)
    )
    return shared(Report(0, told, volume.closed and volume.closed + 1))


@remembered
def heard(hub: Hub, reports: tuple[Report | None, ...], volumes: tuple[int, ...]) -> Hub:
    """Heartbeats: stored, and what a station holds of leases is renewed (`hub.services.leases.renew`)."""
    for index, report in enumerate(reports):
        if report is not None and hub.members[index] in (state.ACTIVE, state.DELETING):
            hub = _heard_one(hub, index, report, volumes[index])
    return hub


def _heard_one(hub: Hub, index: int, report: Report, volume: int) -> Hub:
    hub = changed(hub, reports=replaced(hub.reports, index, report))
    if not is_leading(hub, index):
        return hub
    rows = tuple(
        changed(row, lease=changed(row.lease, renewed=0)) if row.lease.holder == index else row for row in hub.rows
    )
    writers = hub.writers
    if writers[volume].holder == index:
        writers = replaced(writers, volume, changed(writers[volume], renewed=0))
    return changed(hub, rows=rows, writers=writers)


class Say(Value, frozen=True, cache_hash=True, gc=False):
    """What an answer says of one source. ``lease``: its token, 0 when it is another's."""

    visible: Shown | None
    number: int
    lease: int
    retained: Generations
    copies: tuple[str, ...]


class Answer(Value, frozen=True, cache_hash=True, gc=False):
    """The answer to a heartbeat."""

    says: tuple[Say, ...]
    is_in_rotation: bool
    writer: int
    is_gone: bool = False


@remembered
def answer_of(hub: Hub, index: int, volume: int, elsewhere: Generations, *, is_ready: bool) -> Answer:
    """`hub.services.heartbeat.receive`; ``is_ready``: the station said that it is, when it sent its heartbeat."""
    if hub.members[index] not in (state.ACTIVE, state.DELETING):
        return Answer((), is_in_rotation=False, writer=0, is_gone=True)
    leads = is_leading(hub, index)
    says = tuple(
        Say(
            row.visible,
            row.number,
            row.lease.token if leads and row.lease.holder == index else 0,
            must_stay(hub, source, elsewhere),
            row.copies[index],
        )
        for source, row in enumerate(hub.rows)
    )
    lags = [row.lags[index] for row in hub.rows]
    writer = hub.writers[volume]
    return shared(
        Answer(
            says,
            is_in_rotation=all(one is None or one.excluded is None for one in lags)
            and (is_ready or may_join(hub, index)),
            writer=writer.token if leads and writer.holder == index else 0,
        )
    )


def reported(proved: Generations, held: Generations) -> Generations:
    """R4: what a station calls fetchable is what it saw its own web server serve."""
    return proved & held


def must_stay(hub: Hub, source: int, elsewhere: Generations) -> Generations:
    """What is told of retention, when its time is over for all but what may still be shown, in any group (R10)."""
    row = hub.rows[source]
    coming = {row.candidate} if row.candidate else set()
    return frozenset({one.generation for one in row.recent} | coming) | elsewhere


def may_join(hub: Hub, index: int) -> bool:
    """`model.listening`: what the hub knows of what its stations show, while it listens."""
    process = process_of(hub, index)
    listened = hub.processes[process] if process is not None else None
    visible = {str(source): row.visible.number for source, row in enumerate(hub.rows) if row.visible}
    others = [
        _numbers(report) if listened is not None and report.age <= listened else None
        for other, report in enumerate(hub.reports)
        if other != index and hub.members[other] in (state.ACTIVE, state.DELETING)
    ]
    return listening.may_join(visible, _numbers(hub.reports[index]), [] if listened == state.SURE else others)


def _numbers(report: Report) -> dict[str, int]:
    return {str(source): one.shown.number for source, one in enumerate(report.told) if one.shown}


def left_behind(hub: Hub, source: int) -> tuple[Shown, ...]:
    """The numbers that some station may still show."""
    row = hub.rows[source]
    shown = [one.told[source].shown for one in hub.reports]
    numbers = [one.number for one in shown if one is not None]
    gone = retained.numbers_left([(one.number, one.generation) for one in row.recent], numbers)
    return tuple(one for one in row.recent if one.number not in gone)


def ask(hub: Hub, source: int) -> Hub:
    """Somebody wants a sync: above every number that was ever answered (R8)."""
    row = hub.rows[source]
    highest = max([row.number, *(one.told[source].run.number for one in hub.reports)])
    return changed(hub, rows=replaced(hub.rows, source, changed(row, number=highest + 1, raised=0)))


def wire(source: int, shown: Shown | None) -> protocol.Visible | None:
    """As the protocol writes it."""
    if shown is None:
        return None
    return protocol.Visible(source_id=str(source), number=shown.number, generation=shown.generation)


def fresh(lease: Lease, holder: int | None, token: int) -> Lease:
    """Granted just now."""
    return changed(lease, holder=holder, token=token, renewed=0, idle=0)
