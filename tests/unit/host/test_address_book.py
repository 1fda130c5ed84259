"""Of several addresses of one name: who is asked first, and who after a failure."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import hypothesis
import pytest
from hypothesis import strategies as st

from stationmaster.host.address_book import (
    FORGIVEN_SECONDS,
    FRESH_SECONDS,
    AddressBook,
    is_literal,
    order,
    resolve_or_remember,
)


class Names:
    """A name server that a test changes; ``asked`` is set when it was asked once more."""

    def __init__(self, *found: str) -> None:
        self.found: Sequence[str] | None = found
        self.asked = threading.Event()
        self.count = 0

    def __call__(self, _name: str) -> Sequence[str]:
        self.count += 1
        self.asked.set()
        if self.found is None:
            raise OSError("no name server")
        return self.found


class Time:
    at = 100.0

    def __call__(self) -> float:
        return self.at


def book(names: Names, time: Time | None = None) -> AddressBook:
    return AddressBook(names, time or Time(), shuffle=list.sort)


def test_who_failed_comes_last_until_it_answers_again() -> None:
    one = book(Names("a", "b", "c"))
    assert one.addresses("hub") == ["a", "b", "c"]
    one.failed("hub", "a")
    assert one.addresses("hub") == ["b", "c", "a"]
    assert one.has_other("hub")
    one.answered("hub", "c")
    assert one.addresses("hub") == ["c", "b", "a"]
    one.answered("hub", "a")
    assert one.addresses("hub")[0] == "a"
    assert not one.has_other("hub")


def test_when_all_failed_who_failed_first_is_next() -> None:
    time = Time()
    one = book(Names("a", "b"), time)
    one.addresses("hub")
    for address in ("b", "a"):
        time.at += 1
        one.failed("hub", address)
    assert one.addresses("hub") == ["b", "a"]
    assert not one.has_other("hub"), "there is nobody left: another way is worth a try"
    time.at += FORGIVEN_SECONDS
    one.failed("hub", "b")
    assert one.has_other("hub"), "what failed long ago may be well again"


def test_a_name_server_that_is_away_costs_nothing_once_a_name_is_known() -> None:
    names, time = Names("a", "b"), Time()
    one = book(names, time)
    one.addresses("hub")
    names.found = None
    names.asked.clear()
    time.at += FRESH_SECONDS + 1
    assert one.addresses("hub") == ["a", "b"]
    assert names.asked.wait(5)
    assert one.addresses("hub") == ["a", "b"]
    with pytest.raises(OSError, match="no name server"):
        one.addresses("other")


def test_what_was_known_before_a_restart_helps_without_a_name_server() -> None:
    names = Names("new")
    look_up = resolve_or_remember(lambda: {"hub": ("old",)}, names)
    assert look_up("hub") == ("new",)
    names.found = None
    assert look_up("HUB.") == ("old",)
    with pytest.raises(OSError, match="no name server"):
        look_up("other")


def test_a_new_address_is_used_once_it_was_looked_up_beside() -> None:
    names, time = Names("a"), Time()
    one = book(names, time)
    one.addresses("hub")
    names.found = ("b",)
    time.at += FRESH_SECONDS + 1
    one.addresses("hub")
    for _ in range(500):
        if one.addresses("hub") == ["b"]:
            break
        names.asked.wait(0.01)
    assert one.addresses("hub") == ["b"]
    assert names.count == 2


def test_the_family_that_the_system_prefers_stays_first() -> None:
    found = ("::2", "10.0.0.2", "::1", "10.0.0.1")
    assert book(Names(*found)).addresses("hub") == ["::1", "::2", "10.0.0.1", "10.0.0.2"]


def test_machines_spread_over_the_replicas() -> None:
    firsts = {AddressBook(Names("a", "b"), Time()).addresses("hub")[0] for _ in range(64)}
    assert firsts == {"a", "b"}


def test_an_address_needs_no_name_server() -> None:
    assert book(Names()).addresses("[::1]") == ["::1"]
    assert [is_literal(one) for one in ("10.0.0.1", "fe80::1%eth0", "hub", "")] == [True, True, False, False]


@hypothesis.given(
    found=st.lists(st.sampled_from("abcde"), unique=True, min_size=1),
    answered=st.sampled_from(["a", "b", None]),
    failed=st.dictionaries(st.sampled_from("abcde"), st.floats(0, 100)),
)
def test_everybody_has_a_turn_and_the_well_come_first(
    found: list[str], answered: str | None, failed: dict[str, float]
) -> None:
    ordered = order(found, answered, failed)
    assert sorted(ordered) == sorted(found)
    states = [one in failed for one in ordered]
    assert states == sorted(states)
    if answered in found and answered not in failed:
        assert ordered[0] == answered
