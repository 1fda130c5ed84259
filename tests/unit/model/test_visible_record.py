from __future__ import annotations

import datetime

import msgspec

from stationmaster.model import protocol
from stationmaster.model import visible_record as records
from stationmaster.testing import stations as values

NOW = values.NOW
SECRET = "hunter2"


def member(station_id: str, **changes: object) -> protocol.StationDesired:
    sources = [
        msgspec.structs.replace(
            values.source(values.A, 7, keys=["a key"]),
            access=protocol.UpstreamAccess(username="u", password=SECRET),
        )
    ]
    return values.desired(
        station_id=station_id,
        sources=sources,
        forward_proxy=f"http://u:{SECRET}@proxy:3128",
        instance_setup_script="#!/bin/sh",
        **changes,
    )


def composed(*members: protocol.StationDesired, number: int = 3) -> records.VisibleRecord:
    visible = {values.A: values.visible(values.A, number, "g3"), "gone": values.visible("gone", 9, "x")}
    return records.compose("group", members, visible)


def test_it_says_nothing_secret_since_others_read_it_on_the_volume() -> None:
    text = msgspec.json.encode(composed(member("s1"), member("s2")))
    assert SECRET.encode() not in text
    assert b"10.0.0.9" in text, "balancers are part of it"
    assert b"a key" in text


def test_equal_facts_make_equal_records_whatever_their_order_counter_and_time() -> None:
    first, second = composed(member("s1"), member("s2")), composed(member("s2"), member("s1"))
    later = msgspec.structs.replace(second, counter=9, time_signed=NOW)
    assert records.content_digest(first) == records.content_digest(later)
    assert records.content_digest(first) != records.content_digest(composed(member("s1"), member("s2"), number=4))
    assert records.content_digest(first) != records.content_digest(composed(member("s1")))


def test_a_sync_request_alone_makes_no_new_record() -> None:
    raised = msgspec.structs.replace(member("s1"), sources=[values.source(values.A, 8, keys=["a key"])])
    assert records.content_digest(composed(member("s1"))) == records.content_digest(composed(raised))


def test_only_what_is_mirrored_is_told_as_visible() -> None:
    assert [one.source_id for one in composed(member("s1")).visible] == [values.A]


def test_a_hub_from_a_backup_numbers_above_what_stations_have() -> None:
    assert records.next_counter(0, []) == 1
    assert records.next_counter(4, [4, 2]) == 5
    assert records.next_counter(4, [17]) == 18
    assert records.next_counter(4, [2**62]) == 5, "nonsense takes no part"


def test_the_higher_counter_holds_and_between_groups_the_later_one() -> None:
    def record(group: str, counter: int, minutes: int = 0) -> records.VisibleRecord:
        when = NOW + datetime.timedelta(minutes=minutes)
        return msgspec.structs.replace(composed(member("s1")), group_id=group, counter=counter, time_signed=when)

    assert records.is_newer(record("a", 1), None)
    assert records.is_newer(record("a", 3), record("a", 2, 5))
    assert not records.is_newer(record("a", 2, 5), record("a", 3))
    assert not records.is_newer(record("a", 2), record("a", 2))
    assert records.is_newer(record("b", 1, 5), record("a", 9))
    assert not records.is_newer(record("b", 99), record("a", 1, 5))
    assert records.newest([]) is None


def test_a_member_gets_back_what_it_should_be() -> None:
    record = composed(member("s1"), member("s2", permitted_ranges=["10.9.0.0/16"]))
    lost = records.desired_of(record, "s2", None, "http://registered:3128")
    assert lost is not None
    assert lost.permitted_ranges == ["10.9.0.0/16"]
    assert [one.source_id for one in lost.sources] == [values.A]
    assert lost.sources[0].access is None
    assert lost.forward_proxy == "http://registered:3128"
    assert records.desired_of(record, "stranger", None, None) is None


def test_what_only_the_station_remembers_stays_where_the_upstream_is_the_same() -> None:
    former = member("s1")
    kept = records.desired_of(composed(former), "s1", former, None)
    assert kept == former
    moved = [msgspec.structs.replace(former.sources[0], url="http://elsewhere/")]
    changed = records.desired_of(composed(msgspec.structs.replace(former, sources=moved)), "s1", former, None)
    assert changed is not None
    assert changed.sources[0].access is None, "a password goes to the address it was given for"
