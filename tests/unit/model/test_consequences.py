"""What a change does to groups beyond what was asked for."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import consequences

LB, LONE = ("lb.example.com", "root"), ("sta.example.com", "root")


def group(names: str, sources: str = "", **directories: str) -> consequences.Group:
    members = {f"id-{one}": consequences.Member(one, directories.get(one, "/mnt/mirror")) for one in names}
    return consequences.Group(members, {f"id-{one}": one for one in sources})


def warned(before: consequences.Groups, after: consequences.Groups) -> list[str]:
    return list(consequences.of_change(before, after, kept="for 3 days"))


def test_a_station_that_leaves_is_said_and_who_stays_alone() -> None:
    assert warned({LB: group("ABC")}, {LB: group("BC")}) == [
        "A leaves the group of lb.example.com, where B, C stay.",
    ]
    assert warned({LB: group("AB")}, {LB: group("B"), LONE: group("A")}) == [
        "A leaves the group of lb.example.com, where B stay.",
        "B is then the only station of lb.example.com: when it fails, instances get no updates.",
    ]
    assert warned({LB: group("A")}, {}) == []


def test_directories_that_differ_are_said_when_they_begin_to() -> None:
    differing = group("AB", B="/srv/mirror")
    expected = (
        "Stations of lb.example.com then keep their mirrors in different directories (/mnt/mirror: A; /srv/mirror: B)."
    )
    assert warned({LB: group("A")}, {LB: differing}) == [expected]
    assert warned({LB: group("AB")}, {LB: differing}) == [expected]
    assert warned({LB: differing}, {LB: differing}) == []
    assert warned({LB: differing}, {LB: group("ABC", B="/srv/mirror")}) == []


def test_a_mirror_list_that_shrinks_is_said_with_what_becomes_of_the_data() -> None:
    expected = "The group of lb.example.com no longer mirrors y, z; what its volumes hold of it stays for 3 days."
    assert warned({LB: group("AB", "xyz")}, {LB: group("AB", "x")}) == [expected]
    assert warned({LB: group("AB", "x")}, {LB: group("AB", "xy")}) == []
    assert warned({LB: group("A", "x")}, {}) == []


def test_a_name_that_makes_a_group_of_its_own_by_a_slip() -> None:
    slip = ("lb.exmaple.com", "root")
    assert warned({LB: group("A")}, {LB: group("A"), slip: group("B")}) == [
        "lb.exmaple.com makes a group of its own; lb.example.com is another one.",
    ]
    elsewhere = ("lb.example.com", "other")
    assert warned({LB: group("A")}, {LB: group("A"), elsewhere: group("B")}) == [
        "lb.example.com is in use in another compartment; stations here are another group.",
    ]
    assert warned({LB: group("A"), slip: group("B")}, {LB: group("A"), slip: group("BC")}) == []


SOME = st.dictionaries(
    st.sampled_from([LB, LONE]),
    st.builds(
        group, st.sets(st.sampled_from("ABC"), min_size=1).map("".join), st.sets(st.sampled_from("xy")).map("".join)
    ),
)


@given(SOME, SOME)
def test_no_group_loses_a_station_or_a_source_in_silence(before: Any, after: Any) -> None:
    found = " ".join(warned(before, after))
    assert bool(warned(before, before)) is False
    for key in before.keys() & after.keys():
        for gone in before[key].members.keys() - after[key].members.keys():
            assert before[key].members[gone].name in found
        for lost in before[key].sources.keys() - after[key].sources.keys():
            assert before[key].sources[lost] in found
