"""The planner: what leads where, and that dying after any prefix of steps leads to the same end."""

from __future__ import annotations

import dataclasses
import datetime

import hypothesis
import pytest
from hypothesis import strategies as st

from stationmaster.model import protocol
from stationmaster.station import plan as plans
from stationmaster.station import readiness, report, source_keys, specs, steps
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import stations as make

A, B = make.A, make.B
LIST = "http://lb.example:17080/g/{}/{}/\n"


def plan(snapshot: snapshots.Snapshot, moment: plans.Moment = make.MOMENT) -> plans.Plan:
    return plans.plan(snapshot, make.HOST, {}, moment)


def take(world: snapshots.Snapshot, step: steps.Step) -> snapshots.Snapshot:  # noqa: C901, PLR0911, PLR0912 - one case a step
    """What each step does to the world, as far as the planner sees it."""
    match step:
        case steps.KeepDesired():
            return dataclasses.replace(world, stored_desired=step.digest)
        case steps.KeepVisible():
            return dataclasses.replace(world, stored_told=step.told, shown=step.shown)
        case steps.RecordVisible():
            assert world.volume is not None
            known = world.volume.records.get(step.visible.source_id)
            assert known is None or known.number < step.visible.number, "a record is made once, upwards"
            # The planner reads the highest record of a source; the others stay beside it, for what a test asks later.
            made = {step.visible.source_id: step.visible}
            if known is not None:
                made[f"{known.source_id} {known.number}"] = known
            records = snapshots.frozen_map({**world.volume.records, **made})
            return dataclasses.replace(world, volume=dataclasses.replace(world.volume, records=records))
        case steps.WriteWww():
            return dataclasses.replace(world, www=snapshots.frozen_map({**world.www, step.path: step.content}))
        case steps.LinkWww():
            return dataclasses.replace(world, www=snapshots.frozen_map({**world.www, step.path: f"->{step.target}"}))
        case steps.RemoveWww():
            rest = {path: content for path, content in world.www.items() if path != step.path}
            return dataclasses.replace(world, www=snapshots.frozen_map(rest))
        case steps.FetchKeys():
            view = snapshots.KeysView(
                wanted=source_keys.wanted_name(step.source), armored="key" * bool(step.source.gpg_keys)
            )
            return dataclasses.replace(world, keys=snapshots.frozen_map({**world.keys, step.source.source_id: view}))
        case steps.RequestCertificate():
            signed = make.certificate(frozenset({step.host}))
            return dataclasses.replace(world, certificates=snapshots.CertificatesView(signed=signed))
        case steps.ApplyNginx():
            view = make.engine(wanted=step.digest, applied=step.digest)
            return dataclasses.replace(world, nginx=view)
        case steps.ApplySquid():
            return dataclasses.replace(world, squid=make.engine(wanted=step.digest, applied=step.digest))
        case steps.StartSync():
            assert world.volume is not None
            held = {**world.volume.held, step.source.source_id: (snapshots.HeldView("synced"),)}
            volume = dataclasses.replace(world.volume, held=snapshots.frozen_map(held))
            syncs = {**world.syncs, step.source.source_id: snapshots.SyncView(number=step.number)}
            return dataclasses.replace(world, volume=volume, syncs=snapshots.frozen_map(syncs))
        case steps.StartCopy():
            assert world.volume is not None
            present = world.volume.held.get(step.source.source_id, ())
            held = {**world.volume.held, step.source.source_id: (*present, snapshots.HeldView(step.generation))}
            volume = dataclasses.replace(world.volume, held=snapshots.frozen_map(held))
            return dataclasses.replace(world, volume=volume)
        case steps.KeepTokens():
            kept = dataclasses.replace(world.orders, stored_tokens=snapshots.frozen_map(dict(step.tokens)))
            return dataclasses.replace(world, orders=kept)
        case steps.ProbeFetchable():
            proofs = {**world.fetch, (step.source_id, step.generation): snapshots.FetchView(is_fetchable=True)}
            return dataclasses.replace(world, fetch=snapshots.frozen_map(proofs))
        case steps.RunSetup():
            return dataclasses.replace(world, setup_done=step.digest)
        case steps.Clean():
            return dataclasses.replace(world, clean_at=float("inf"))


