# ruff: noqa: ANN001, ANN201 - what the fixtures of conftest are lies in a module that tests cannot import
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stationmaster.agent import instance, repositories, state
from stationmaster.agent.doors import Doors
from stationmaster.host import clock, files, programs
from stationmaster.model import protocol, setup_scripts
from stationmaster.model.protocol import InstanceSource

NEW = "127.0.0.2"
TOOLS = "cat chmod cmp cp dash diff env flock getent grep head id mkdir mktemp mv rm rmdir sed sh tr true wc"


@pytest.fixture
def settled(agent, mirror, rpms, rpm_source: InstanceSource, install_root: Path):
    """An instance as its agent leaves it after a check-in, without the time that dnf takes for an inventory."""
    mirror.show(rpm_source.source_id, rpms.base)
    agent.point(mirror, rpm_source)
    agent.register(install_root, None)
    doors = Doors(files.Files(), programs.Programs(), clock.SystemClock(), lambda: 0.0)
    remembered = state.StateDirectory(agent.state_dir, doors.disk)
    remembered.write(instance.DESIRED, agent.hub.desired)
    remembered.write_address(state.AddressInUse.of(agent.hub.desired.address))
    instance.Instance(remembered, doors).write_files(agent.hub.desired.address)
    return agent


@pytest.fixture
def script(settled, mirror, certificate, tmp_path: Path) -> Path:
    ports = protocol.Ports(proxy=settled.proxy.port, http=mirror.http_port, https=mirror.https_port)
    address = protocol.ClientAddress(host=NEW, ports=ports)
    path = tmp_path / "instance-setup.sh"
    path.write_text(setup_scripts.render_instance_setup(address, settled.hub.url, certificate[0].read_text()))
    return path


def run_script(
    settled, script: Path, *arguments: str, path: str = "/usr/sbin:/usr/bin:/sbin:/bin"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["dash", script, "--state-dir", settled.state_dir, *arguments],
        env={"PATH": path, "STATIONMASTER": "not-installed-here"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def state_of(settled, root: Path) -> dict[str, str]:
    files = [root / "etc/yum.repos.d/stationmaster.repo", settled.state_dir / "address.conf"]
    return {str(path): path.read_text() for path in files}


def leftovers(root: Path, settled) -> list[str]:
    found = [*root.rglob("*.stationmaster-new"), *root.rglob("instance-setup.undo")]
    return [str(path) for path in [*found, *settled.state_dir.rglob("*.stationmaster-new")]]


def tool_path(directory: Path, fetcher: str) -> str:
    """A PATH without the other fetchers."""
    directory.mkdir()
    for name in [*TOOLS.split(), fetcher]:
        found = shutil.which(name)
        if found:
            (directory / name).symlink_to(found)
    return str(directory)


def test_it_moves_the_instance_and_can_be_run_again(
    settled, mirror, script: Path, install_root: Path, rpm_source: InstanceSource
) -> None:
    done = run_script(settled, script)
    assert done.returncode == 0, done.stdout + done.stderr
    after = state_of(settled, install_root)
    assert all(NEW in text and "127.0.0.1" not in text for text in after.values())
    assert "the hub answers through the proxy" in done.stdout
    again = run_script(settled, script)
    assert again.returncode == 0
    assert "nothing to change" in again.stdout
    assert state_of(settled, install_root) == after
    assert leftovers(install_root, settled) == []
    # The agent goes the new way and finds nothing to put right.
    settled.point(mirror, rpm_source, host=NEW)
    settled.run()
    assert settled.hub.checkins[-1].address_in_use.host == NEW
    assert state_of(settled, install_root) == after


def test_a_dry_run_says_what_would_change(settled, script: Path, install_root: Path) -> None:
    before = state_of(settled, install_root)
    said = run_script(settled, script, "--dry-run")
    assert said.returncode == 0, said.stderr
    assert f"> host={NEW}" in said.stdout
    assert f"> mirrorlist=http://{NEW}:" in said.stdout
    assert state_of(settled, install_root) == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--host", "no-such-name.invalid"), "does not resolve"),
        (("--proxy-port", "9"), f"{NEW} does not answer on port 9"),
        (("--http-port", "9"), f"{NEW} does not answer on port 9"),
    ],
)
def test_nothing_changes_when_the_rehearsal_fails(
    settled, script: Path, install_root: Path, arguments: tuple[str, ...], expected: str
) -> None:
    before = state_of(settled, install_root)
    refused = run_script(settled, script, *arguments)
    assert refused.returncode == 1
    assert expected in refused.stderr
    assert state_of(settled, install_root) == before


