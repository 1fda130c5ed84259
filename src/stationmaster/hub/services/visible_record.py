"""Keeps each group's signed record: signed anew when what it says has changed, handed out by heartbeats (R12, ADR 22).

The database holds the signed bytes, so that all replicas of the hub give out the same ones. Signing is the scheduler's
work, once per change; a heartbeat compares two numbers.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from stationmaster.hub import context
from stationmaster.hub.db import schema, store
from stationmaster.hub.services import facts, group_view
from stationmaster.model import desired, protocol
from stationmaster.model import visible_record as records


def step(hub: context.Hub, now: datetime.datetime, view: group_view.GroupView, *, is_settled: bool) -> None:
    """One look at one group. A hub that has not listened long enough signs nothing: it may know less than it did (R8).

    What is visible is read here, not taken from the view: the round may just have moved it.
    """
    reported = [
        report.record.counter
        for _, report in view.reports.values()
        if report.record is not None and report.record.group_id == view.group_id
    ]
    with hub.store.read() as tx:
        row = _stored(tx, view.group_id)
        wanted = compose(tx, now, hub, view)
    if is_settled and is_due(row, wanted, reported):
        row = hub.store.transact(lambda tx: _sign(tx, now, hub, view, reported))
    if row is not None:
        hub.orders.set_record(view.group_id, row.counter, msgspec.json.decode(row.signed, type=protocol.SignedRecord))


def compose(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, view: group_view.GroupView
) -> records.VisibleRecord:
    """What the group's record should say now."""
    members = tuple(facts.station_facts(member) for member in view.members)
    group = desired.GroupFacts(
        members=members, balancer_addresses=facts.balancer_addresses(tx, view.group_id, now), sync_numbers={}
    )
    sources = [facts.source_facts(row) for row in view.sources]
    known = facts.hub_facts(hub)
    stations = [desired.station_desired(member, group, sources, known) for member in members]
    return records.compose(view.group_id, stations, facts.visible_generations(tx, view.group_id))


def is_due(row: sa.Row[Any] | None, wanted: records.VisibleRecord, reported: Iterable[int]) -> bool:
    """Whether to sign: something else is to be said, or a station has a higher counter than we remember (R8)."""
    return (
        row is None
        or row.digest != records.content_digest(wanted)
        or records.next_counter(row.counter, reported) > row.counter + 1
    )


def _stored(tx: sa.Connection, group_id: str) -> sa.Row[Any] | None:
    table = schema.visible_records
    return tx.execute(sa.select(table).where(table.c.group_id == group_id)).one_or_none()


def _sign(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, view: group_view.GroupView, reported: list[int]
) -> sa.Row[Any] | None:
    """In one transaction, so that of two replicas the second finds that nothing is to be done."""
    row, wanted = _stored(tx, view.group_id), compose(tx, now, hub, view)
    if not is_due(row, wanted, reported):
        return row
    counter = records.next_counter(row.counter if row is not None else 0, reported)
    content = msgspec.json.encode(msgspec.structs.replace(wanted, counter=counter, time_signed=now))
    signature = base64.b64encode(hub.authority.sign(records.SIGNED_PREFIX + content)).decode()
    signed = msgspec.json.encode(protocol.SignedRecord(signature=signature, record=msgspec.Raw(content))).decode()
    values = {
        "counter": counter,
        "digest": records.content_digest(wanted),
        "signed": signed,
        "time_signed": now,
    }
    table = schema.visible_records
    if row is None:
        store.insert_first(tx, table, group_id=view.group_id, **values)
    else:
        same = sa.and_(table.c.group_id == view.group_id, table.c.counter == row.counter)
        store.update_unchanged(tx, table, same, values)
    return _stored(tx, view.group_id)
