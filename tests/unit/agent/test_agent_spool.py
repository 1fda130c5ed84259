import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stationmaster.agent import spool
from stationmaster.host import files
from stationmaster.model.protocol import Job, JobReport, JobState, LogLine, Operation

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def job(name: str) -> Job:
    return Job(work_request_id=name, operation=Operation.INSTALL_PACKAGES, packages=["bash"])


def report(name: str, state: JobState) -> JobReport:
    return JobReport(work_request_id=name, number=0, state=state, log=[LogLine(time=NOW, message="x")])


@pytest.fixture
def kept(tmp_path: Path) -> spool.Spool:
    return spool.Spool(tmp_path / "spool", files.Files())


def test_a_job_is_accepted_once_and_offered_again_it_is_not_run(kept: spool.Spool) -> None:
    assert kept.accept(job("a"))
    assert not kept.accept(job("a"))
    assert [one.job.work_request_id for one in kept.unfinished()] == ["a"]
    kept.add(report("a", JobState.SUCCEEDED))
    assert not kept.accept(job("a"))
    assert kept.unfinished() == []


def test_reports_are_numbered_on_after_an_acknowledgement(kept: spool.Spool) -> None:
    kept.accept(job("a"))
    assert kept.add(report("a", JobState.IN_PROGRESS)).number == 1
    kept.settle({"a": 1})
    assert kept.unacknowledged() == []
    assert kept.add(report("a", JobState.SUCCEEDED)).number == 2
    assert [one.number for one in kept.unacknowledged()] == [2]
    kept.settle({"a": 2})
    assert kept.unacknowledged() == []


def test_a_settled_job_that_is_offered_again_has_its_final_report_sent_again(kept: spool.Spool) -> None:
    kept.accept(job("a"))
    kept.add(report("a", JobState.FAILED))
    kept.settle({"a": 1})
    kept.accept(job("a"))
    assert [one.state for one in kept.unacknowledged()] == [JobState.FAILED]


def test_tries_are_counted_over_restarts(tmp_path: Path) -> None:
    first = spool.Spool(tmp_path / "spool", files.Files())
    first.accept(job("a"))
    first.begin(first.unfinished()[0])
    again = spool.Spool(tmp_path / "spool", files.Files())
    assert again.begin(again.unfinished()[0]).attempts == 2


def test_an_acknowledgement_of_something_unknown_or_too_high_is_harmless(kept: spool.Spool) -> None:
    kept.accept(job("a"))
    kept.add(report("a", JobState.IN_PROGRESS))
    kept.settle({"a": 99, "../../etc": 1, "b": 1})
    kept.add(report("a", JobState.SUCCEEDED))
    assert [one.number for one in kept.unacknowledged()] == [2]


def test_old_settled_jobs_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "KEPT_AFTER_SETTLED", 2)
    kept = spool.Spool(tmp_path / "spool", files.Files())
    for name in "abcd":
        kept.accept(job(name))
        kept.add(report(name, JobState.SUCCEEDED))
        kept.settle({name: 1})
    assert len(list((tmp_path / "spool").iterdir())) == 2


EVENTS = st.lists(st.sampled_from(["progress", "final", "lost", "answered", "restart", "offer"]), max_size=14)


@settings(max_examples=40, deadline=None)
@given(events=EVENTS)
def test_whatever_is_lost_every_report_reaches_the_hub_once(
    events: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("spool")
    kept = spool.Spool(directory, files.Files())
    kept.accept(job("a"))
    stored: dict[int, JobState] = {}
    written: dict[int, JobState] = {}

    def check_in(*, is_answered: bool) -> None:
        for one in kept.unacknowledged():
            assert stored.setdefault(one.number, one.state) == one.state
        if is_answered and stored:
            kept.settle({"a": max(stored)})

    for event in [*events, "final", "answered"]:
        is_over = JobState.SUCCEEDED in written.values()
        if event in ("progress", "final") and not is_over:
            added = kept.add(report("a", JobState.SUCCEEDED if event == "final" else JobState.IN_PROGRESS))
            assert added.number not in written
            written[added.number] = added.state
        elif event in ("lost", "answered"):
            check_in(is_answered=event == "answered")
        elif event == "restart":
            kept = spool.Spool(directory, files.Files())
        elif event == "offer":
            assert not kept.accept(job("a"))
    assert stored == written
    assert kept.unacknowledged() == []
