# ruff: noqa: ANN001 - what the fixtures of conftest are lies in a module that tests cannot import
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stationmaster.agent import leave, register, state
from stationmaster.agent.doors import Doors
from stationmaster.agent.instance import Instance
from stationmaster.host import clock, files, programs
from stationmaster.model import errors
from stationmaster.model.protocol import InstanceSource, PackageManager

DOORS = Doors(files.Files(), programs.Programs(), clock.SystemClock(), lambda: 0.0)
STATIONMASTER = Path(sys.executable).with_name("stationmaster")


def listing(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_registration_goes_through_the_gateway_and_secrets_are_private(agent, install_root: Path) -> None:
    before = listing(install_root)
    identity = agent.register(install_root, None)
    assert identity.package_manager is PackageManager.DNF
    assert agent.proxy.connects == [agent.hub.url.removeprefix("https://")]
    assert agent.state_dir.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in agent.state_dir.iterdir())
    assert listing(install_root) == before
    with pytest.raises(errors.IncorrectStateError, match="already holds the registered instance"):
        agent.register(install_root, None)


@pytest.mark.parametrize("trouble", ["gateway", "range", "hub", "used", "wrong", "trust"])
def test_a_failed_registration_says_which_link_broke_and_leaves_nothing(
    agent, install_root: Path, tmp_path: Path, trouble: str
) -> None:
    expected = {
        "gateway": ("GatewayUnreachable", "does not answer"),
        "range": ("ProxyDenied", "this address is not in the permitted range"),
        "hub": ("HubUnreachable", "answers, but not the hub"),
        "used": ("NotAuthenticated", "wrong or used up"),
        "wrong": ("NotAuthenticated", "wrong or used up"),
        "trust": ("HubNotTrusted", "could not be trusted"),
    }
    text = agent.response_file.read_text()
    if trouble == "gateway":
        agent.proxy.stop()
    elif trouble == "range":
        agent.proxy.is_permitted = False
    elif trouble == "hub":
        agent.hub.stop()
    elif trouble == "used":
        agent.hub.uses = 0
    elif trouble == "wrong":
        agent.response_file.write_text(text.replace("k" * 20, "w" * 20))
    else:
        lines = [line for line in text.splitlines() if not line.startswith("Stationmaster.Ca")]
        agent.response_file.write_text("\n".join(lines) + "\n")
    before = listing(tmp_path)
    with pytest.raises(errors.StationmasterError, match=expected[trouble][1]) as caught:
        register.register(agent.wish(install_root, None, timeout=0.5), DOORS)
    assert caught.value.code == expected[trouble][0]
    assert caught.value.hint
    assert listing(tmp_path) == before


def test_registration_waits_for_a_gateway_that_is_starting(agent, install_root: Path) -> None:
    agent.proxy.stop()
    timer = threading.Timer(1.0, agent.proxy.start)
    timer.start()
    assert agent.register(install_root, None).managed_instance_id
    timer.join()


def test_a_gateway_that_is_the_hub_itself_is_talked_to_directly(agent, install_root: Path) -> None:
    text = agent.response_file.read_text()
    agent.response_file.write_text(text.replace(f"Port = {agent.proxy.port}", f"Port = {agent.hub.port}"))
    agent.register(install_root, None)
    assert agent.proxy.connects == []
    assert agent.run().failed_jobs == ()


def test_a_response_file_that_cannot_be_read_names_what_is_wrong(agent, install_root: Path) -> None:
    agent.response_file.write_text("ManagementAgentInstallKey = x\n")
    with pytest.raises(errors.CallerError, match="lacks GatewayServerHost"):
        agent.register(install_root, None)
    agent.response_file.unlink()
    with pytest.raises(errors.HostError, match="Cannot read the response file"):
        agent.register(install_root, None)


def test_leaving_restores_what_was_there_before(
    agent, mirror, rpms, rpm_source: InstanceSource, install_root: Path
) -> None:
    mirror.show(rpm_source.source_id, rpms.base)
    theirs = install_root / "etc/yum.repos.d/stationmaster.repo"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("# the administrator's own\n")
    agent.point(mirror, rpm_source)
    agent.register(install_root, None)
    agent.run()
    assert "mirrorlist=" in theirs.read_text()
    key = install_root / "etc/pki/rpm-gpg/stationmaster-lab-rpm.asc"
    assert key.exists()
    one = Instance(state.StateDirectory(agent.state_dir, DOORS.disk), DOORS)
    leave.leave(one, leave.Way.BY_HAND)
    assert agent.hub.left
    assert theirs.read_text() == "# the administrator's own\n"
    assert not key.exists()
    assert not (install_root / "etc/stationmaster").exists()
    assert [path.name for path in agent.state_dir.iterdir() if path.name != "lock"] == []


def test_changes_to_our_files_are_undone_and_nothing_else_is_touched(
    agent, mirror, rpms, rpm_source: InstanceSource, install_root: Path
) -> None:
    mirror.show(rpm_source.source_id, rpms.base)
    other = install_root / "etc/yum.repos.d/other.repo"
    other.parent.mkdir(parents=True)
    other.write_text("[other]\nname=other\nbaseurl=http://127.0.0.1:9/\nenabled=1\n")
    agent.point(mirror, rpm_source)
    agent.register(install_root, None)
    agent.run()
    ours = install_root / "etc/yum.repos.d/stationmaster.repo"
    written, stamp = ours.read_text(), ours.stat().st_mtime_ns
    agent.run()
    assert ours.stat().st_mtime_ns == stamp
    ours.write_text("# edited\n")
    agent.run()
    assert ours.read_text() == written
    assert other.read_text().startswith("[other]")
    agent.hub.desired = type(agent.hub.desired)(
        managed_instance_id=agent.hub.desired.managed_instance_id, address=agent.hub.desired.address, ca="", sources=[]
    )
    agent.run()
    assert not ours.exists()


def run_command(agent, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [STATIONMASTER, "agent", *arguments, "--state-dir", agent.state_dir],
        capture_output=True,
        text=True,
        check=False,
    )


def test_exit_statuses_of_run_once(agent, mirror, rpms, rpm_source: InstanceSource, install_root: Path) -> None:
    from stationmaster.model.protocol import Operation

    shown = mirror.show(rpm_source.source_id, rpms.base)
    agent.point(mirror, rpm_source)
    agent.register(install_root, None)
    assert run_command(agent, "run", "--once").returncode == 0
    agent.order(1, Operation.INSTALL_PACKAGES, "lab-nonesuch", visible=(shown,))
    failed = run_command(agent, "run", "--once")
    assert failed.returncode == 3, failed.stderr
    agent.proxy.is_permitted = False
    refused = run_command(agent, "run", "--once")
    assert refused.returncode == 1
    assert "permitted range" in refused.stderr
    assert "Traceback" not in refused.stderr
