"""What the rest of the code may rely on of the real file system."""

import stat
import threading
from pathlib import Path, PurePosixPath

import pytest

from stationmaster.host import files
from stationmaster.model import errors


@pytest.fixture
def real() -> files.Files:
    return files.Files()


def test_write_atomic_replaces_and_leaves_nothing_else(real: files.Files, tmp_path: Path) -> None:
    target = tmp_path / "config"
    real.write_atomic(target, b"one", mode=0o600)
    real.write_atomic(target, b"two", mode=0o640)
    assert target.read_bytes() == b"two"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["config"]


def test_write_atomic_that_fails_keeps_the_old_bytes(real: files.Files, tmp_path: Path) -> None:
    target = tmp_path / "directory"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        real.write_atomic(target, b"bytes")
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]


def test_create_exclusive_has_one_winner(real: files.Files, tmp_path: Path) -> None:
    target = tmp_path / "7"
    barrier = threading.Barrier(8)
    won: list[int] = []

    def compete(number: int) -> None:
        barrier.wait()
        if real.create_exclusive(target, str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert target.read_text() == str(won[0])
    assert len(list(tmp_path.iterdir())) == 1


def test_replace_symlink_never_shows_nothing(real: files.Files, tmp_path: Path) -> None:
    link = tmp_path / "current"
    real.replace_symlink(link, "a")
    stop = threading.Event()
    missing: list[str] = []

    def watch() -> None:
        while not stop.is_set():
            try:
                link.readlink()
            except FileNotFoundError:
                missing.append("gone")

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(300):
        real.replace_symlink(link, "ab"[number % 2])
    stop.set()
    watcher.join()
    assert missing == []
    assert link.readlink() == Path("b")


def test_remove_tree_does_not_follow_links(real: files.Files, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "bird").write_text("alive")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(canary)
    real.remove_tree(tree)
    real.remove_tree(tmp_path / "never-was")
    assert (canary / "bird").read_text() == "alive"
    assert not tree.exists()


def test_link_and_mkdir_say_who_was_first(real: files.Files, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("x")
    assert real.link(source, tmp_path / "name")
    assert not real.link(source, tmp_path / "name")
    assert real.make_directory_exclusive(tmp_path / "token")
    assert not real.make_directory_exclusive(tmp_path / "token")


def test_read_required_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(errors.HostError, match="the response file") as caught:
        files.read_required(tmp_path / "input.rsp", what="the response file", hint="Make one.")
    assert str(tmp_path / "input.rsp") in str(caught.value)
    assert "Make one." in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [
        ("/etc/apt/one", "etc/apt/one"),
        ("/absolute/one", "etc/one"),
        ("/up/one", "one"),
        ("/chain/one", "etc/one"),
        ("/absolute/../one", "one"),
        ("/../../one", "one"),
        ("/not/there", "not/there"),
        ("/etc/file", "canary"),
    ],
)
def test_links_never_lead_out_of_a_root(tmp_path: Path, asked: str, led_to: str) -> None:
    (tmp_path / "etc/apt").mkdir(parents=True)
    (tmp_path / "absolute").symlink_to("/etc")
    (tmp_path / "up").symlink_to("../../../..")
    (tmp_path / "chain").symlink_to("absolute")
    (tmp_path / "etc/file").symlink_to("/canary")
    assert files.resolve_below(tmp_path, PurePosixPath(asked)) == tmp_path / led_to


def test_links_that_go_round_end(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        files.resolve_below(tmp_path, PurePosixPath("/one/file"))


def test_a_flush_begun_and_one_waited_for_leave_the_bytes(tmp_path: Path) -> None:
    disk = files.Files()
    with disk.open_append(tmp_path / "part") as stream:
        stream.write(b"content")
        disk.begin_flush(stream)
    disk.sync_file_system(tmp_path)
    assert (tmp_path / "part").read_bytes() == b"content"
    with pytest.raises(FileNotFoundError):
        disk.sync_file_system(tmp_path / "absent")
