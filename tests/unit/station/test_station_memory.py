"""What a station remembers, and what it believes: numbers only rise (R8), the volume's word is read off the volume."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from stationmaster.host import files as host_files
from stationmaster.mirror import owners, volume
from stationmaster.model import protocol
from stationmaster.station import board, config, hub_link, memory, nonces, observe, report, volume_look, watch
from stationmaster.station import snapshot as snapshots
from stationmaster.testing import manual_clock
from stationmaster.testing import stations as make

A = make.A
_VISIBLE = st.builds(make.visible, st.sampled_from([make.A, make.B]), st.integers(0, 5), st.sampled_from(["g1", "g2"]))


@hypothesis.given(st.lists(_VISIBLE), st.lists(_VISIBLE))
def test_numbers_only_rise(known: list[protocol.Visible], heard: list[protocol.Visible]) -> None:
    before = board.merge_visible((), tuple(known))
    after = board.merge_visible(before, tuple(heard))
    assert len({one.source_id for one in after}) == len(after)
    for one in before:
        following = next(other for other in after if other.source_id == one.source_id)
        assert following.number > one.number or following == one
    assert board.merge_visible(after, tuple(known)) == after


def test_an_answer_brings_the_desired_state_only_when_it_changed() -> None:
    answer = protocol.HeartbeatAnswer(
        time_received=make.NOW,
        desired_digest="new",
        desired=make.desired(display_name="B"),
        visible=[make.visible(A, 2, "g2")],
    )
    contact = snapshots.Contact(confirmed_at=1.0)
    after = hub_link.with_answer(make.snapshot(), answer, contact)
    assert (after.desired_digest, after.contact, after.told) == ("new", contact, (make.visible(A, 2, "g2"),))
    same = hub_link.with_answer(
        after, msgspec.structs.replace(answer, desired=None, visible=[make.visible(A, 1, "g1")]), contact
    )
    assert same.desired == after.desired
    assert same.told == after.told


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    kept = memory.Memory(config.StateDirectory(tmp_path), host_files.Files())
    assert kept.desired() is None
    assert kept.visible() == memory.StoredVisible()
    kept.keep_desired("d", make.desired(), snapshots.RecordName("group", 4))
    kept.keep_visible((make.visible(A, 2, "g2"),), (make.visible(A, 1, "g1"),))
    kept.keep_proofs(
        "v",
        "1:2",
        {(A, "g1"): snapshots.FetchView(is_fetchable=True), (A, "g2"): snapshots.FetchView(is_fetchable=False)},
    )
    report = protocol.SyncReport(number=3, is_running=False, problem=protocol.Problem(code="x", message="y"))
    kept.keep_syncs(
        {A: snapshots.SyncView(number=3, report=report, failures=2), make.B: snapshots.SyncView(is_running=True)}
    )
    kept.keep_names({"lb": ("10.0.0.1",)})
    assert kept.names() == {"lb": ("10.0.0.1",)}
    stored = kept.desired()
    assert stored is not None
    assert (stored.digest, stored.desired) == ("d", make.desired())
    assert (stored.record_group, stored.record_counter) == ("group", 4)
    assert kept.visible().shown == (make.visible(A, 1, "g1"),)
    assert kept.proofs("v") == ("1:2", {(A, "g1"): snapshots.FetchView(is_fetchable=True)})
    assert kept.proofs("another volume") == ("", {})
    assert dict(kept.syncs()) == {A: snapshots.SyncView(number=3, report=report, failures=2)}
    assert (tmp_path / "desired.json").stat().st_mode & 0o777 == 0o600


def test_a_damaged_memory_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "visible.json").write_text('{"told": [{"so')
    assert memory.Memory(config.StateDirectory(tmp_path), host_files.Files()).visible() == memory.StoredVisible()


def test_the_configuration_is_read_strictly(tmp_path: Path) -> None:
    state = config.StateDirectory(tmp_path)
    with pytest.raises(Exception, match="station register"):
        config.read_config(state)
    config.write_config(state, _config(tmp_path), host_files.Files())
    assert config.read_config(state) == _config(tmp_path)
    state.config.write_text(state.config.read_text().replace('"hubUrl"', '"hubUrk"'))
    with pytest.raises(Exception, match="cannot be understood"):
        config.read_config(state)


def _config(root: Path, volume_id: str = "v") -> config.StationConfig:
    return config.StationConfig(
        station_id="station",
        managed_instance_id="instance",
        tenancy_id="tenancy",
        hub_url="https://hub",
        address="10.0.0.2",
        mirror_directory=str(root),
        volume_id=volume_id,
    )


class ReadOnlyFiles(host_files.Files):
    def open_append(self, path: Path) -> BinaryIO:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))


def test_the_volume_as_it_is(tmp_path: Path) -> None:
    clock = manual_clock.ManualClock()
    made = volume.init_volume(host_files.Files(), tmp_path / "m", clock, hub="tenancy")
    records = volume_look.records_directory(made, A)
    records.mkdir(parents=True)
    for number, generation in ((2, "g2"), (10, "g10"), (9, "g9")):
        (records / str(number)).write_bytes(msgspec.json.encode(volume_look.Record(generation, number)))
    (records / "11").write_text("half a rec")
    (records / ".12.tmp").write_text("")

    def look(volume_id: str, files: host_files.Files) -> snapshots.VolumeView:
        return volume_look.look_at_volume(
            _config(made.root, volume_id), str(made.root), [A], files, nonces.Nonce(clock), clock
        )

    view = look(made.id, host_files.Files())
    assert view.records == {A: make.visible(A, 10, "g10")}
    assert (view.is_writable, view.problem, view.volume_id) == (True, None, made.id)
    assert nonces.read_nonces(made) == {"station": view.own_nonce}

    view = look(made.id, ReadOnlyFiles())
    assert view.write_problem is not None
    assert (view.is_writable, view.problem, view.write_problem.code) == (False, None, "VolumeReadOnly")

    view = look("another", host_files.Files())
    assert view.problem is not None
    assert (view.volume_id, view.problem.code) == (None, "NotAVolume")
    assert "carries volume" in view.problem.message
    missing = volume_look.look_at_volume(
        _config(tmp_path), str(tmp_path / "none"), [A], host_files.Files(), nonces.Nonce(clock), clock
    )
    assert missing.problem is not None
    assert not (tmp_path / "none").exists()


def test_www_is_read_as_it_is_served(tmp_path: Path) -> None:
    for name in ("m-http", "u"):
        (tmp_path / name).mkdir()
    (tmp_path / "m-http" / A).write_text("list\n")
    (tmp_path / "m-http" / ".half").write_text("left by a crash")
    (tmp_path / "u" / A).symlink_to("/mirror/x")
    assert observe.look_at_www(tmp_path) == {f"m-http/{A}": "list\n", f"u/{A}": "->/mirror/x"}


def test_a_mount_that_is_missing_is_told_to_be_mounted_not_made_anew(tmp_path: Path) -> None:
    """I11: `mirror init` on the bare path would be the very thing that must not happen."""
    clock = manual_clock.ManualClock()
    view = volume_look.look_at_volume(
        _config(tmp_path), str(tmp_path), [A], host_files.Files(), nonces.Nonce(clock), clock
    )
    assert view.problem is not None
    assert f"The mirror volume v is not at {tmp_path}" in view.problem.message
    assert "mount it" in view.problem.message
    assert "mirror init" not in view.problem.message
    assert list(tmp_path.iterdir()) == []


def test_what_was_proved_under_another_kernel_is_proved_again(tmp_path: Path) -> None:
    kept = memory.Memory(config.StateDirectory(tmp_path), host_files.Files())
    kept.keep_proofs("v", "1:2", {(A, "g1"): snapshots.FetchView(is_fetchable=True)})
    path = tmp_path / "fetchable.json"
    path.write_text(path.read_text().replace(owners.boot_id(), "another"))
    assert kept.proofs("v") == ("", {})


def test_what_was_proved_of_another_mount_is_proved_again() -> None:
    world = make.snapshot(proved_mount="1:2")
    same = watch.with_volume(world, make.volume({A: ("g1",)}, mount="1:2"))
    assert same.can_fetch(A, "g1")
    hung = watch.with_volume(same, make.volume(mount="", problem=protocol.Problem(code="x", message="y")))
    assert watch.with_volume(hung, make.volume({A: ("g1",)}, mount="1:2")).can_fetch(A, "g1")
    other = watch.with_volume(hung, make.volume({A: ("g1",)}, mount="1:3"))
    assert not other.can_fetch(A, "g1")
    assert (other.fetch, other.proved_mount) == ({}, "1:3")


def test_stations_on_one_volume_read_each_others_nonces(tmp_path: Path) -> None:
    """R10: the path may differ; a copy of the directory carries an old nonce."""
    clock = manual_clock.ManualClock()
    volume.init_volume(host_files.Files(), tmp_path / "mirror", clock)
    made = volume.open_volume(host_files.Files(), tmp_path / "mirror")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "mirror")
    one, two = nonces.Nonce(clock), nonces.Nonce(clock)
    first = volume_look.look_at_volume(_config(made.root, made.id), str(made.root), [], made.files, one, clock)
    second = volume_look.look_at_volume(
        msgspec.structs.replace(_config(made.root, made.id), station_id="second"),
        str(tmp_path / "elsewhere"),
        [],
        made.files,
        two,
        clock,
    )
    assert second.nonces == {"second": second.own_nonce, "station": first.own_nonce}
    assert first.own_nonce != second.own_nonce
    again = volume_look.look_at_volume(_config(made.root, made.id), str(made.root), [], made.files, one, clock)
    assert again.own_nonce == first.own_nonce
    clock.advance(31)
    later = volume_look.look_at_volume(_config(made.root, made.id), str(made.root), [], made.files, one, clock)
    assert later.own_nonce != first.own_nonce
    assert later.nonces["second"] == second.own_nonce
    told = report.volume_report(make.snapshot(volume=later))
    assert (told.own_nonce, told.nonces, told.writer_token) == (later.own_nonce, dict(later.nonces), 0)
