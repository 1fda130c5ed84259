"""I14, R3 on real package managers: a job sees the generation that it was dispatched for, and does all or nothing."""

# ruff: noqa: ANN001, ANN202, PLR0917 - what the fixtures of conftest are lies in a module that tests cannot import
import dataclasses
from pathlib import Path

import pytest

from stationmaster.agent import jobs, spool, state
from stationmaster.agent.doors import Doors
from stationmaster.agent.instance import Instance
from stationmaster.host import clock, files, programs
from stationmaster.model import protocol
from stationmaster.model.protocol import InstanceSource, JobState, Operation, PackageManager

DOORS = Doors(files.Files(), programs.Programs(), clock.SystemClock(), lambda: 0.0)
EACH = pytest.mark.parametrize("kind", list(PackageManager))


@dataclasses.dataclass
class Bench:
    """An instance of one kind, and the upstream and source that fit it."""

    agent: object
    kind: PackageManager
    root: Path
    mirror: object
    upstream: object
    source: InstanceSource
    prefix: str
    number: int = 0

    def show(self) -> protocol.Visible:
        return self.mirror.show(self.source.source_id, self.upstream.base)

    def begin(self) -> protocol.Visible:
        shown = self.show()
        self.agent.point(self.mirror, self.source)
        self.agent.register(self.root, self.kind)
        self.agent.run()
        return shown

    def do(self, operation: Operation, *names: str, visible: protocol.Visible) -> protocol.JobReport:
        self.number += 1
        request = self.agent.order(self.number, operation, *names, visible=(visible,))
        self.agent.run()
        return self.agent.hub.final(request)

    def version(self, name: str) -> str:
        path = self.root / "opt/lab" / name / "version"
        return path.read_text().strip() if path.exists() else ""

    def inventory(self) -> protocol.Inventory:
        return next(one.inventory for one in reversed(self.agent.hub.checkins) if one.inventory)


@pytest.fixture
def bench(agent, mirror, rpms, debs, rpm_source, deb_source, install_root: Path, kind: PackageManager) -> Bench:
    if kind is PackageManager.APT:
        return Bench(agent, kind, install_root, mirror, debs, deb_source, "labd-")
    return Bench(agent, kind, install_root, mirror, rpms, rpm_source, "lab-")


@EACH
def test_the_group_switches_in_the_middle_of_a_job(bench: Bench, kind: PackageManager) -> None:
    """One generation became visible since the job was dispatched, another does when it has read its metadata."""
    name, newer = f"{bench.prefix}app-001", 10 + 2 * list(PackageManager).index(kind)
    former = bench.begin()
    version = max((one.version for one in bench.upstream.packages if one.name == name), key=float)
    one = Instance(state.StateDirectory(bench.agent.state_dir, DOORS.disk), DOORS)
    bench.upstream.publish_update({name: f"{newer}.0"})
    switched = [bench.show()]

    def prepare(visible):
        manager, prepared = one.open_pinned(visible)
        refresh = manager.refresh

        def refresh_and_switch():
            said = refresh()
            bench.upstream.publish_update({name: f"{newer + 1}.0"})
            switched.append(bench.show())
            return said

        manager.refresh = refresh_and_switch
        return manager, prepared

    job = protocol.Job("request", Operation.INSTALL_PACKAGES, [name], [former])
    seen = len(bench.mirror.log.read_text())
    report = jobs.run_job(spool.AcceptedJob(job, 1), prepare, DOORS)
    assert report.state is JobState.SUCCEEDED, report
    assert len(switched) == 2
    assert bench.version(name) == version
    asked = bench.mirror.log.read_text()[seen:]
    assert f"/g/{bench.source.source_id}/{former.generation}/" in asked
    assert [one.generation in asked for one in switched] == [False, False], "nothing of what became visible meanwhile"


@EACH
def test_a_job_that_names_what_nothing_visible_has_does_nothing_and_says_so(bench: Bench) -> None:
    shown = bench.begin()
    known, unknown = f"{bench.prefix}lib-001", f"{bench.prefix}of-tomorrow"
    report = bench.do(Operation.INSTALL_PACKAGES, known, unknown, visible=shown)
    assert report.state is JobState.FAILED
    said = {one.code: one.message for one in report.problems}
    assert said["PackageNotVisible"].startswith(f"{unknown} is in none of the generations")
    assert bench.version(known) == "", "never a half"
    assert bench.inventory().installed == []


@EACH
def test_a_job_whose_generation_gives_no_answer_does_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stationmaster.agent.steps.outcome.PAUSES", (0.0,))
    shown = bench.begin()
    directory = bench.mirror.www / "g" / bench.source.source_id / shown.generation
    target = directory.readlink()
    directory.unlink()
    directory.symlink_to(directory)  # a loop: nginx refuses, but not by 404
    try:
        report = bench.do(Operation.INSTALL_PACKAGES, f"{bench.prefix}lib-001", visible=shown)
        assert [one.code for one in report.problems] == ["GenerationUnavailable"], report
        assert "InRelease answered" in report.problems[0].message or "repomd.xml answered" in report.problems[0].message
        assert bench.version(f"{bench.prefix}lib-001") == ""
    finally:
        directory.unlink()
        directory.symlink_to(target)
    assert bench.do(Operation.INSTALL_PACKAGES, f"{bench.prefix}lib-001", visible=shown).state is JobState.SUCCEEDED


@pytest.mark.parametrize("kind", [PackageManager.ZYPPER])
def test_zypper_installs_updates_patches_and_removes(bench: Bench) -> None:
    """The life of a package by jobs, each judged by the inventory."""
    first, second = "lab-app-002", "lab-lib-002"
    shown = bench.begin()
    assert bench.do(Operation.INSTALL_PACKAGES, first, second, visible=shown).state is JobState.SUCCEEDED
    installed = {one.name: one.version for one in bench.inventory().installed}
    assert installed.items() >= {first: "1.0-1", second: "1.0-1"}.items()
    bench.upstream.publish_update({first: "20.0"})
    later = bench.show()
    bench.agent.run()
    assert [(one.name, one.available_version, one.source_id) for one in bench.inventory().updatable] == [
        (first, "20.0-1", bench.source.source_id)
    ]
    report = bench.do(Operation.UPDATE_PACKAGES, first, visible=later)
    assert report.state is JobState.SUCCEEDED, report
    assert f"Updated {first} (noarch): 1.0-1 -> 20.0-1" in [line.message for line in report.log]
    bench.upstream.publish_update({first: "21.0", second: "21.0"})
    report = bench.do(Operation.UPDATE_SECURITY, visible=bench.show())
    assert report.state is JobState.SUCCEEDED, report
    installed = {one.name: one.version for one in bench.inventory().installed}
    assert installed.items() >= {first: "21.0-1", second: "21.0-1"}.items()
    assert bench.inventory().updatable == []
    bench.upstream.publish_update({second: "22.0"})
    assert bench.do(Operation.UPDATE_ALL, visible=bench.show()).state is JobState.SUCCEEDED
    assert bench.version(second) == "22.0"
    assert bench.do(Operation.REMOVE_PACKAGES, first, visible=shown).state is JobState.SUCCEEDED
    assert first not in {one.name for one in bench.inventory().installed}
