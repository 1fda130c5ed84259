import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from stationmaster.agent import plan, state
from stationmaster.model import protocol
from stationmaster.model.protocol import InstanceSource, PackageManager, SourceFormat

PORTS = protocol.Ports(proxy=16080, http=17080, https=17443)
OLD = protocol.ClientAddress(host="old", ports=PORTS)
NEW = protocol.ClientAddress(host="new", ports=PORTS)
SOURCE = InstanceSource(source_id="s", repo_id="s", display_name="S", format=SourceFormat.RPM)
OTHER = InstanceSource(source_id="t", repo_id="t", display_name="T", format=SourceFormat.RPM)


def desired(address: protocol.ClientAddress | None, *sources: InstanceSource) -> protocol.InstanceDesired:
    return protocol.InstanceDesired(managed_instance_id="i", address=address, ca="", sources=list(sources))


def snapshot(**changes: object) -> plan.Snapshot:
    base = plan.Snapshot(
        in_use=state.AddressInUse("gateway", 16080),
        former=None,
        desired=desired(OLD, SOURCE),
        kind=PackageManager.DNF,
        prefix="",
        on_disk={},
        ours=frozenset(),
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def carry_out(seen: plan.Snapshot, step: plan.Step, *, holds: bool = True) -> plan.Snapshot:
    """What the machine looks like after a step; a re-point that does not hold leaves the address as it is."""
    if isinstance(step, plan.GoBack):
        return dataclasses.replace(seen, in_use=step.address, former=None)
    if isinstance(step, plan.Repoint):
        tried = dataclasses.replace(seen, is_repoint_tried=True)
        return dataclasses.replace(tried, in_use=state.AddressInUse.of(step.address)) if holds else tried
    return dataclasses.replace(seen, on_disk=dict(step.files), ours=frozenset(step.files))


def settle(seen: plan.Snapshot, *, holds: bool = True) -> plan.Snapshot:
    for _ in range(10):
        steps = plan.plan_steps(seen)
        if not steps:
            return seen
        seen = carry_out(seen, steps[0], holds=holds)
    raise AssertionError("the plan does not come to an end")


def test_a_first_address_is_adopted_and_then_the_files_are_written() -> None:
    first = snapshot()
    assert plan.plan_steps(first) == (plan.Repoint(OLD),)
    end = settle(first)
    assert end.in_use.client_address == OLD
    assert set(end.on_disk) == {"/etc/yum.repos.d/stationmaster.repo"}
    assert plan.is_applied(end)


def test_an_address_that_does_not_hold_keeps_the_old_one_but_new_sources_are_written_for_it() -> None:
    settled = settle(snapshot())
    wanted = dataclasses.replace(settled, desired=desired(NEW, SOURCE, OTHER))
    end = settle(wanted, holds=False)
    text = end.on_disk["/etc/yum.repos.d/stationmaster.repo"]
    assert "http://old:17080/m/t" in text
    assert "new" not in text
    assert not plan.is_applied(end)


def test_without_an_address_the_files_are_taken_back_and_without_a_word_nothing_happens() -> None:
    settled = settle(snapshot())
    assert plan.plan_steps(dataclasses.replace(settled, desired=desired(None, SOURCE))) == (plan.WriteRepositories({}),)
    assert plan.plan_steps(dataclasses.replace(settled, desired=None)) == ()


def test_a_move_that_was_cut_short_is_undone_before_anything_else() -> None:
    former = state.AddressInUse.of(OLD)
    cut = snapshot(in_use=state.AddressInUse.of(NEW), former=former, desired=desired(NEW, SOURCE))
    assert plan.plan_steps(cut) == (plan.GoBack(former),)
    assert not plan.is_applied(cut)


def test_drift_is_seen_and_a_settled_machine_is_left_alone() -> None:
    settled = settle(snapshot())
    assert plan.plan_steps(settled) == ()
    edited = dataclasses.replace(settled, on_disk=dict.fromkeys(settled.on_disk, "edited"))
    (step,) = plan.plan_steps(edited)
    assert isinstance(step, plan.WriteRepositories)


ADDRESSES = st.sampled_from([None, OLD, NEW])
SOURCES = st.lists(st.sampled_from([SOURCE, OTHER]), unique_by=lambda one: one.source_id)


@given(ADDRESSES, SOURCES, ADDRESSES, SOURCES, st.integers(0, 3), st.booleans())
def test_stopped_anywhere_it_comes_to_the_same_end(
    first: protocol.ClientAddress | None,
    sources: list[InstanceSource],
    second: protocol.ClientAddress | None,
    others: list[InstanceSource],
    stop_after: int,
    is_cut_in_move: bool,
) -> None:
    settled = settle(snapshot(desired=desired(first, *sources)))
    wanted = dataclasses.replace(settled, desired=desired(second, *others), is_repoint_tried=False)
    straight = settle(wanted)
    seen = wanted
    for _ in range(stop_after):
        steps = plan.plan_steps(seen)
        if not steps:
            break
        if is_cut_in_move and isinstance(steps[0], plan.Repoint):
            seen = dataclasses.replace(seen, former=seen.in_use, in_use=state.AddressInUse.of(steps[0].address))
        else:
            seen = carry_out(seen, steps[0])
    restarted = settle(dataclasses.replace(seen, is_repoint_tried=False))
    assert (restarted.in_use, restarted.on_disk) == (straight.in_use, straight.on_disk)


@given(
    st.from_regex(r"[a-z][a-z0-9]{0,10}(\.[a-z][a-z0-9]{0,10}){0,2}", fullmatch=True),
    st.lists(st.integers(1, 65535), min_size=3, max_size=3),
    st.booleans(),
    st.booleans(),
)
def test_an_address_in_use_reads_back_as_it_was_written(
    host: str, numbers: list[int], is_tls: bool, is_whole: bool
) -> None:
    whole = state.AddressInUse(host, numbers[0], numbers[1], numbers[2], is_tls)
    address = whole if is_whole else state.AddressInUse(host, numbers[0])
    assert state.parse_address(state.render_address(address)) == address
