"""R12: a volume without room for what is to come. The hub says what must stay even then, to who may remove."""

import datetime
from typing import Any

from stationmaster.model import protocol


def show(fleet: Any, group: Any, *names: str) -> None:
    for name in names:
        for station in (group.a, group.b):
            station.held[group.source.id] = [*station.held.get(group.source.id, []), name]
        for _ in range(3):
            group.beat()
            fleet.tick(1)
    group.beat()


def test_what_may_go_for_want_of_room_is_what_nobody_can_show_or_go_back_to(fleet: Any, group: Any) -> None:
    fleet.tick()
    group.beat()
    show(fleet, group, "g1", "g2", "g3", "g4")
    assert group.a.last.pinned is None, "nobody wants room"
    assert group.a.last.volume_lease.room_bytes == 0
    assert group.a.last.retained[group.source.id] == ["g1", "g2", "g3", "g4"], "all are younger than the retention time"
    group.a.room_bytes = 5_000
    group.beat()
    fleet.tick(1)
    group.beat()
    assert group.a.last.volume_lease.room_bytes == 5_000
    assert group.a.last.pinned == {group.source.id: ["g3", "g4"]}, "visible and predecessor"
    assert group.b.last.pinned is None, "its volume has room"
    group.a.held[group.source.id].append("g5")
    group.a.beat()
    fleet.tick(1)
    assert group.a.beat().pinned == {group.source.id: ["g3", "g4", "g5"]}, "and the candidate"


def test_a_station_that_shows_an_older_one_keeps_it_for_all_on_the_volume(fleet: Any, group: Any) -> None:
    fleet.tick()
    group.beat()
    show(fleet, group, "g1", "g2")
    group.b.held[group.source.id] = ["g1"]
    group.b.visible = [protocol.Visible(source_id=group.source.id, number=1, generation="g1")]
    group.b.beat()
    fleet.tick(60)
    for name in ("g3", "g4"):
        group.a.held[group.source.id].append(name)
        for _ in range(12):
            group.a.beat()
            fleet.tick(2)
    group.a.room_bytes = 5_000
    group.a.beat()
    fleet.tick(1)
    assert set(group.a.beat().pinned[group.source.id]) >= {"g1", "g3", "g4"}


def test_what_a_station_did_by_itself_becomes_an_event_once(fleet: Any, group: Any) -> None:
    when = fleet.live.clock.now() - datetime.timedelta(seconds=5)
    notice = protocol.Notice(id="n1", time=when, code="RemovedForRoom", message="Removed g1\nbefore its time.")
    group.a.notices = [notice]
    assert group.a.beat().noted == ["n1"]
    group.a.beat()  # the answer was lost: it says so again
    found = fleet.events("STATION_NOTICE")
    assert len(found) == 1
    assert found[0]["message"].startswith("StationA: Removed g1")
    assert "\n" not in found[0]["message"]
    group.a.notices = []
    assert group.a.beat().noted == []
    group.a.notices = [protocol.Notice(id="n2", time=when, code="x", message="y")]
    group.a.beat()
    assert len(fleet.events("STATION_NOTICE")) == 2


def test_an_overtaken_report_is_not_noted(fleet: Any, group: Any) -> None:
    when = fleet.live.clock.now()
    group.a.beat()
    group.a.age = 5.0
    group.a.notices = [protocol.Notice(id="n1", time=when, code="x", message="y")]
    assert group.a.beat().noted == []
    assert fleet.events("STATION_NOTICE") == []