def test_a_missing_list_or_a_refusing_proxy_stops_it(
    settled, mirror, script: Path, install_root: Path, rpm_source
) -> None:
    before = state_of(settled, install_root)
    listed = mirror.www / "m" / rpm_source.source_id
    text = listed.read_text()
    listed.unlink()
    refused = run_script(settled, script)
    listed.write_text(text)
    assert refused.returncode == 1
    assert f"/m/{rpm_source.source_id} does not answer" in refused.stderr
    settled.proxy.is_permitted = False
    assert "does not answer through the proxy" in run_script(settled, script).stderr
    assert state_of(settled, install_root) == before


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failing_step_is_undone(settled, script: Path, install_root: Path, tmp_path: Path, failing: int) -> None:
    before = state_of(settled, install_root)
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / "mv").write_text(
        f"#!/bin/sh\necho x >>{tmp_path}/moves\n"
        f'[ "$(wc -l <{tmp_path}/moves)" != {failing} ] || exit 1\nexec /bin/mv "$@"\n'
    )
    (fake / "mv").chmod(0o755)
    failed = run_script(settled, script, path=f"{fake}:{os.environ['PATH']}")
    assert failed.returncode == 1
    assert "everything was put back" in failed.stderr
    assert state_of(settled, install_root) == before
    assert leftovers(install_root, settled) == []


def test_a_run_that_was_killed_is_undone_by_the_next(settled, script: Path, install_root: Path, tmp_path: Path) -> None:
    before = state_of(settled, install_root)
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / "mv").write_text(
        f"#!/bin/sh\necho x >>{tmp_path}/moves\n"
        f'[ "$(wc -l <{tmp_path}/moves)" != 2 ] || kill -9 $PPID\nexec /bin/mv "$@"\n'
    )
    (fake / "mv").chmod(0o755)
    killed = run_script(settled, script, path=f"{fake}:{os.environ['PATH']}")
    assert killed.returncode == -9
    assert state_of(settled, install_root) != before
    undone = run_script(settled, script, "--proxy-port", "9")
    assert undone.returncode == 1
    assert "what it had changed was put back" in undone.stdout
    assert state_of(settled, install_root) == before


@pytest.mark.parametrize("fetcher", ["wget", "apt"])
def test_it_rehearses_without_curl(settled, script: Path, install_root: Path, tmp_path: Path, fetcher: str) -> None:
    path = tool_path(tmp_path / "tools", fetcher)
    refused = run_script(settled, script, "--http-port", "9", path=path)
    assert refused.returncode == 1
    assert "does not answer on port 9" in refused.stderr
    done = run_script(settled, script, path=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(NEW in text for text in state_of(settled, install_root).values())


def test_it_hands_over_to_an_installed_agent(settled, script: Path, tmp_path: Path) -> None:
    fake = tmp_path / "stationmaster"
    fake.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/called\n')
    fake.chmod(0o755)
    subprocess.run(
        ["dash", script, "--state-dir", settled.state_dir, "--dry-run"],
        env={**os.environ, "STATIONMASTER": str(fake)},
        check=True,
    )
    called = (tmp_path / "called").read_text()
    assert called.startswith(f"agent repoint --state-dir {settled.state_dir} --host {NEW} --proxy-port ")
    assert called.rstrip().endswith("--dry-run")


def test_files_of_apt_alone(mirror, proxy, hub, certificate, debs, deb_source, tmp_path: Path) -> None:
    mirror.show(deb_source.source_id, debs.base)
    ports = protocol.Ports(proxy=proxy.port, http=mirror.http_port, https=mirror.https_port)
    old = protocol.ClientAddress(host="old.example.com", ports=protocol.Ports(proxy=1, http=2, https=3))
    new = protocol.ClientAddress(host=NEW, ports=ports)
    root = tmp_path / "root"

    def expected(address: protocol.ClientAddress) -> dict[str, str]:
        return repositories.render_files(repositories.Repositories(protocol.PackageManager.APT, (deb_source,), address))

    for path, text in expected(old).items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    script = tmp_path / "instance-setup.sh"
    script.write_text(setup_scripts.render_instance_setup(new, hub.url, certificate[0].read_text()))
    said = subprocess.run(
        ["dash", script, "--root", root, "--state-dir", tmp_path / "none"], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert {path: (root / path.lstrip("/")).read_text() for path in expected(new)} == expected(new)


@pytest.mark.parametrize(
    "arguments", [("--host", "a b"), ("--host", "$(reboot)"), ("--http-port", "0"), ("--nonsense",)]
)
def test_wrong_usage_is_refused(settled, script: Path, arguments: tuple[str, ...]) -> None:
    refused = run_script(settled, script, *arguments)
    assert refused.returncode == 2
