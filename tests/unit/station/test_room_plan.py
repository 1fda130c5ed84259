"""When a station may remove before its time (R12), and when a sync that waited for room goes on."""

from __future__ import annotations

import dataclasses
import datetime

import msgspec
import pytest

from stationmaster.mirror import failures
from stationmaster.model import errors, protocol
from stationmaster.station import account, hub_link, orders, plan, report, steps
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import stations as make

A, NOW, NOW_AT = make.A, make.NOW, make.NOW_AT
NEEDED = 1000
PINNED = snapshots.frozen_map({A: frozenset({"g1"})})


def pressed(**changes: object) -> snapshots.Snapshot:
    """A station with the volume's lease, told that 1,000 bytes must be free, of which it has 10."""
    allowed = snapshots.Orders(
        leases=snapshots.frozen_map(),
        volume_lease=snapshots.LeaseView(3, NOW_AT + 5),
        pinned=PINNED,
        room_bytes=NEEDED,
    )
    volume = make.volume({A: ("g0", "g1")}, available_bytes=10)
    return make.snapshot(**{"orders": allowed, "volume": volume, **changes})


def planned(world: snapshots.Snapshot) -> list[steps.Step]:
    found = plan.plan(world, make.HOST, {}, make.MOMENT).steps
    return [one for one in found if isinstance(one, steps.MakeRoom | steps.Clean)]


def test_with_the_hubs_word_and_the_lease_room_is_made() -> None:
    assert planned(pressed()) == [steps.MakeRoom(NEEDED)]


def test_clocks_that_are_apart_do_not_matter_since_no_time_counts() -> None:
    apart = snapshots.Contact(confirmed_at=NOW_AT - 1, skew_seconds=4000.0)
    assert planned(pressed(contact=apart, clean_at=NOW_AT - 1)) == [steps.MakeRoom(NEEDED)]


def without(**changes: object) -> snapshots.Orders:
    return dataclasses.replace(pressed().orders, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(pressed(contact=snapshots.Contact(confirmed_at=NOW_AT - 60)), id="the hub is away"),
        pytest.param(pressed(orders=without(volume_lease=None)), id="another station removes"),
        pytest.param(pressed(orders=without(volume_lease=snapshots.LeaseView(3, NOW_AT - 1))), id="the lease is over"),
        pytest.param(pressed(orders=without(pinned=None)), id="the hub does not say what must stay"),
        pytest.param(pressed(orders=without(room_bytes=0)), id="nothing waits"),
        pytest.param(pressed(relieve_at=NOW_AT + 1), id="it was tried just now"),
        pytest.param(pressed(volume=make.volume({A: ("g1",)}, available_bytes=NEEDED)), id="there is room"),
        pytest.param(pressed(syncs=snapshots.frozen_map({A: snapshots.SyncView(is_running=True)})), id="a sync runs"),
        pytest.param(
            pressed(orders=without(volume_problem=protocol.Problem(code="VolumeCopied", message=""))), id="refused"
        ),
    ],
)
def test_otherwise_nothing_is_removed(world: snapshots.Snapshot) -> None:
    assert planned(world) == []


def waiting(room_bytes: int) -> snapshots.SyncView:
    told = protocol.SyncReport(
        number=1,
        is_running=False,
        problem=protocol.Problem(code="WouldNotFit", message="m"),
        time_finished=NOW,
        room_bytes=room_bytes,
        lease_token=4,
    )
    return snapshots.SyncView(number=1, report=told, failures=3, retry_at=NOW_AT + 900)


def test_a_sync_that_waited_for_room_goes_on_when_there_is_room() -> None:
    allowed = snapshots.Orders(
        leases=snapshots.frozen_map({A: snapshots.LeaseView(4, NOW_AT + 5)}),
        tokens=snapshots.frozen_map({A: 4}),
        stored_tokens=snapshots.frozen_map({A: 4}),
    )

    def syncs(available: int) -> list[steps.StartSync]:
        world = make.snapshot(
            desired=make.desired(sources=[make.source(A, 1)]),
            orders=allowed,
            volume=make.volume({A: ("g1",)}, available_bytes=available),
            syncs=snapshots.frozen_map({A: waiting(NEEDED)}),
        )
        return [one for one in plan.plan(world, make.HOST, {}, make.MOMENT).steps if isinstance(one, steps.StartSync)]

    assert syncs(NEEDED - 1) == []
    assert [one.token for one in syncs(NEEDED)] == [4]


def test_the_hub_is_told_how_much_room_is_wanted_until_somebody_brought_it() -> None:
    views = snapshots.frozen_map({A: waiting(NEEDED), "of no source any more": waiting(9 * NEEDED)})
    assert report.volume_report(make.snapshot(syncs=views)).room_bytes == NEEDED
    later = snapshots.HeldView("g2", time_held=NOW + datetime.timedelta(minutes=1))
    brought = dataclasses.replace(make.volume({}), held=snapshots.frozen_map({A: (later,)}))
    assert report.volume_report(make.snapshot(syncs=views, volume=brought)).room_bytes == 0


def test_how_much_a_failed_sync_wants() -> None:
    refused = failures.WouldNotFitError("m")
    refused.room_bytes = NEEDED
    assert account.room_of(refused) == NEEDED
    assert account.room_of(failures.VolumeFullError("full on the way")) > 0
    assert account.room_of(errors.UpstreamError("away")) == 0
    assert account.room_of(None) == 0


def test_an_answer_brings_what_must_stay_and_takes_noted_notices_away() -> None:
    notices = tuple(protocol.Notice(id=one, time=NOW, code="c", message="m") for one in ("n1", "n2"))
    answer = protocol.HeartbeatAnswer(
        time_received=NOW,
        desired_digest="d",
        leases=[],
        volume_lease=protocol.VolumeLease(volume_id="v", token=3, room_bytes=NEEDED),
        pinned={A: ["g1"]},
        noted=["n1"],
    )
    after = hub_link.with_answer(make.snapshot(notices=notices), answer, snapshots.Contact(confirmed_at=NOW_AT))
    assert (after.orders.pinned, after.orders.room_bytes) == (PINNED, NEEDED)
    assert [one.id for one in after.notices] == ["n2"]
    of_another = msgspec.structs.replace(
        answer, volume_lease=protocol.VolumeLease(volume_id="x", token=3, room_bytes=9)
    )
    assert orders.after_answer(snapshots.Orders(), of_another, 1.0, "v").room_bytes == 0