def restarted(world: snapshots.Snapshot) -> snapshots.Snapshot:
    """The world after the daemon died: what it had only in memory is gone, engines and files are still there."""
    return dataclasses.replace(
        world,
        told=world.stored_told,
        keys=snapshots.frozen_map(),
        nginx=dataclasses.replace(world.nginx, wanted="", applied=""),
        squid=dataclasses.replace(world.squid, wanted="", applied=""),
    )


def require_safe(world: snapshots.Snapshot) -> None:
    """I4 and R1, after every single step."""
    assert world.volume is not None
    for path, content in world.www.items():
        directory, _, source_id = path.partition("/")
        if directory not in {"m-http", "m-https"}:
            continue
        generation = content.rstrip("/\n").rpartition("/")[2]
        assert world.volume.holds(source_id, generation), "a list names what is not held"
        assert world.fetch[source_id, generation].is_fetchable, "a list names what was not proved"
        recorded = {one.generation for one in world.volume.records.values() if one.source_id == source_id}
        recorded |= {one.generation for one in world.shown if one.source_id == source_id}
        assert generation in recorded, "a list names what was never recorded"
    for shown in world.shown:
        assert shown.number <= world.volume.records[shown.source_id].number, "shown without a record"


def require_honest(world: snapshots.Snapshot) -> None:
    """What is stored and reported as shown is what the list names, or is about to be replaced by."""
    for shown in world.shown:
        target = plans.target_of(world, shown.source_id)
        assert target is not None
        named = world.www.get(f"m-http/{shown.source_id}", "").rstrip("/\n").rpartition("/")[2]
        assert named in {shown.generation, target.generation}, "stored as shown before the list names it"


def settle(world: snapshots.Snapshot) -> snapshots.Snapshot:
    for _ in range(20):
        found = plan(world).steps
        if not found:
            return world
        for step in found:
            world = take(world, step)
            require_safe(world)
    raise AssertionError(f"never settles: {plan(world).steps}")


def fresh(**changes: object) -> snapshots.Snapshot:
    """A daemon's first hour: nothing stored, nothing served, two generations held."""
    values: dict[str, object] = {
        "stored_desired": "",
        "stored_told": (),
        "shown": (),
        "told": (make.visible(A, 3, "g1"), make.visible(B, 5, "h1")),
        "desired": make.desired(
            sources=[make.source(A, 1), make.source(B, 1, keys=["key"])],
            instance_setup_script="#!/bin/sh\n",
            is_auto_config_enabled=True,
        ),
        "volume": make.volume({A: ("g1",), B: ("h0", "h1")}),
        "fetch": snapshots.frozen_map(),
        "keys": snapshots.frozen_map(),
        "certificates": snapshots.CertificatesView(),
        "syncs": snapshots.frozen_map({A: snapshots.SyncView(number=1), B: snapshots.SyncView(number=1)}),
        "www": snapshots.frozen_map({"u/gone": "->/mirror/generations/gone/x/tree", "keys/gone.asc": "old"}),
        **changes,
    }
    return make.snapshot(**values)


def test_a_settled_station_has_nothing_to_do() -> None:
    world = settle(fresh())
    assert world.shown == (make.visible(A, 3, "g1"), make.visible(B, 5, "h1"))
    assert world.www == {
        "instance-setup.sh": "#!/bin/sh\n",
        f"keys/{B}.asc": "key",
        f"m-http/{A}": LIST.format(A, "g1"),
        f"m-https/{A}": LIST.format(A, "g1").replace("http:", "https:").replace("17080", "17443"),
        f"m-http/{B}": LIST.format(B, "h1"),
        f"m-https/{B}": LIST.format(B, "h1").replace("http:", "https:").replace("17080", "17443"),
        f"u/{A}": f"->/mirror/generations/{A}/g1/tree",
        f"u/{B}": f"->/mirror/generations/{B}/h1/tree",
    }
    assert plan(world).is_applied
    assert readiness.judge(world, make.NOW_AT, make.NOW).is_ready


def all_prefixes(world: snapshots.Snapshot) -> list[snapshots.Snapshot]:
    """Every world on the way to the end: the daemon may die in each."""
    found = [world]
    for _ in range(20):
        taken = plan(world).steps
        if not taken:
            return found
        for step in taken:
            world = take(world, step)
            found.append(world)
    raise AssertionError("never settles")


