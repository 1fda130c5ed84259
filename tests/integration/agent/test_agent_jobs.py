# ruff: noqa: ANN001, PLR0917 - what the fixtures of conftest are lies in a module that tests cannot import
import subprocess
from pathlib import Path

import pytest

from stationmaster.lab import upstream_deb, upstream_rpm
from stationmaster.model.protocol import InstanceSource, JobState, Operation, PackageManager


def rpm_query(root: Path, name: str) -> str:
    answer = subprocess.run(
        ["rpm", "--root", root, "-q", "--qf", "%{VERSION}", name], capture_output=True, text=True, check=False
    )
    return answer.stdout if answer.returncode == 0 else ""


def test_dnf_in_an_install_root_installs_updates_and_removes(
    agent, mirror, rpms: upstream_rpm.RpmUpstream, rpm_source: InstanceSource, install_root: Path
) -> None:
    first = mirror.show(rpm_source.source_id, rpms.base)
    agent.point(mirror, rpm_source)
    agent.register(install_root, PackageManager.DNF)
    install = agent.order(1, Operation.INSTALL_PACKAGES, "lab-app-001", visible=(first,))
    assert agent.run().failed_jobs == ()
    report = agent.hub.final(install)
    assert report.state is JobState.SUCCEEDED, report
    assert rpm_query(install_root, "lab-app-001") == "1.0"
    assert any("Installed lab-app-001 (noarch): 1.0-1" in line.message for line in report.log)
    assert [one.state for one in agent.hub.reports[install].values()] == [JobState.IN_PROGRESS, JobState.SUCCEEDED]
    told = agent.hub.checkins[-1]
    assert told.applied_digest == told.desired_digest != ""
    assert told.problems == []

    rpms.publish_update({"lab-app-001": "2.0"})
    second = mirror.show(rpm_source.source_id, rpms.base)
    agent.run()
    updatable = next(one.inventory for one in reversed(agent.hub.checkins) if one.inventory).updatable
    assert [(one.name, one.version, one.available_version, one.source_id) for one in updatable] == [
        ("lab-app-001", "1.0-1", "2.0-1", rpm_source.source_id)
    ]
    update = agent.order(2, Operation.UPDATE_PACKAGES, "lab-app-001", visible=(second,))
    remove = agent.order(3, Operation.REMOVE_PACKAGES, "lab-app-001")
    agent.run()
    assert agent.hub.final(update).state is JobState.SUCCEEDED
    assert any("Updated lab-app-001 (noarch): 1.0-1 -> 2.0-1" in line.message for line in agent.hub.final(update).log)
    assert agent.hub.final(remove).state is JobState.SUCCEEDED
    assert rpm_query(install_root, "lab-app-001") == ""


def test_a_job_is_pinned_to_its_generation_while_it_is_kept(
    agent, mirror, rpms: upstream_rpm.RpmUpstream, rpm_source: InstanceSource, install_root: Path
) -> None:
    former = mirror.show(rpm_source.source_id, rpms.base)
    rpms.publish_update({"lab-lib-001": "7.0"})
    mirror.show(rpm_source.source_id, rpms.base)
    agent.point(mirror, rpm_source)
    agent.register(install_root, PackageManager.DNF)
    agent.order(1, Operation.INSTALL_PACKAGES, "lab-lib-001", visible=(former,))
    agent.run()
    assert rpm_query(install_root, "lab-lib-001") == "1.0"
    mirror.forget(former)
    dropped = agent.order(2, Operation.UPDATE_PACKAGES, visible=(former,))
    agent.run()
    assert rpm_query(install_root, "lab-lib-001") == "7.0"
    assert any("no longer kept" in line.message for line in agent.hub.final(dropped).log)


def test_failures_are_reported_in_the_package_managers_words(
    agent, mirror, rpms: upstream_rpm.RpmUpstream, rpm_source: InstanceSource, install_root: Path
) -> None:
    shown = mirror.show(rpm_source.source_id, rpms.base)
    agent.point(mirror, rpm_source)
    agent.register(install_root, PackageManager.DNF)
    unknown = agent.order(1, Operation.INSTALL_PACKAGES, "lab-nonesuch", visible=(shown,))
    absent = agent.order(2, Operation.UPDATE_PACKAGES, "lab-app-002", visible=(shown,))
    option = agent.order(3, Operation.INSTALL_PACKAGES, "--installroot=/", visible=(shown,))
    # There is no shell in this root, so the scriptlet fails; dnf says "Complete!" and ends with 0.
    scripted = agent.order(4, Operation.INSTALL_PACKAGES, "lab-scripted-001", visible=(shown,))
    assert agent.run().failed_jobs == (unknown, absent, option, scripted)
    assert {one.code for one in agent.hub.final(unknown).problems} == {"PackageManagerFailed", "PackageNotVisible"}
    assert any("lab-nonesuch" in one.message for one in agent.hub.final(unknown).problems)
    assert [one.code for one in agent.hub.final(absent).problems] == ["NotInstalled"]
    assert [one.code for one in agent.hub.final(option).problems] == ["InvalidParameter"]
    assert "ScriptletFailed" in {one.code for one in agent.hub.final(scripted).problems}


