"""R12, I9: the hub's signed record, believed by its signature alone, and what a station takes from it."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
from pathlib import Path

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from stationmaster.host import files as host_files
from stationmaster.mirror import volume
from stationmaster.model import protocol
from stationmaster.model import visible_record as records
from stationmaster.station import board as boards
from stationmaster.station import config as configs
from stationmaster.station import (
    health,
    nonces,
    plan,
    readiness,
    report,
    steps,
    visible_record,
    visible_store,
    volume_look,
    wiring,
)
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import manual_clock, signed_records
from stationmaster.testing import stations as make

A, NOW = make.A, make.NOW
FILES = host_files.Files()
SIGNER = signed_records.Signer()
READER = visible_record.Reader(SIGNER.ca_pem)


def record(counter: int = 5, number: int = 3, group_id: str = "group", **changes: object) -> records.VisibleRecord:
    visible = {A: make.visible(A, number, f"g{number}")}
    made = records.compose(group_id, [make.desired(group_id=group_id, **changes)], visible)
    return msgspec.structs.replace(made, counter=counter, time_signed=NOW + datetime.timedelta(minutes=counter))


def view(made: records.VisibleRecord) -> snapshots.RecordView:
    return READER.read(visible_record.encoded(SIGNER.sign(made)))


def lost(**changes: object) -> snapshots.Snapshot:
    """A station that has its identity and nothing else, or what ``changes`` say."""
    return snapshots.Snapshot(station_id="station", volume_id="v", address="10.0.0.2", can_read_records=True, **changes)  # type: ignore[arg-type]


# Belief


def test_what_the_hub_signed_is_read_and_anything_else_is_refused() -> None:
    signed = visible_record.encoded(SIGNER.sign(record()))
    assert READER.read(signed).record == record()
    for damaged in (b"", b"{}", b"\xff\xfe", signed[:-9], signed.replace(b'"number":3', b'"number":4')):
        with pytest.raises(visible_record.RecordRefusedError):
            READER.read(damaged)


SIGNED = visible_record.encoded(SIGNER.sign(record()))


@hypothesis.example('{"signature":"\u00e9","record":{}}'.encode())
@hypothesis.given(
    st.binary()
    | st.builds(
        lambda at, new: SIGNED[:at] + new + SIGNED[at + len(new) :],
        st.integers(0, len(SIGNED) - 1),
        st.binary(min_size=1, max_size=4),
    )
    | st.text().map(lambda text: msgspec.json.encode({"signature": text, "record": {}}))
    | st.sampled_from([b"[" * 100_000, b'{"signature":"","record":' + b"[" * 100_000])
)
def test_whatever_lies_there_is_read_or_refused_and_nothing_else(content: bytes) -> None:
    with contextlib.suppress(visible_record.RecordRefusedError):
        assert READER.read(content).record == record()


def test_another_hubs_signature_is_refused() -> None:
    with pytest.raises(visible_record.RecordRefusedError, match="not signed by this station's hub"):
        READER.read(visible_record.encoded(signed_records.Signer().sign(record())))


def test_without_a_ca_nothing_is_read() -> None:
    reader = visible_record.Reader(b"")
    assert not reader.can_read
    with pytest.raises(visible_record.RecordRefusedError, match="no CA"):
        reader.read(visible_record.encoded(SIGNER.sign(record())))


def test_a_ca_whose_time_is_over_still_says_who_signed() -> None:
    old = signed_records.Signer(life=datetime.timedelta(days=1))
    assert visible_record.Reader(old.ca_pem).read(visible_record.encoded(old.sign(record()))).record.counter == 5


def test_a_format_of_the_future_is_refused() -> None:
    with pytest.raises(visible_record.RecordRefusedError, match="format 2"):
        view(msgspec.structs.replace(record(), format_version=2))


# What is taken from it


def test_a_station_that_lost_its_state_gets_it_back_and_is_confirmed_by_nobody() -> None:
    after = visible_record.taken(lost(), view(record()), NOW)
    assert after.desired == make.desired()
    assert after.told == (make.visible(A, 3, "g3"),)
    assert after.desired_digest == "", "the hub shall send its own word"
    assert after.contact == snapshots.Contact()
    assert "Unconfirmed" in {one.code for one in readiness.judge(after, make.NOW_AT, NOW).reasons}


def test_a_state_directory_older_than_the_volume_is_brought_up_to_date() -> None:
    old = make.desired(permitted_ranges=["10.1.0.0/16"], peers=[], forward_proxy="http://u:p@proxy")
    before = make.snapshot(
        desired=old,
        contact=snapshots.Contact(),
        can_read_records=True,
        desired_record=snapshots.RecordName("group", 4),
        record=view(record(4, 2)),
    )
    after = visible_record.taken(before, view(record(5, 3, permitted_ranges=["10.2.0.0/16"])), NOW)
    assert after.desired is not None
    assert after.desired.permitted_ranges == ["10.2.0.0/16"]
    assert after.desired.forward_proxy == "http://u:p@proxy", "what only the station remembers stays"
    assert after.told == (make.visible(A, 3, "g3"),)


def test_a_lower_or_equal_counter_and_lower_numbers_change_nothing() -> None:
    before = make.snapshot(record=view(record(5)), told=(make.visible(A, 7, "g7"),), can_read_records=True)
    assert visible_record.taken(before, view(record(4, 9)), NOW) is before
    assert visible_record.taken(before, view(record(5, 9)), NOW) is before
    assert visible_record.taken(before, view(record(6, 2)), NOW).told == (make.visible(A, 7, "g7"),)


def test_the_record_of_a_group_that_does_not_name_this_station_is_not_its_own() -> None:
    before = lost()
    assert visible_record.taken(before, view(record(station_id="another")), NOW) is before


def test_what_the_hub_said_since_the_start_outweighs_the_record() -> None:
    before = make.snapshot(can_read_records=True, desired=make.desired(permitted_ranges=["10.7.0.0/16"]))
    after = visible_record.taken(before, view(record()), NOW)
    assert after.desired == before.desired
    assert after.told == (make.visible(A, 3, "g3"),)


def test_a_desired_state_that_was_stored_later_stays() -> None:
    stored = make.desired(permitted_ranges=["10.7.0.0/16"])
    before = make.snapshot(desired=stored, contact=snapshots.Contact(), desired_record=snapshots.RecordName("group", 5))
    assert visible_record.taken(before, view(record(5)), NOW).desired == stored


def test_after_a_move_the_hubs_word_about_the_group_outweighs_the_times_of_records() -> None:
    before = make.snapshot(desired=make.desired(group_id="new"), record=view(record(90)), can_read_records=True)
    after = visible_record.taken(before, view(record(2, group_id="new")), NOW)
    assert after.record is not None
    assert after.record.name == snapshots.RecordName("new", 2)
    assert visible_record.taken(after, view(record(99)), NOW) is after


def test_at_the_start_the_kept_record_is_read_and_a_damaged_one_is_told() -> None:
    content = visible_record.encoded(SIGNER.sign(record()))
    after = wiring.with_kept_record(lost(), content, READER, NOW)
    assert after.desired == make.desired()
    assert after.stored_record == snapshots.RecordName("group", 5)
    damaged = wiring.with_kept_record(lost(), content[:-3], READER, NOW)
    assert damaged.desired is None
    assert damaged.record_problem is not None
    assert damaged.record_problem.code == "RecordRefused"


# Steps


def planned(world: snapshots.Snapshot) -> list[steps.Step]:
    found = plan.plan(world, make.HOST, {}, make.MOMENT).steps
    return [one for one in found if isinstance(one, steps.KeepRecord | steps.ShareRecord)]


def test_it_is_put_into_the_state_directory_and_on_the_volume_once() -> None:
    in_force = view(record())
    world = make.snapshot(record=in_force)
    assert planned(world) == [steps.KeepRecord(in_force), steps.ShareRecord(in_force)]
    kept = make.snapshot(
        record=in_force,
        stored_record=in_force.name,
        volume=make.volume({A: ("g1",)}, record=in_force, is_record_named=True),
    )
    assert planned(kept) == []


@pytest.mark.parametrize(
    "volume_view",
    [
        make.volume({}, problem=protocol.Problem(code="x", message="y")),
        make.volume({}, write_problem=protocol.Problem(code="x", message="y")),
        None,
    ],
)
def test_nothing_is_written_to_a_volume_that_is_not_there_or_full(volume_view: snapshots.VolumeView | None) -> None:
    in_force = view(record())
    assert planned(make.snapshot(record=in_force, stored_record=in_force.name, volume=volume_view)) == []


def test_nothing_is_written_to_a_volume_that_the_hub_refuses() -> None:
    refused = snapshots.Orders(volume_problem=protocol.Problem(code="VolumeCopied", message="y"))
    in_force = view(record())
    assert planned(make.snapshot(record=in_force, stored_record=in_force.name, orders=refused)) == []


def test_the_higher_record_of_a_volume_is_not_written_over() -> None:
    in_force = view(record(5))
    world = make.snapshot(
        record=in_force,
        stored_record=in_force.name,
        volume=make.volume({A: ("g1",)}, record=view(record(6)), is_record_named=True),
    )
    assert planned(world) == []


# What people are told


def test_volume_and_state_that_differ_are_told_after_a_while() -> None:
    in_force = visible_record.taken(lost(), view(record()), NOW).record
    world = make.snapshot(record=in_force, can_read_records=True)
    assert visible_record.problems(world, NOW + datetime.timedelta(seconds=5)) == []
    later = visible_record.problems(world, NOW + datetime.timedelta(seconds=20))
    assert [one.code for one in later] == ["RecordDiffers"]
    assert "in force is 5, the volume has none" in later[0].message
    told = report.heartbeat(world, plan.Plan(), readiness.judge(world, make.NOW_AT, NOW), NOW)
    assert told.record == protocol.RecordReport(group_id="group", counter=5, volume_counter=0)


# On the volume


@pytest.fixture
def made(tmp_path: Path) -> volume.Volume:
    return volume.init_volume(FILES, tmp_path / "volume", manual_clock.ManualClock())


def store(station_id: str = "station") -> visible_store.Store:
    return visible_store.Store(READER, station_id)


def names(made: volume.Volume) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in (made.control / "groups" / "group").iterdir())


def test_it_is_read_back_by_who_knows_the_group_and_by_who_lost_everything(made: volume.Volume) -> None:
    written = view(record())
    store().write(FILES, made, written)
    for group_id in ("group", None, "a group it has left"):
        found = store().look(made, group_id)
        assert found == written
    assert store("stranger").look(made, None) is None
    pointer = made.control / "groups" / "group" / "visible.json"
    assert READER.read(pointer.read_bytes()).record == record()
    assert visible_store.is_pointed_at(made, written)


def test_a_late_writer_puts_no_older_record_in_force(made: volume.Volume) -> None:
    """R1: it was decided to write number 4 before number 9 was there, and happens after."""
    store().write(FILES, made, view(record(9)))
    store().write(FILES, made, view(record(4)))
    looking = store()
    found = looking.look(made, "group")
    assert found is not None
    assert found.record.counter == 9
    assert looking.problem(made, "group") is None
    assert not visible_store.is_pointed_at(made, found), "the link for people is put right by the next look"


def test_older_ones_go_and_the_newest_two_stay(made: volume.Volume) -> None:
    for counter in range(1, 6):
        store().write(FILES, made, view(record(counter)))
    assert names(made) == ["4", "5", "visible.json"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (visible_record.encoded(signed_records.Signer().sign(record(77, 66))), "not signed by this station's hub"),
        (b'{"generation":"evil"}', "damaged"),
        (b"\x00" * 4096, "damaged"),
        (visible_record.encoded(SIGNER.sign(record(3))), "another record than its name says"),
        (visible_record.encoded(SIGNER.sign(record(77, group_id="other"))), "another record than its name says"),
    ],
)
def test_a_forged_record_is_refused_with_file_and_reason_and_the_former_one_holds(
    made: volume.Volume, content: bytes, why: str
) -> None:
    store().write(FILES, made, view(record(5)))
    name = f"77-{hashlib.sha256(content).hexdigest()[:32]}.json"
    (made.control / "groups" / "group" / name).write_bytes(content)
    looking = store()
    found = looking.look(made, "group")
    assert found is not None
    assert found.record.counter == 5
    problem = looking.problem(made, "group")
    assert problem is not None
    assert problem.code == "RecordRefused"
    assert name in problem.message
    assert why in problem.message
    (made.control / "groups" / "group" / name).unlink()
    looking.look(made, "group")
    assert looking.problem(made, "group") is None


def test_a_forged_file_does_not_keep_the_right_one_from_its_place(made: volume.Volume) -> None:
    directory = made.control / "groups" / "group"
    directory.mkdir()
    right = view(record(5))
    (directory / visible_store.name_of(right)).write_bytes(b"junk")
    assert store().look(made, "group") is None
    store().write(FILES, made, right)
    assert store().look(made, "group") == right


def test_links_pipes_and_directories_in_its_place_are_not_followed_or_waited_for(made: volume.Volume) -> None:
    directory = made.control / "groups" / "group"
    directory.mkdir()
    digest = "0" * 32
    (directory / f"7-{digest}.json").symlink_to("/dev/zero")
    os.mkfifo(directory / f"8-{digest}.json")
    (directory / f"9-{digest}.json").mkdir()
    looking = store()
    assert looking.look(made, "group") is None
    assert looking.problem(made, "group") is not None


def test_an_unmarked_directory_is_never_written(made: volume.Volume) -> None:
    (made.control / "volume.json").unlink()
    with pytest.raises(Exception, match="no longer carries the marker"):
        store().write(FILES, made, view(record()))
    assert not (made.control / "groups" / "group").exists()


def test_what_was_refused_is_in_the_answer_for_health_and_takes_no_readiness(made: volume.Volume) -> None:
    (made.control / "groups" / "group").mkdir()
    (made.control / "groups" / "group" / f"7-{'0' * 32}.json").write_bytes(b"junk")
    looking = store()
    looking.look(made, "group")
    world = make.snapshot(
        volume=make.volume({A: ("g1",)}, record_problem=looking.problem(made, "group")),
        proved_mount="",
    )
    clock = manual_clock.ManualClock()
    told = health.Health(boards.Board(world), clock).answer("GET", "/healthz")
    body = msgspec.json.decode(told.body, type=health.HealthBody)  # type: ignore[arg-type]
    assert [one.code for one in body.warnings] == ["RecordRefused"]
    assert "RecordRefused" not in [one.code for one in body.reasons]
    problems = report.problems_of(world, plan.Plan(), NOW)
    assert "RecordRefused" in [one.code for one in problems]


class NoNonce:
    """Sharing is another matter."""

    written = ""

    def leave(self, *_: object) -> None:
        """Leave none."""


def test_a_look_at_the_volume_brings_it(made: volume.Volume) -> None:
    store().write(FILES, made, view(record()))
    signed = volume_look.SignedRecords(store(), None)
    clock = manual_clock.ManualClock()
    nonce = nonces.Nonce(clock)
    seen = volume_look.look_at_volume(_config(made), str(made.root), [], FILES, nonce, clock, signed)
    assert seen.record is not None
    assert seen.record.record == record()
    assert seen.is_record_named


def _config(made: volume.Volume) -> configs.StationConfig:
    return configs.StationConfig(
        station_id="station",
        managed_instance_id="instance",
        tenancy_id="",
        hub_url="https://hub",
        address="10.0.0.2",
        mirror_directory=str(made.root),
        volume_id=made.id,
    )