@pytest.mark.parametrize("start", [fresh(), fresh(told=(make.visible(A, 1, "g1"),)), make.snapshot()])
def test_interrupted_anywhere_it_reaches_the_same_end(start: snapshots.Snapshot) -> None:
    end = settle(start)
    for world in all_prefixes(start):
        require_safe(world)
        if start.www:
            require_honest(world)
        again = dataclasses.replace(restarted(world), told=start.told)
        assert settle(again) == end


@hypothesis.given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["g1", "g2", "g3"])),
        min_size=1,
        max_size=6,
        unique_by=lambda one: one[0],
    ),
    st.data(),
)
@hypothesis.settings(max_examples=300, deadline=None)
def test_any_history_of_visible_generations_is_safe(history: list[tuple[int, str]], data: st.DataObject) -> None:
    """R8: numbers only rise, whatever the hub says; and nothing is shown that is not held and proved (I4)."""
    world = fresh(
        told=(),
        volume=make.volume({A: ("g1", "g2", "g3"), B: ()}),
        www=snapshots.frozen_map(),
        syncs=snapshots.frozen_map({A: snapshots.SyncView(number=1), B: snapshots.SyncView(number=1)}),
    )
    highest = 0
    for number, generation in history:
        if number > highest:
            world = dataclasses.replace(world, told=(make.visible(A, number, generation),))
        taken = plan(world).steps
        for step in taken[: data.draw(st.integers(0, len(taken)))]:
            world = take(world, step)
            require_safe(world)
        if data.draw(st.booleans()):
            world = dataclasses.replace(restarted(world), told=world.told)
        shown = world.shown_of(A)
        assert shown is None or shown.number >= highest or highest == 0
        highest = max(highest, shown.number if shown else 0)
    end = settle(world)
    assert end.shown_of(A) == plans.target_of(end, A)


def test_what_is_not_held_is_not_shown() -> None:
    world = settle(fresh(told=(make.visible(A, 9, "unknown"),)))
    assert world.shown_of(A) is None
    assert f"m-http/{A}" not in world.www


def test_a_switch_keeps_the_former_generations_hashed_metadata() -> None:
    world = settle(make.snapshot())
    told = (make.visible(A, 2, "g2"),)
    held = make.volume({A: ("g1", "g2")}, records=world.volume.records if world.volume else {})
    after = settle(dataclasses.replace(world, told=told, volume=held))
    assert after.www[f"u-former/{A}"] == f"->/mirror/generations/{A}/g1/tree"
    assert after.www[f"u/{A}"] == f"->/mirror/generations/{A}/g2/tree"
    assert settle(restarted(after)).www == after.www


def test_another_stations_record_on_a_shared_volume_is_followed() -> None:
    """R1: what is visible on a volume is its highest record, also before this station heard it from the hub."""
    record = make.visible(A, 4, "g2")
    volume = make.volume({A: ("g1", "g2")}, records=snapshots.frozen_map({A: record}))
    assert settle(make.snapshot(volume=volume)).shown_of(A) == record


def test_a_record_that_says_otherwise_wins_and_is_reported() -> None:
    record = make.visible(A, 2, "g1")
    volume = make.volume({A: ("g1", "g2")}, records=snapshots.frozen_map({A: record}))
    world = settle(make.snapshot(told=(make.visible(A, 2, "g2"),), volume=volume))
    assert world.shown_of(A) == record
    codes = [one.code for one in report.problems_of(world, plan(world), make.NOW)]
    assert "NumberConflict" in codes


def test_a_changed_address_rewrites_the_lists() -> None:
    world = settle(make.snapshot())
    address = protocol.ClientAddress(host="new.example", ports=make.PORTS)
    after = settle(dataclasses.replace(world, desired=make.desired(client_address=address), desired_digest="e"))
    assert after.www[f"m-http/{A}"].startswith("http://new.example:17080/")


SYNC_TABLE = [
    ("never tried, nothing held", snapshots.SyncView(), 0, (), True),
    ("never tried, brought by a peer", snapshots.SyncView(), 0, ("g1",), False),
    ("done, and the volume was exchanged", snapshots.SyncView(number=2), 2, (), True),
    ("done a moment ago", snapshots.SyncView(number=2, retry_at=make.NOW_AT + 9), 2, (), False),
    ("asked for", snapshots.SyncView(number=1), 2, ("g1",), True),
    ("done", snapshots.SyncView(number=2), 2, ("g1",), False),
    ("waits", snapshots.SyncView(number=1, is_queued=True), 2, ("g1",), False),
    ("runs", snapshots.SyncView(number=1, is_running=True), 2, ("g1",), False),
    ("failed a moment ago", snapshots.SyncView(number=2, failures=1, retry_at=make.NOW_AT + 1), 2, (), False),
    ("failed a while ago", snapshots.SyncView(number=2, failures=1, retry_at=make.NOW_AT), 2, ("g1",), True),
    ("failed, asked anew", snapshots.SyncView(number=2, failures=3, retry_at=make.NOW_AT + 99), 3, ("g1",), True),
]