def test_a_repository_signed_by_another_key_is_refused(
    agent, mirror, rpms, debs: upstream_deb.DebUpstream, rpm_source: InstanceSource, install_root: Path
) -> None:
    import msgspec

    shown = mirror.show(rpm_source.source_id, rpms.base)
    wrong = msgspec.structs.replace(rpm_source, gpg_keys=[debs.key.public.read_text()])
    agent.point(mirror, wrong)
    agent.register(install_root, PackageManager.DNF)
    job = agent.order(1, Operation.INSTALL_PACKAGES, "lab-lib-001", visible=(shown,))
    assert agent.run().failed_jobs == (job,)
    assert {one.code for one in agent.hub.final(job).problems} == {"MetadataUnavailable"}
    assert rpm_query(install_root, "lab-lib-001") == ""


def test_apt_in_a_root_of_its_own(
    agent, mirror, debs: upstream_deb.DebUpstream, deb_source: InstanceSource, overlay: Path
) -> None:
    first = mirror.show(deb_source.source_id, debs.base)
    agent.point(mirror, deb_source)
    agent.register(overlay, None)
    install = agent.order(1, Operation.INSTALL_PACKAGES, "labd-app-001", visible=(first,))
    pattern = agent.order(2, Operation.INSTALL_PACKAGES, "labd.app.002", visible=(first,))
    agent.run()
    report = agent.hub.final(install)
    assert report.state is JobState.SUCCEEDED, report
    assert (overlay / "opt/lab/labd-app-001/version").read_text() == "1.0\n"
    assert not Path("/opt/lab/labd-app-001").exists()
    assert any("Unable to locate package labd.app.002" in one.message for one in agent.hub.final(pattern).problems)

    debs.publish_update({"labd-app-001": "2.0"})
    second = mirror.show(deb_source.source_id, debs.base)
    agent.run()
    inventory = next(one.inventory for one in reversed(agent.hub.checkins) if one.inventory)
    assert [(one.name, one.version, one.available_version, one.source_id) for one in inventory.updatable] == [
        ("labd-app-001", "1.0", "2.0", deb_source.source_id)
    ]
    assert next(one for one in inventory.installed if one.name == "dpkg").time_installed is not None
    update = agent.order(3, Operation.UPDATE_ALL, visible=(second,))
    remove = agent.order(4, Operation.REMOVE_PACKAGES, "labd-app-001")
    agent.run()
    assert agent.hub.final(update).state is JobState.SUCCEEDED, agent.hub.final(update)
    assert agent.hub.final(remove).state is JobState.SUCCEEDED
    assert not (overlay / "opt/lab/labd-app-001").exists()
    # What a person would run works with the files that the agent wrote.
    (overlay / "etc/apt/sources.list.d/other.list").unlink()
    said = subprocess.run(
        ["chroot", overlay, "apt-get", "update", "-o", "APT::Update::Error-Mode=any"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("kind", [PackageManager.ZYPPER, PackageManager.APT])
def test_other_package_managers_work_on_an_install_root(
    agent,
    mirror,
    rpms,
    debs,
    rpm_source: InstanceSource,
    deb_source: InstanceSource,
    install_root: Path,
    kind: PackageManager,
) -> None:
    source, upstream, name = {
        PackageManager.ZYPPER: (rpm_source, rpms, "lab-lib-002"),
        PackageManager.APT: (deb_source, debs, "labd-app-002"),
    }[kind]
    shown = mirror.show(source.source_id, upstream.base)
    agent.point(mirror, source)
    agent.register(install_root, kind)
    job = agent.order(1, Operation.INSTALL_PACKAGES, name, visible=(shown,))
    agent.run()
    assert agent.hub.final(job).state is JobState.SUCCEEDED, agent.hub.final(job)
    assert (install_root / f"opt/lab/{name}/version").read_text() == "1.0\n"
    assert any(
        one.name == name for one in next(c.inventory for c in reversed(agent.hub.checkins) if c.inventory).installed
    )


@pytest.mark.parametrize("kind", list(PackageManager))
def test_over_tls_by_the_hubs_ca(
    agent,
    mirror,
    rpms,
    debs,
    rpm_source: InstanceSource,
    deb_source: InstanceSource,
    install_root: Path,
    kind: PackageManager,
) -> None:
    source, upstream, name = (
        (deb_source, debs, "labd-app-001") if kind is PackageManager.APT else (rpm_source, rpms, "lab-lib-001")
    )
    mirror.show(source.source_id, upstream.base)
    agent.point(mirror, source, is_tls=True)
    agent.register(install_root, kind)
    job = agent.order(1, Operation.INSTALL_PACKAGES, name)
    seen = mirror.log.read_text().count("/g/")
    agent.run()
    assert agent.hub.final(job).state is JobState.SUCCEEDED, agent.hub.final(job)
    assert mirror.log.read_text().count("/g/") > seen
    assert "https://" in "".join(path.read_text() for path in install_root.rglob("pinned/*"))
    # A root whose CA file was damaged gets it back before anything is fetched.
    (install_root / "etc/stationmaster/ca.pem").write_text("")
    assert agent.run().problems == ()
    assert (install_root / "etc/stationmaster/ca.pem").read_text() == mirror.certificate[0].read_text()
