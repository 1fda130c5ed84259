"""What each volume lacks, from whom it comes; and who is proved to share one."""

import datetime
from typing import Any

from stationmaster.model import copying, protocol, rotation, sharing

LIMITS = rotation.Limits()
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def station(name: str, *generations: str, **facts: Any) -> rotation.Station:
    held = frozenset(generations)
    return rotation.Station(id=name, **{"fetchable": held, "held": held, **facts})


def copies(*stations: rotation.Station, candidate: str | None = "g2", shown: str = "g1", **writers: str) -> Any:
    visible = protocol.Visible(source_id="s", number=1, generation=shown)
    known = rotation.Snapshot("s", visible, {}, stations, candidate=candidate)
    return {
        name: [(one.generation, one.holders, one.is_candidate) for one in found]
        for name, found in copying.copies_of([known], writers, LIMITS).items()
    }


def test_who_lacks_the_candidate_copies_it_from_who_has_it() -> None:
    assert copies(station("a", "g1", "g2"), station("b", "g1")) == {"b": [("g2", ["a"], True)]}


def test_one_station_copies_for_its_volume() -> None:
    a, b = station("a", "g1", "g2"), station("b", "g1", volume="v")
    assert copies(a, b, station("c", "g1", volume="v")) == {"b": [("g2", ["a"], True)]}
    assert copies(a, b, station("c", "g1", volume="v"), v="c") == {"c": [("g2", ["a"], True)]}
    assert copies(a, b, station("c", "g2", volume="v")) == {}


def test_what_is_visible_is_copied_when_the_candidate_is_there_and_first_by_one_that_left() -> None:
    a = station("a", "g1", "g2")
    assert copies(a, station("b", "g2")) == {"b": [("g1", ["a"], False)]}
    assert copies(a, station("b")) == {"b": [("g2", ["a"], True)]}
    assert copies(a, station("b", excluded_seconds=1.0)) == {"b": [("g1", ["a"], False)]}


def test_the_best_holder_is_one_that_proved_it_and_serves_least() -> None:
    a, b = station("a", "g2", fetchable=frozenset()), station("b", "g2", excluded_seconds=3.0)
    got = copies(a, b, station("c", "g2"), station("d"), station("e"))
    assert got == {"d": [("g2", ["c", "b", "a"], True)], "e": [("g2", ["c", "b", "a"], True)]}
    got = copies(station("a", "g2"), station("c", "g2"), station("d"), station("e"), shown="g2")
    assert got == {"d": [("g2", ["a", "c"], True)], "e": [("g2", ["c", "a"], True)]}


def test_nobody_copies_to_what_cannot_be_written_or_from_who_is_silent() -> None:
    assert copies(station("a", "g2"), station("b", is_writable=False)) == {}
    assert copies(station("a", "g2", silent_seconds=11.0), station("b")) == {}
    assert copies(station("a", "g2"), station("b", is_volume_usable=False)) == {}


def sight(name: str, nonce: str, volume: str = "v", age: int = 0, **read: str) -> sharing.Sight:
    return sharing.Sight(name, volume, (nonce, f"former {nonce}"), {name: nonce, **read}, START - _days(age))


def _days(count: int) -> datetime.timedelta:
    return datetime.timedelta(days=count)


def test_sharing_is_proved_by_reading_each_other() -> None:
    a, b = sight("a", "1", b="2"), sight("b", "2", a="former 1")
    assert sharing.volumes_of([a, b]) == {"a": "v@a", "b": "v@a"}
    assert sharing.doubted([a, b]) == {}


def test_an_equal_id_is_no_proof() -> None:
    a, b = sight("a", "1", age=1, b="old"), sight("b", "2", a="1")
    assert sharing.volumes_of([a, b]) == {"a": "v@a", "b": "v@b"}
    assert sharing.doubted([b, a]) == {"b": "a"}, "the younger one is the copy"
    assert sharing.doubted([sight("a", "1"), sight("b", "2", volume="w")]) == {}


def test_who_shares_with_one_that_shares_shares() -> None:
    a, b, c = sight("a", "1", b="2"), sight("b", "2", a="1", c="3"), sight("c", "3", b="2")
    assert set(sharing.volumes_of([c, a, b]).values()) == {"v@a"}


def test_the_first_release_writes_no_nonces_and_is_not_doubted() -> None:
    old = sharing.Sight("a", "v")
    assert sharing.doubted([old, sharing.Sight("b", "v")]) == {}
    assert sharing.volumes_of([old, sharing.Sight("b", "v")]) == {"a": "v@a", "b": "v@b"}
