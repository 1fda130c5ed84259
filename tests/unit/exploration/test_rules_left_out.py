"""Each rule of the HA protocol that the exploration can express, left out: it must notice (ha-protocol R1-R12)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stationmaster.model import candidates, leadership, protocol, retained, rotation, visibility
from stationmaster.station import miss_rules, readiness
from stationmaster.station import snapshot as snapshots
from stationmaster.testing.exploration import (
    events,
    explore,
    hub_side,
    invariants,
    state,
    station_side,
    station_view,
    world,
)
from stationmaster.testing.exploration.state import Budget, changed

Patch = pytest.MonkeyPatch
Events = list[events.Event]
OWN, SHARED, QUIET = (0, 1), (0, 0), events.QUIET


def wait(units: int) -> Events:
    return [QUIET] * units


def no_fence(patch: Patch) -> None:
    """R1: a removal succeeds whatever was closed meanwhile."""
    patch.setattr(station_side, "is_closed", lambda *_: False)


def impatient(patch: Patch) -> None:
    """R2: one that was told to leave is not waited for until balancers have seen it."""

    def members(snapshot: rotation.Snapshot, limits: rotation.Limits) -> tuple[rotation.Station, ...]:
        return tuple(one for one in rotation.in_touch(snapshot, limits) if one.excluded_seconds is None)

    patch.setattr(rotation, "members", members)


def never_unconfirmed(patch: Patch) -> None:
    """R2: whoever was confirmed once stays ready."""
    patch.setattr(readiness, "_contact_findings", lambda *_: iter(()))


def two_values(patch: Patch) -> None:
    """R2, R6: there is no last resort."""
    patch.setattr(readiness.Verdict, "is_serving", property(lambda self: self.is_ready))


def parted_at_once(patch: Patch) -> None:
    """R2: a station that left the group is not waited for."""
    agreed = visibility._is_agreed
    patch.setattr(
        visibility,
        "_is_agreed",
        lambda snapshot, limits: agreed(dataclasses.replace(snapshot, parted_seconds=math.inf), limits),
    )


def hearsay(patch: Patch) -> None:
    """ADR 17: a peer's word confirms a station that the hub still waits for, with the newest that the peer was told."""
    step = world.step

    def told(present: state.World, index: int, station: state.Station) -> state.Station:
        peers = [one for one in present.stations if one is not station and one.works and "cut" not in one.trouble]
        is_listed = present.hub.reports[index].age * state.UNIT <= state.LIMITS.liveness
        if "cut" not in station.trouble or not station.works or not is_listed or not peers:
            return station
        newest = max(one.parts[0].told for one in (station, *peers) if one.parts[0].told)
        part = changed(station.parts[0], told=newest)
        as_if = changed(station, age=min(one.age for one in peers), parts=(part,))
        is_ready = station_view.verdict(as_if, present.volumes[station.volume]).is_ready
        return changed(station, ready=state.SAMPLED) if is_ready else station

    def weaker(present: state.World, event: events.Event) -> state.World:
        following = step(present, event)
        stations = tuple(told(following, index, one) for index, one in enumerate(following.stations))
        return changed(following, stations=stations)

    patch.setattr(world, "step", weaker)


def held_is_enough(patch: Patch) -> None:
    """R4: what lies there is called fetchable."""
    patch.setattr(hub_side, "reported", lambda _, held: held)


def granted_at_once(patch: Patch) -> None:
    """R5: the next holder does not wait until the former must have stopped."""
    rule = leadership.rule

    def greedy(lease: leadership.Lease, *rest: Any, **more: Any) -> leadership.Ruling:
        return rule(dataclasses.replace(lease, renewed_seconds=99.0), *rest, **more)

    patch.setattr(leadership, "rule", greedy)


def endless_lease(patch: Patch) -> None:
    """R5: a holder does not stop by itself."""
    patch.setattr(snapshots.LeaseView, "holds", lambda *_: True)


def endless_volume_lease(patch: Patch) -> None:
    """R5, R10: nor does who may remove."""
    patch.setattr(station_side, "holds_volume", lambda station: station.writer > 0)


def endless_patience(patch: Patch) -> None:
    """R5: nobody leaves for lagging."""
    patch.setattr(rotation, "excluded_stations", lambda *_: frozenset())


