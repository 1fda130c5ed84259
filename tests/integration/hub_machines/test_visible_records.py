import base64
import concurrent.futures
import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa

from stationmaster.hub import context, orders
from stationmaster.hub.db import schema
from stationmaster.hub.jobs import loop
from stationmaster.model import protocol
from stationmaster.station import snapshot as snapshots
from stationmaster.station import visible_record


@pytest.fixture
def reader(fleet: Any) -> visible_record.Reader:
    return visible_record.Reader(fleet.live.hub.authority.ca_pem.encode())


def hear(station: Any, reader: visible_record.Reader) -> snapshots.RecordView | None:
    """As a station does: checks what came, and says with the next heartbeat that it has it."""
    station.record = station.record or protocol.RecordReport()
    answer = station.beat()
    if answer.record is None:
        return None
    view = reader.read(visible_record.encoded(answer.record))
    station.record = protocol.RecordReport(group_id=view.record.group_id, counter=view.record.counter)
    return view


def show(fleet: Any, group: Any, generation: str) -> None:
    fleet.tick()
    group.beat()
    for station in (group.a, group.b):
        station.held[group.source.id] = [*station.held.get(group.source.id, []), generation]
    group.beat()
    fleet.tick(1)
    fleet.tick(1)


def test_it_is_signed_when_it_changes_and_given_to_who_has_not_got_it(fleet: Any, group: Any, reader: Any) -> None:
    show(fleet, group, "g1")
    first = hear(group.a, reader)
    assert first is not None
    assert [(one.number, one.generation) for one in first.record.visible] == [(1, "g1")]
    assert {one.station_id for one in first.record.stations} == {group.a.id, group.b.id}
    assert [one.addresses for one in first.record.stations[0].peers] == [["10.0.0.1"]]
    assert hear(group.a, reader) is None, "it has it"
    for _ in range(3):
        fleet.tick(1)
    assert hear(group.a, reader) is None, "nothing changed, nothing is signed"
    show(fleet, group, "g2")
    second = hear(group.a, reader)
    assert second is not None
    assert second.record.counter > first.record.counter
    assert [(one.number, one.generation) for one in second.record.visible] == [(2, "g2")]
    other = hear(group.b, reader)
    assert other is not None
    assert other.content == second.content


def test_stations_of_an_earlier_release_are_sent_none(fleet: Any, group: Any) -> None:
    show(fleet, group, "g1")
    assert group.a.beat().record is None


def test_balancers_and_drains_are_part_of_it(fleet: Any, group: Any, reader: Any) -> None:
    show(fleet, group, "g1")
    first = hear(group.a, reader)
    assert first is not None
    fleet.person.request("POST", f"/stationmaster/v1/stations/{group.b.id}/drain")
    fleet.person.request(
        "PUT",
        "/stationmaster/v1/groups/balancers",
        body={"hostname": "lb.example.com", "addresses": ["10.0.0.99"]},
    )
    fleet.tick(1)
    second = hear(group.a, reader)
    assert second is not None
    by_id = {one.station_id: one for one in second.record.stations}
    assert by_id[group.b.id].is_draining
    assert not by_id[group.a.id].is_draining
    assert by_id[group.a.id].balancer_addresses == ["10.0.0.99"]


def test_replicas_give_out_the_same_bytes_signed_once(fleet: Any, group: Any, reader: Any) -> None:
    hub: context.Hub = fleet.live.hub
    others = [dataclasses.replace(hub, orders=orders.Orders()) for _ in range(2)]
    replicas = [loop.Scheduler(one) for one in (hub, *others)]
    group.beat()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda one: one.tick(), replicas))
        list(pool.map(lambda one: one.tick(), replicas))
    nothing = protocol.RecordReport()
    group_id = group.a.desired.group_id
    given = {
        visible_record.encoded(found)
        for one in (hub, *others)
        if (found := one.orders.record_for(group_id, nothing)) is not None
    }
    assert len(given) == 1
    reader.read(given.pop())


def test_a_hub_from_a_backup_signs_above_what_stations_have(fleet: Any, group: Any, reader: Any) -> None:
    show(fleet, group, "g1")
    first = hear(group.a, reader)
    assert first is not None
    with fleet.live.hub.store.write() as tx:
        tx.execute(sa.delete(schema.visible_records))
    group.a.record = protocol.RecordReport(group_id=first.record.group_id, counter=40)
    group.a.beat()
    fleet.tick(1)
    later = hear(group.a, reader)
    assert later is not None
    assert later.record.counter == 41


def test_a_hub_that_has_just_started_signs_nothing_yet(fleet: Any, group: Any, reader: Any) -> None:
    fleet.live.hub.settling.unsettle()
    fleet.tick()
    group.beat()
    assert hear(group.a, reader) is None
    for _ in range(6):
        fleet.tick(2)
        group.beat()
    assert hear(group.b, reader) is not None


def test_a_certificate_is_no_record_and_a_record_no_certificate(fleet: Any, group: Any, reader: Any) -> None:
    """Both are signed by one key: what is signed begins differently."""
    show(fleet, group, "g1")
    group.a.record = protocol.RecordReport()
    found = group.a.beat().record
    assert found is not None
    bare = base64.b64encode(fleet.live.hub.authority.sign(bytes(found.record))).decode()
    with pytest.raises(visible_record.RecordRefusedError, match="not signed by this station's hub"):
        reader.read(visible_record.encoded(protocol.SignedRecord(signature=bare, record=found.record)))
