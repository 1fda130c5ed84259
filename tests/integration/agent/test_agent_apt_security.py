"""Security updates by apt: what a security suite has the newest version of, and nothing else."""

# ruff: noqa: ANN001 - what the fixtures of conftest are lies in a module that tests cannot import
from pathlib import Path

import msgspec
import pytest

from stationmaster.lab import deb_plan, upstream_deb
from stationmaster.model.protocol import InstanceSource, JobState, Operation, PackageManager

BOTH = ("labd-app-001", "labd-lib-001")
SUITE = "lab-security"


@pytest.fixture
def debs(mirror, tmp_path: Path) -> upstream_deb.DebUpstream:
    """One of its own: what is published here would be found by other tests."""
    plan = deb_plan.plan_packages(5, big_bytes=1 << 16)
    return upstream_deb.prepare(mirror.www.parent / "plain-site", tmp_path / "cache-of-plain", plan)


@pytest.fixture
def security(mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> upstream_deb.DebUpstream:
    """A repository of the same packages whose suite is called a security suite."""
    monkeypatch.setattr(upstream_deb, "SUITE", SUITE)
    monkeypatch.setitem(upstream_deb._RELEASE_FIELDS, "Suite", SUITE)
    plan = deb_plan.plan_packages(5, big_bytes=1 << 16)
    site = mirror.www.parent / "security-site"
    made = upstream_deb.prepare(site, tmp_path / "cache", plan)
    made.publish_update({BOTH[0]: "5.1"})
    monkeypatch.undo()
    return made


def test_a_security_job_updates_what_the_security_suite_has(
    agent, mirror, debs, deb_source: InstanceSource, install_root: Path, security: upstream_deb.DebUpstream
) -> None:
    agent.point(mirror, deb_source)
    agent.register(install_root, PackageManager.APT)
    first = mirror.show(deb_source.source_id, debs.base)
    agent.order(1, Operation.INSTALL_PACKAGES, *BOTH, visible=(first,))
    agent.run()

    def versions() -> list[str]:
        return [(install_root / f"opt/lab/{name}/version").read_text().strip() for name in BOTH]

    before = versions()
    refused = agent.order(2, Operation.UPDATE_SECURITY, visible=(first,))
    agent.run()
    report = agent.hub.final(refused)
    assert [one.code for one in report.problems] == ["NotSupported"], report
    assert "None of this instance's sources is a security suite" in report.problems[0].message

    debs.publish_update({BOTH[1]: "5.0"})
    source = msgspec.structs.replace(
        deb_source, source_id=f"{deb_source.source_id}2", repo_id="lab-security", suites=[SUITE],
        gpg_keys=[security.key.public.read_text()],
    )  # fmt: skip
    shown = (mirror.show(deb_source.source_id, debs.base), mirror.show(source.source_id, security.base))
    agent.point(mirror, deb_source, source)
    update = agent.order(3, Operation.UPDATE_SECURITY, visible=shown)
    agent.run()
    report = agent.hub.final(update)
    assert report.state is JobState.SUCCEEDED, report
    assert versions() == ["5.1", before[1]], "the other has an update as well, but no security update"
    again = agent.order(4, Operation.UPDATE_SECURITY, visible=shown)
    agent.order(5, Operation.UPDATE_ALL, visible=shown)
    agent.run()
    assert [line.message for line in agent.hub.final(again).log] == ["No package changed."]
    assert versions() == ["5.1", "5.0"]
