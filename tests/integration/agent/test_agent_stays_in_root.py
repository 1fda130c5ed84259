"""The agent is root: what lies in a root must not lead its writes, or its reads, out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stationmaster.agent import facts, state
from stationmaster.agent.package_managers import base, choice
from stationmaster.agent.steps import write_repositories
from stationmaster.host import files, programs
from stationmaster.model.protocol import PackageManager

DISK = files.Files()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the host, with something in it that must neither change nor be read."""
    made = tmp_path / "host"
    made.mkdir()
    (made / "stationmaster.sources").write_text("canary\n")
    (made / "os-release").write_text("ID=canary\n")
    return made


def snapshot(directory: Path) -> dict[str, tuple[int, bytes]]:
    found = {str(one): (one.stat().st_mode, one.read_bytes() if one.is_file() else b"") for one in directory.rglob("*")}
    return found | {".": (directory.stat().st_mode, b"")}


@pytest.mark.parametrize("is_file", [False, True])
def test_links_in_an_image_lead_nowhere(tmp_path: Path, outside: Path, is_file: bool) -> None:
    root = tmp_path / "root"
    (root / "etc/apt").mkdir(parents=True)
    (root / "var/lib").mkdir(parents=True)
    (root / "etc/os-release").symlink_to(outside / "os-release")
    for name in ("etc/stationmaster", "var/lib/stationmaster-agent", "etc/apt/apt.conf.d", "var/lib/dpkg"):
        (root / name).symlink_to(outside)
    if is_file:
        (root / "etc/apt/sources.list.d").mkdir()
        (root / "etc/apt/sources.list.d/stationmaster.sources").symlink_to(outside / "stationmaster.sources")
    else:
        (root / "etc/apt/sources.list.d").symlink_to(outside)
    before = snapshot(outside)
    remembered = state.StateDirectory(tmp_path, DISK)
    target = base.Target(root, PackageManager.APT, is_entered=False)
    wanted = {
        "/etc/apt/sources.list.d/stationmaster.sources": "ours\n",
        "/etc/apt/apt.conf.d/90stationmaster": "ours\n",
        "/etc/stationmaster/ca.pem": "ours\n",
    }
    write_repositories.write_repositories(target, wanted, remembered, DISK)
    assert write_repositories.read_files(target, frozenset(wanted)) == wanted
    write_repositories.write_pinned(target, {"/etc/stationmaster/pinned/x.list": "ours\n"}, DISK)
    choice.open_manager(target, programs.Programs(), DISK, {}).prepare()
    assert "canary" not in str(write_repositories.read_written(remembered)), "the host's file would come into the root"
    assert facts.read_os_release(root) == {}
    write_repositories.restore_all(target, remembered, DISK)
    assert snapshot(outside) == before
