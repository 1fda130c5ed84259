"""Who leads: tables of cases, and random leases that try to make two leaders or none (ha-protocol R1, R5, R8)."""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import leadership
from stationmaster.model.leadership import Contender, Lease, Verdict

TERMS = leadership.Terms()


def rule(lease: Lease, *contenders: Contender, is_settled: bool = True) -> leadership.Ruling:
    return leadership.rule(lease, contenders, TERMS, is_settled=is_settled)


def held(**facts: Any) -> Lease:
    return Lease(**{"token": 4, "holder": "a", "renewed_seconds": 1.0, **facts})


def test_the_first_is_given_at_once_to_the_least_loaded() -> None:
    ruling = rule(Lease(), Contender("a", load=1), Contender("b"), Contender("c"))
    assert (ruling.verdict, ruling.holder, ruling.token) == (Verdict.GRANT, "b", 1)


def test_one_that_has_the_work_done_already_comes_first() -> None:
    assert rule(Lease(), Contender("a"), Contender("b", merit=1, load=3)).holder == "b"


def test_a_holder_keeps_it_though_others_are_less_loaded() -> None:
    ruling = rule(held(), Contender("a", load=5, is_owing=True), Contender("b"))
    assert (ruling.verdict, ruling.holder, ruling.token) == (Verdict.KEEP, "a", 4)


@pytest.mark.parametrize(
    "contenders",
    [
        (Contender("b"),),
        (Contender("a", hindrance="It is silent."), Contender("b")),
        (Contender("a", fault="refused"), Contender("b")),
        (Contender("a", is_owing=True), Contender("b")),
        (Contender("a"), Contender("b", token=9)),
    ],
    ids=["it is gone", "it is hindered", "it failed", "it gains nothing", "the hub went back in time"],
)
def test_a_lease_ends_first_and_is_given_when_the_holder_must_have_stopped(contenders: tuple[Contender, ...]) -> None:
    lease = held(idle_seconds=15.0)
    ended = rule(lease, *contenders)
    assert (ended.verdict, ended.holder) == (Verdict.END, None)
    lease = dataclasses.replace(lease, holder=None, token=ended.token)
    assert rule(dataclasses.replace(lease, renewed_seconds=9.9), *contenders).verdict is Verdict.KEEP
    given_ = rule(dataclasses.replace(lease, renewed_seconds=10.0, failed={"a": 9.0}), *contenders)
    assert (given_.verdict, given_.token) == (Verdict.GRANT, ended.token + 1)
    assert given_.token > max(one.token for one in contenders)


def test_a_holder_whose_own_token_is_used_up_gets_the_next_at_once() -> None:
    ruling = rule(held(), Contender("a", token=7), Contender("b", token=7))
    assert (ruling.verdict, ruling.holder, ruling.token) == (Verdict.GRANT, "a", 8)


def test_a_lost_holder_whose_time_is_over_is_followed_in_one_step() -> None:
    lost = Contender("a", hindrance="It is silent.")
    assert rule(held(renewed_seconds=10.0), lost, Contender("b")).holder == "b"


def test_one_that_failed_stays_when_nobody_is_better() -> None:
    failing = Contender("a", fault="refused")
    assert rule(held(), failing).verdict is Verdict.KEEP
    assert rule(held(), failing, Contender("b", hindrance="silent")).verdict is Verdict.KEEP
    assert rule(held(failed={"b": 30.0}), failing, Contender("b")).verdict is Verdict.KEEP
    assert rule(held(failed={"b": 60.0}), failing, Contender("b")).failed == "a"


def test_of_those_that_failed_the_one_longest_ago_comes_first() -> None:
    free = Lease(token=4, failed={"a": 10.0, "b": 40.0})
    assert rule(free, Contender("a"), Contender("b")).holder == "b"
    assert rule(free, Contender("a"), Contender("b"), Contender("c", load=9)).holder == "c"


def test_a_hub_that_listens_gives_and_takes_nothing() -> None:
    assert rule(Lease(), Contender("a"), is_settled=False).verdict is Verdict.KEEP
    assert rule(held(), Contender("b"), is_settled=False).verdict is Verdict.KEEP


def test_nobody_able_is_said() -> None:
    ruling = rule(Lease(), Contender("a", hindrance="It is silent."))
    assert (ruling.verdict, ruling.holder) == (Verdict.KEEP, None)
    assert "a: It is silent." in ruling.reason


names = st.sampled_from("abc")
contenders = st.builds(
    Contender,
    id=names,
    hindrance=st.sampled_from(["", "silent"]),
    fault=st.sampled_from(["", "refused"]),
    is_owing=st.booleans(),
    load=st.integers(0, 2),
    merit=st.integers(0, 3),
    token=st.integers(0, 5),
)
leases = st.builds(
    Lease,
    token=st.integers(0, 5),
    holder=st.none() | names,
    renewed_seconds=st.sampled_from([0.0, 9.9, 10.0, math.inf]),
    idle_seconds=st.sampled_from([0.0, 14.0, 15.0]),
    failed=st.dictionaries(names, st.sampled_from([0.0, 59.0, 60.0])),
)


@given(leases, st.lists(contenders, max_size=3, unique_by=lambda one: one.id), st.booleans())
def test_never_two_and_never_an_old_token(lease: Lease, found: list[Contender], is_settled: bool) -> None:
    ruling = rule(lease, *found, is_settled=is_settled)
    assert ruling.token >= lease.token
    if ruling.verdict is Verdict.GRANT:
        assert lease.renewed_seconds >= TERMS.lease or ruling.holder == lease.holder
        assert ruling.token > max([lease.token, *(one.token for one in found)])
        assert not next(one for one in found if one.id == ruling.holder).hindrance
    elif ruling.holder is not None:
        assert (ruling.holder, ruling.token) == (lease.holder, lease.token)
    able = [one for one in found if not one.hindrance]
    if is_settled and able and lease.renewed_seconds >= TERMS.lease:
        assert ruling.holder is not None, "somebody leads as soon as somebody may"


def test_a_round_of_failures_comes_to_those_that_were_not_tried() -> None:
    """Four that are heard and get nothing done fail in turn; the fifth is next (found by the exploration)."""
    each = TERMS.stall + TERMS.lease
    lease = Lease(token=9, failed={name: each * ago for ago, name in enumerate("dcba")})
    assert lease.failed["a"] > TERMS.retry
    assert rule(lease, *map(Contender, "abcde")).holder == "e"
