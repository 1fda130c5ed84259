"""Between a group and those who use it: names that were meant to be one, ports that change, and who goes past it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import client_findings, conditions, diagnosis, port_change

GROUP = conditions.GroupCondition(
    hostname="lb.example.com",
    stations=(
        conditions.StationCondition("A", "/mnt/mirror"),
        conditions.StationCondition("B", "/mnt/mirror"),
    ),
    balancer_addresses=("10.0.0.5",),
)
OPENING, MOVING = port_change.Phase.OPENING, port_change.Phase.MOVING


def found(**changes: Any) -> list[tuple[str, str, str]]:
    group = dataclasses.replace(GROUP, **changes)
    return [(one.severity.value, one.code, one.message) for one in diagnosis.diagnose(group)]


def change(phase: port_change.Phase, **changes: Any) -> conditions.PortChangeCondition:
    return conditions.PortChangeCondition(phase, "1/2/3", "4/5/6", **changes)


@pytest.mark.parametrize(
    ("first", "second", "is_alike"),
    [
        ("lb.example.com", "lb", True),
        ("lb.example.com", "lb.example", True),
        ("lb.example.com", "lb.exmaple.com", True),
        ("lb.example.com", "lb.exampel.com", True),
        ("lb.example.com", "lb.exaple.com", True),
        ("lb.example.com", "lb.exammple.com", True),
        ("lb.example.com", "lb.ezample.com", True),
        ("lb.example.com", "lbexample.com", True),
        ("lb1.example.com", "lb2.example.com", False),
        ("lb9.example.com", "lb10.example.com", False),
        ("lb-a.example.com", "lb-b.example.com", False),
        ("east.example.com", "west.example.com", False),
        ("web", "wed", False),
        ("10.0.0.1", "10.0.0.11", False),
        ("lb.example.com", "lb.example.com", False),
        ("lb.example.com", "db.example.org", False),
    ],
)
def test_names_that_were_meant_to_be_one(first: str, second: str, is_alike: bool) -> None:
    assert client_findings.are_alike(first, second) is is_alike
    assert client_findings.are_alike(second, first) is is_alike


@given(st.from_regex(r"[a-z]{5,12}\.[a-z]{3,8}\.org", fullmatch=True), st.data())
def test_one_letter_left_out_is_found_wherever_it_was(name: str, data: Any) -> None:
    at = data.draw(st.integers(0, len(name) - 1))
    if name[at] != ".":
        assert client_findings.are_alike(name, name[:at] + name[at + 1 :])


def test_a_group_that_was_split_is_said_and_no_trouble() -> None:
    others = (
        conditions.NeighbourCondition("lb", "c", ("C",)),
        conditions.NeighbourCondition("lb.example.com", "other", ("D", "E")),
        conditions.NeighbourCondition("elsewhere.example.com", "c", ("F",)),
    )
    assert found(neighbours=others) == [
        ("INFO", "GroupSplit", "C stand as lb: that is another group."),
        ("INFO", "GroupSplit", "D, E stand in the compartment other: that is another group."),
    ]


def test_who_goes_past_the_balancer_is_named_where_there_is_one() -> None:
    past = tuple((f"web{number}", "sta.example.com") for number in range(7))
    ((severity, code, message),) = found(past_balancer=past)
    assert (severity, code) == ("WARNING", "PastTheBalancer")
    assert message.startswith("7 instance(s) do not come by lb.example.com: web0 (sta.example.com), ")
    assert message.endswith("web4 (sta.example.com) and 2 more.")
    assert "PastTheBalancer" not in str(found(past_balancer=past, balancer_addresses=()))


@pytest.mark.parametrize(
    ("condition", "severity"),
    [
        (change(OPENING, seconds=10.0), "INFO"),
        (change(OPENING, seconds=200.0, waiting=("B does not serve 4 yet.",)), "WARNING"),
        (change(MOVING, seconds=200.0, users=3, seconds_left=9000.0), "INFO"),
        (change(MOVING, users=3, seconds_left=900.0), "WARNING"),
        (change(MOVING, users=0, seconds_left=900.0), "INFO"),
    ],
)
def test_a_change_of_ports_is_trouble_only_when_it_is_stuck_or_cuts_somebody_off(
    condition: conditions.PortChangeCondition, severity: str
) -> None:
    ((told, code, message),) = found(port_change=condition)
    assert (told, code) == (severity, "PortsChanging")
    assert all(one in message for one in condition.waiting)


def test_nobody_leads_says_why_for_each_station() -> None:
    unled = (("B", "It is silent."), ("A", "Its volume cannot be written."))
    source = conditions.SourceCondition("app", holders=("A",), unled=unled, is_owed=True)
    expected = "No station may ask the upstream. A: Its volume cannot be written. B: It is silent."
    assert found(sources=(source,)) == [("ERROR", "NobodyLeads", expected)]
    calm = dataclasses.replace(source, is_owed=False)
    assert found(sources=(calm,)) == [("WARNING", "NobodyLeads", expected)]