def no_way_back(patch: Patch) -> None:
    """R6: what nobody in touch holds stays visible."""
    patch.setattr(visibility, "_decide_orphaned", lambda *_: None)


def moving_candidate(patch: Patch) -> None:
    """R7: the leader's newest word is the candidate."""
    why_not = candidates._why_not

    def weaker(snapshot: rotation.Snapshot, present: str, limits: rotation.Limits) -> str:
        return why_not(snapshot, present, limits) or str(candidates.leaders_word(snapshot) not in (None, present) or "")

    patch.setattr(candidates, "_why_not", weaker)


def old_at_once(patch: Patch) -> None:
    """R7: what is held counts, though somebody may be removing it who has not heard that it must stay."""
    agreed = visibility._is_agreed
    patch.setattr(
        visibility,
        "_is_agreed",
        lambda snapshot, limits: agreed(dataclasses.replace(snapshot, is_candidate_old=False), limits),
    )


def own_tokens_only(patch: Patch) -> None:
    """R8: tokens rise above the hub's own alone."""
    patch.setattr(leadership, "_highest", lambda lease, _: lease.token)


def own_numbers_only(patch: Patch) -> None:
    """R8: what volumes carry is not believed."""

    def following(snapshot: rotation.Snapshot, generation: str) -> protocol.Visible:
        number = snapshot.visible.number + 1 if snapshot.visible else 1
        return protocol.Visible(source_id=snapshot.source_id, number=number, generation=generation)

    patch.setattr(visibility, "_told_by_volumes", lambda *_: None)
    patch.setattr(visibility, "_next", following)


def no_listening(patch: Patch) -> None:
    """R8: a hub decides as soon as it runs."""
    returned = hub_side.returned

    def weaker(hub: state.Hub, process: int | None = None) -> state.Hub:
        back = returned(hub, process)
        return changed(back, processes=tuple(state.SURE if one == 0 else one for one in back.processes))

    patch.setattr(hub_side, "returned", weaker)


def joined_at_once(patch: Patch) -> None:
    """R8: a hub that has not heard all calls a station an equal."""
    patch.setattr(hub_side, "may_join", lambda *_: True)


def blind_replica(patch: Patch) -> None:
    """R8: a process that lost the database answers all the same, and stores nothing."""
    heard = hub_side.heard

    def weaker(hub: state.Hub, reports: tuple[Any, ...], volumes: tuple[int, ...]) -> state.Hub:
        stored = [None if hub.processes[index % 2] is None else one for index, one in enumerate(reports)]
        return heard(hub, tuple(stored), volumes)

    patch.setattr(hub_side, "process_of", lambda _, index: index % 2)
    patch.setattr(hub_side, "heard", weaker)


def all_of_none(patch: Patch) -> None:
    """R9: nobody in touch is consent."""
    members = rotation.members

    class Willing(tuple):  # type: ignore[type-arg]  # noqa: SLOT001 - a tuple that is never empty
        def __bool__(self) -> bool:
            return True

    patch.setattr(rotation, "members", lambda snapshot, limits: Willing(members(snapshot, limits)))


def own_group_only(patch: Patch) -> None:
    """R10: what another group on the volume shows may be removed."""
    must_stay = hub_side.must_stay
    patch.setattr(hub_side, "must_stay", lambda hub, source, _: must_stay(hub, source, state.NONE))


def sure_of_absence(patch: Patch) -> None:
    """R11: what is not here was dropped."""
    patch.setattr(miss_rules, "is_expected", lambda *_: False)


def sure_when_away(patch: Patch) -> None:
    """R11: so says who has not heard of the group either."""
    patch.setattr(miss_rules, "is_counted_on", lambda *_: True)


def retained_by_count(patch: Patch) -> None:
    """R12: the newest two are kept, whatever a silent station shows."""
    patch.setattr(retained, "numbers_left", lambda numbered, _: sorted(number for number, _ in numbered)[:-2])


