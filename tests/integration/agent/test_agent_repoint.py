# ruff: noqa: ANN001, ANN201 - what the fixtures of conftest are lies in a module that tests cannot import
import subprocess
import sys
from pathlib import Path

import pytest

from stationmaster.agent import state
from stationmaster.agent.doors import Doors
from stationmaster.agent.instance import Instance
from stationmaster.host import clock, files, programs
from stationmaster.model.protocol import InstanceSource

DOORS = Doors(files.Files(), programs.Programs(), clock.SystemClock(), lambda: 0.0)
STATIONMASTER = Path(sys.executable).with_name("stationmaster")
NEW = "127.0.0.2"


@pytest.fixture
def settled(agent, mirror, rpms, rpm_source: InstanceSource, install_root: Path):
    """An instance at 127.0.0.1; everything there also answers at 127.0.0.2."""
    mirror.show(rpm_source.source_id, rpms.base)
    agent.point(mirror, rpm_source)
    agent.register(install_root, None)
    agent.run()
    assert host_of(install_root) == "127.0.0.1"
    return agent


def host_of(root: Path) -> str:
    text = (root / "etc/yum.repos.d/stationmaster.repo").read_text()
    return text.partition("mirrorlist=http://")[2].partition(":")[0]


def test_an_instance_moves_when_everything_answers_there(
    settled, mirror, rpm_source: InstanceSource, install_root: Path
) -> None:
    settled.point(mirror, rpm_source, host=NEW)
    settled.run()
    assert host_of(install_root) == NEW
    told = settled.hub.checkins[-1]
    assert told.address_in_use.host == NEW
    assert told.applied_digest == told.desired_digest
    assert not (settled.state_dir / "former.conf").exists()


def test_it_stays_while_the_rehearsal_fails_and_says_why(
    settled, mirror, rpm_source: InstanceSource, install_root: Path
) -> None:
    settled.point(mirror, rpm_source, host=NEW, proxy_port=9)
    settled.run()
    assert host_of(install_root) == "127.0.0.1"
    told = settled.hub.checkins[-1]
    assert [one.code for one in told.problems] == ["PortUnanswered"]
    assert f"{NEW} does not answer on the proxy port 9" in told.problems[0].message
    assert told.applied_digest != told.desired_digest
    settled.point(mirror, rpm_source, host="no-such-name.invalid")
    settled.run()
    assert [one.code for one in settled.hub.checkins[-1].problems] == ["AddressUnresolved"]
    settled.point(mirror, rpm_source, host=NEW)
    settled.run()
    assert host_of(install_root) == NEW
    assert settled.hub.checkins[-1].problems == []


def test_it_stays_when_a_source_it_uses_is_not_there(
    settled, mirror, rpm_source: InstanceSource, install_root: Path, tmp_path: Path
) -> None:
    other = type(mirror)(tmp_path, mirror.certificate)
    try:
        settled.point(other, rpm_source, host=NEW)
        settled.run()
    finally:
        other.stop()
    assert host_of(install_root) == "127.0.0.1"
    assert [one.code for one in settled.hub.checkins[-1].problems] == ["SourceNotServed"]


def test_it_goes_back_when_the_first_check_in_over_the_new_way_fails(
    settled, mirror, rpm_source: InstanceSource, install_root: Path
) -> None:
    before = (install_root / "etc/yum.repos.d/stationmaster.repo").read_bytes()
    settled.hub.refused_host = NEW
    settled.point(mirror, rpm_source, host=NEW)
    settled.run()
    assert (install_root / "etc/yum.repos.d/stationmaster.repo").read_bytes() == before
    assert [one.code for one in settled.hub.checkins[-1].problems] == ["RepointUndone"]
    assert settled.hub.checkins[-1].address_in_use.host == "127.0.0.1"


def test_a_move_that_was_cut_short_is_undone_at_the_next_start(settled, install_root: Path) -> None:
    before = (install_root / "etc/yum.repos.d/stationmaster.repo").read_bytes()
    remembered = state.StateDirectory(settled.state_dir, DOORS.disk)
    address = remembered.address()
    Instance(remembered, DOORS).adopt(state.AddressInUse(NEW, 9, address.http_port, address.https_port))
    assert host_of(install_root) == NEW
    settled.run()
    assert (install_root / "etc/yum.repos.d/stationmaster.repo").read_bytes() == before
    assert remembered.address() == address


def test_repoint_by_hand(settled, install_root: Path) -> None:
    command = [STATIONMASTER, "agent", "repoint", "--state-dir", settled.state_dir, "--host"]
    rehearsed = subprocess.run([*command, NEW, "--dry-run"], capture_output=True, text=True, check=False)
    assert rehearsed.returncode == 0, rehearsed.stderr
    assert "Could move to 127.0.0.2" in rehearsed.stdout
    assert host_of(install_root) == "127.0.0.1"
    refused = subprocess.run([*command, NEW, "--proxy-port", "9"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "Nothing was changed." in refused.stderr
    moved = subprocess.run([*command, NEW], capture_output=True, text=True, check=False)
    assert moved.returncode == 0, moved.stderr
    assert host_of(install_root) == NEW