@pytest.mark.parametrize(
    ("view", "number", "held", "expected"), [r[1:] for r in SYNC_TABLE], ids=[r[0] for r in SYNC_TABLE]
)
def test_when_a_sync_is_due(view: snapshots.SyncView, number: int, held: tuple[str, ...], *, expected: bool) -> None:
    world = make.snapshot(
        desired=make.desired(sources=[make.source(A, number)]),
        volume=make.volume({A: held}),
        syncs=snapshots.frozen_map({A: view}),
    )
    assert any(isinstance(step, steps.StartSync) for step in plan(world).steps) is expected


@pytest.mark.parametrize("trouble", ["problem", "write_problem"])
def test_no_sync_to_a_volume_in_trouble(trouble: str) -> None:
    """I11: not a step is planned that would write to it."""
    volume = make.volume({A: ("g1",)}, **{trouble: protocol.Problem(code="x", message="x")})
    world = make.snapshot(desired=make.desired(sources=[make.source(A, 5)]), volume=volume)
    assert not any(isinstance(step, steps.StartSync) for step in plan(world).steps)
    if trouble == "problem":
        told = make.snapshot(told=(make.visible(A, 7, "g1"),), volume=volume)
        assert not any(isinstance(step, steps.RecordVisible) for step in plan(told).steps)


def test_no_sync_without_the_keys() -> None:
    keyed = make.source(A, 5, keys=["k"])
    world = make.snapshot(desired=make.desired(sources=[keyed]))
    assert any(isinstance(step, steps.FetchKeys) for step in plan(world).steps)
    assert not any(isinstance(step, steps.StartSync) for step in plan(world).steps)


@pytest.mark.parametrize(
    ("signed", "is_due"),
    [
        (None, True),
        (make.certificate(), False),
        (make.certificate(begins=datetime.timedelta(days=-61), ends=datetime.timedelta(days=30)), True),
        (make.certificate(begins=datetime.timedelta(days=-59), ends=datetime.timedelta(days=30)), False),
        (make.certificate(frozenset({"former.example"})), True),
    ],
)
def test_when_a_certificate_is_due(signed: snapshots.CertificateView | None, *, is_due: bool) -> None:
    world = make.snapshot(certificates=snapshots.CertificatesView(signed=signed))
    assert any(isinstance(step, steps.RequestCertificate) for step in plan(world).steps) is is_due
    unheard = dataclasses.replace(world, contact=snapshots.Contact())
    assert not any(isinstance(step, steps.RequestCertificate) for step in plan(unheard).steps)


def test_bad_settings_are_told_and_stop_nothing_else() -> None:
    world = make.snapshot(
        desired=make.desired(forward_proxy="ftp://x", permitted_ranges=["no.such.name", "10.0.0.0/8"])
    )
    found = plan(world)
    assert sorted(one.code for one in found.problems) == ["InvalidParameter", "PermittedRange"]
    (nginx,) = [step for step in found.steps if isinstance(step, steps.ApplyNginx)]
    assert [str(one) for one in nginx.spec.permitted] == ["10.0.0.0/8"]
    assert not found.is_applied


def test_nobody_is_permitted_by_an_empty_range() -> None:
    (nginx,) = [
        step
        for step in plan(make.snapshot(desired=make.desired(permitted_ranges=[]))).steps
        if isinstance(step, steps.ApplyNginx)
    ]
    assert nginx.spec.permitted == ()


def test_balancers_default_to_what_the_name_resolves_to() -> None:
    wanted = make.desired(balancer_addresses=[])
    assert specs.balancer_addresses(wanted, {"lb.example": ("10.0.0.7",)}) == ("10.0.0.7",)
    assert specs.balancer_addresses(make.desired(), {"lb.example": ("10.0.0.7",)}) == ("10.0.0.9",)
    assert specs.names_to_resolve(wanted) == {"lb.example", "hub"}