BOUNCED: Events = [("freeze", 0), *wait(12), ("thaw", 0), *wait(4)]
RESTORED: Events = [("hub stops", 0), ("hub is restored", 0)]
AWAY: Events = [("freeze", 1), *wait(2), ("release", 0), *wait(4), *RESTORED]
OVERTAKEN: Events = [("release", 0), *wait(6), RESTORED[0], ("release", 0), ("freeze", 0), RESTORED[1], *wait(16)]
SILENT: Events = [("freeze", 1), *wait(6), ("release", 0), *wait(4), ("release", 0), *wait(4)]
LEFT_BEHIND: Events = [("slow", 1), ("release", 0), *wait(16), ("crash", 0), ("upstream breaks", 0)]


@pytest.mark.parametrize(
    ("leave_out", "volumes", "budget", "before", "expected"),
    [
        (no_fence, SHARED, Budget(faults=1, releases=1, removals=1), [("remove 0 g0", 0), ("freeze", 0)], "I5"),
        (impatient, OWN, Budget(faults=1, releases=1), [], "I5"),
        (never_unconfirmed, OWN, Budget(faults=1, releases=1), [], "I5"),
        (two_values, OWN, Budget(faults=1), [], "I9"),
        (parted_at_once, OWN, Budget(releases=1, moves=1), [], "I5"),
        (hearsay, OWN, Budget(faults=1, releases=1), [], "I5"),
        (held_is_enough, OWN, Budget(faults=1, releases=1), [], "I5, R4"),
        (granted_at_once, OWN, Budget(faults=2, releases=1), [("slow", 0), ("release", 0)], "I6"),
        (endless_lease, OWN, Budget(faults=1, releases=1), [], "I6"),
        (endless_volume_lease, SHARED, Budget(faults=1), [], "I6"),
        (endless_patience, OWN, Budget(faults=1, releases=1), [], "Liveness"),
        (no_way_back, OWN, Budget(faults=2, releases=1, breaks=1), LEFT_BEHIND, "Liveness"),
        (moving_candidate, OWN, Budget(faults=1, releases=2), [("slow", 1)], "R7"),
        (old_at_once, OWN, Budget(faults=1, releases=1, removals=1), [], "I5"),
        (own_tokens_only, OWN, Budget(faults=3, releases=1), [*BOUNCED, *RESTORED, ("freeze", 0)], "R8"),
        (own_numbers_only, OWN, Budget(faults=2, releases=2), OVERTAKEN, "I5"),
        (no_listening, OWN, Budget(faults=2, releases=1), [("cut", 1)], "I5"),
        (joined_at_once, OWN, Budget(faults=2, releases=1), AWAY, "I5"),
        (blind_replica, OWN, Budget(faults=1, releases=1), [], "I5"),
        (all_of_none, OWN, Budget(faults=3, releases=1), [("slow", 1), ("release", 0), *wait(2)], "R9"),
        (own_group_only, SHARED, Budget(removals=1), [], "R10"),
        (sure_of_absence, OWN, Budget(faults=1, releases=1), [], "R11"),
        (sure_when_away, OWN, Budget(faults=1, releases=1), [], "R11"),
        (retained_by_count, SHARED, Budget(faults=1, releases=2, removals=1), SILENT, "I4"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_rule_that_is_left_out_is_missed(
    monkeypatch: Patch,
    leave_out: Callable[[Patch], None],
    volumes: tuple[int, ...],
    budget: Budget,
    before: Events,
    expected: str,
) -> None:
    found = _explored(
        volumes, budget, before, lambda: leave_out(monkeypatch), processes=1 + (leave_out is blind_replica)
    )
    assert found.startswith(expected)


def _explored(
    volumes: tuple[int, ...], budget: Budget, before: Events, weaken: Callable[[], None], *, processes: int
) -> str:
    start = world.first(
        volumes, budget, processes=processes, elsewhere=frozenset({"g0"}) if not budget.faults else state.NONE
    )
    weaken()
    state.forget()
    for event in before:
        former, start = start, world.step(start, event)
        violation = invariants.broken(former, start)
        if violation:
            return violation
    ways = explore.Ways()
    return explore.ways_to_rest(start, ways) or explore.explore(start, may_go_on=lambda count: count < 20_000).violation


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: Patch) -> Iterator[None]:
    """What was computed by other rules is forgotten, before and after."""
    state.forget()
    yield
    monkeypatch.undo()
    state.forget()
