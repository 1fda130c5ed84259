"""A port is named only when all serve it, and closed only when it is no longer named."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import errors, port_change, ports

OLD = port_change.PortSet.of(ports.PortTriple(16080, 17080, 17443))
NEW = port_change.PortSet.of(ports.PortTriple(26080, 27080, 27443))
BOTH = frozenset({*OLD.roles().values(), *NEW.roles().values()})
OPENING, MOVING = port_change.Phase.OPENING, port_change.Phase.MOVING
WAIT, TELL, CLOSE = port_change.Step.WAIT, port_change.Step.TELL_CLIENTS, port_change.Step.CLOSE_THE_OTHERS


def station(name: str = "A", *, in_touch: bool = True, listening: Any = BOTH) -> port_change.Station:
    return port_change.Station(name, in_touch, BOTH, frozenset(listening))


def balancer(told: Any, beside: Any = None, *, silent: float = 1.0, node: str = "lb1") -> port_change.Balancer:
    return port_change.Balancer(node, silent, told, beside)


def situation(phase: port_change.Phase, *stations: port_change.Station, **fields: Any) -> port_change.Situation:
    told, beside = (OLD.direct, NEW.direct) if phase is OPENING else (NEW.direct, OLD.direct)
    return port_change.Situation(phase, told, beside, stations or (station(),), **fields)


def step(*arguments: Any, **fields: Any) -> tuple[port_change.Step, str]:
    found = port_change.decide(situation(*arguments, **fields))
    return found.step, " ".join(found.waiting)


def test_clients_are_told_when_all_who_are_heard_serve_both() -> None:
    assert step(OPENING, station("A"), station("B")) == (TELL, "")
    lagging = BOTH - {27443}
    assert step(OPENING, station("A"), station("B", listening=lagging)) == (WAIT, "B does not serve 27443 yet.")


def test_a_silent_station_holds_nobody_up_and_all_of_none_is_no_consent() -> None:
    silent = station("B", in_touch=False, listening=())
    assert step(OPENING, station("A"), silent) == (TELL, "")
    assert step(OPENING, silent) == (WAIT, "No station serves clients.")


def test_running_balancers_are_waited_for_unless_silent_or_of_an_earlier_release() -> None:
    waiting = (WAIT, "The balancer lb1 does not serve both sets of ports yet.")
    assert step(OPENING, balancers=(balancer(OLD.direct),)) == waiting
    assert step(OPENING, balancers=(balancer(OLD.direct, NEW.direct),)) == (TELL, "")
    assert step(OPENING, balancers=(balancer(OLD.direct, silent=121.0),)) == (TELL, "")
    assert step(OPENING, balancers=(balancer(None),)) == (TELL, "")


def test_the_former_ports_go_when_nobody_uses_them_any_more() -> None:
    assert step(MOVING, since_moved=11.0) == (CLOSE, "")
    assert step(MOVING, since_moved=9.0)[0] is WAIT
    used = step(MOVING, since_moved=11.0, laggards=("web1", "web2"))
    assert used == (WAIT, "2 instance(s) still use the former ports: web1, web2.")
    still = balancer(OLD.direct, NEW.direct)
    expected = (WAIT, "The balancer lb1 still sends clients to the former ports of stations.")
    assert step(MOVING, since_moved=11.0, balancers=(still,)) == expected
    # Also one that is cut off from the hub: it serves clients all the same.
    assert step(MOVING, since_moved=11.0, balancers=(dataclasses.replace(still, silent_seconds=9e3),)) == expected


def test_a_stated_time_ends_the_waiting_and_another_one_forbids_an_early_end() -> None:
    laggards = ("web1",)
    assert step(MOVING, since_moved=3601.0, at_most=3600.0, laggards=laggards) == (CLOSE, "")
    assert step(MOVING, since_moved=3599.0, at_most=3600.0, laggards=laggards)[0] is WAIT
    kept = step(MOVING, since_moved=600.0, at_least=7200.0, at_most=60.0)
    assert kept == (WAIT, "The former ports stay for at least 110 min.")


@given(
    st.sets(st.sampled_from(sorted(BOTH))),
    st.sets(st.sampled_from(sorted(BOTH))),
    st.booleans(),
)
def test_no_client_is_told_of_ports_that_a_heard_station_lacks(first: Any, second: Any, is_second_heard: Any) -> None:
    stations = (station("A", listening=first), station("B", listening=second, in_touch=is_second_heard))
    decision = port_change.decide(situation(OPENING, *stations))
    if decision.step is TELL:
        assert all(one.listening >= BOTH for one in stations if one.is_serving)
    else:
        assert decision.waiting


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ((17080, 27080, 27443), r"proxy\.port would be 17080, which is mirror\.port of this group"),
        ((16081, 27080, 27443), r"proxy\.port would be 16081, which is the balancer port of proxy\.port"),
        ((16079, 27080, 27443), r"balancer port of proxy\.port would be 16080, which is proxy\.port"),
        ((26080, 17082, 27443), r"mirror\.port would be 17082, which is the agent-check port"),
        ((26080, 17078, 27443), r"the agent-check port would be 17080, which is mirror\.port"),
    ],
)
def test_a_port_cannot_change_its_purpose_while_both_are_served(wanted: Any, named: str) -> None:
    with pytest.raises(errors.ConflictError, match=named):
        port_change.require_room(port_change.PortSet.of(ports.PortTriple(*wanted)), OLD)


def test_some_ports_may_stay_as_they_are() -> None:
    port_change.require_room(port_change.PortSet.of(ports.PortTriple(16080, 17080, 18443)), OLD)


def test_what_else_listens_on_the_host_is_named() -> None:
    other = port_change.Neighbour("station StationX", (("mirror.port", 27080),))
    with pytest.raises(
        errors.ConflictError, match=r"27080, which is mirror\.port of station StationX on the same host"
    ):
        port_change.require_room(NEW, OLD, (other,))


TRIPLES = st.lists(st.integers(1, 65535), min_size=3, max_size=3, unique=True).map(lambda one: ports.PortTriple(*one))


@given(TRIPLES, TRIPLES)
def test_what_has_room_uses_no_port_for_two_purposes(first: Any, second: Any) -> None:
    present, wanted = port_change.PortSet.of(first), port_change.PortSet.of(second)
    try:
        port_change.require_room(wanted, present)
    except errors.ConflictError:
        return
    purposes: dict[int, str] = {port: role for role, port in present.roles().items()}
    assert all(purposes.get(port, role) == role for role, port in wanted.roles().items())
