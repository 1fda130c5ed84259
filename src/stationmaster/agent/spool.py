"""Jobs on this instance and their reports, kept until the hub has them.

The rules, coded below in this order:

1. A job is written down (``job.json``) before its first effect. One that is known already is never run a second time:
   the hub repeats a job until it has the final report.
2. Reports are numbered per work request from 1 and written down before they are sent.
3. Every check-in carries all reports that are not acknowledged, by work request and number. A number sent again changes
   nothing at the hub, so an answer that was lost costs nothing.
4. An acknowledgement of number N settles 1 to N. The last report is kept all the same: it carries the count.
5. A finished job that the hub offers all the same (it lost what it had acknowledged) has its final report sent again.
6. A job without a final report at a start was cut short. It is run again, since each operation converges; after
   ``ATTEMPTS`` tries it is reported as failed instead, so that a job which kills its own agent does not do so for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from stationmaster.host import files
from stationmaster.model.protocol import Job, JobReport, JobState

ATTEMPTS = 2
KEPT_AFTER_SETTLED = 200


class AcceptedJob(msgspec.Struct, frozen=True, rename="camel"):
    """A job and how often it was begun."""

    job: Job
    attempts: int = 0


class Spool:
    """A directory per work request: ``job.json``, ``0001.json``…, and ``acknowledged`` with a number."""

    def __init__(self, path: Path, disk: files.Files) -> None:
        self._path = path
        self._disk = disk

    def accept(self, job: Job) -> bool:
        """Write a job down (1). False when it is known; a settled one's final report becomes unsettled again (5)."""
        directory = self._directory(job.work_request_id)
        if (directory / "job.json").exists():
            if self._is_settled(directory):
                self._disk.remove(directory / "acknowledged")
            return False
        self._disk.make_directory(directory, mode=0o700)
        self._write(directory / "job.json", AcceptedJob(job))
        return True

    def begin(self, accepted: AcceptedJob) -> AcceptedJob:
        """Count one more try, before its first effect (6)."""
        begun = msgspec.structs.replace(accepted, attempts=accepted.attempts + 1)
        self._write(self._directory(begun.job.work_request_id) / "job.json", begun)
        return begun

    def unfinished(self) -> list[AcceptedJob]:
        """Jobs without a final report, oldest first."""
        jobs = []
        for directory in self._directories():
            reports = self._reports(directory)
            if not reports or not _is_final(reports[-1]):
                jobs.append(self._job(directory))
        return jobs

    def add(self, report: JobReport) -> JobReport:
        """Number a report and write it down (2)."""
        directory = self._directory(report.work_request_id)
        earlier = self._reports(directory)
        numbered = msgspec.structs.replace(report, number=earlier[-1].number + 1 if earlier else 1)
        self._write(directory / f"{numbered.number:04}.json", numbered)
        return numbered

    def unacknowledged(self) -> list[JobReport]:
        """What every check-in carries (3)."""
        return [
            report
            for directory in self._directories()
            for report in self._reports(directory)
            if report.number > self._acknowledged(directory)
        ]

    def settle(self, acknowledged: Mapping[str, int]) -> None:
        """Note what the hub has, and drop what is no longer of use (4)."""
        for work_request_id, number in acknowledged.items():
            directory = self._directory(work_request_id)
            reports = self._reports(directory)
            if not reports or number <= self._acknowledged(directory):
                continue
            self._disk.write_atomic(directory / "acknowledged", str(min(number, reports[-1].number)).encode())
            for report in reports[:-1]:
                if report.number <= number:
                    self._disk.remove(directory / f"{report.number:04}.json")
        settled = [directory for directory in self._directories() if self._is_settled(directory)]
        for directory in settled[: max(0, len(settled) - KEPT_AFTER_SETTLED)]:
            self._disk.remove_tree(directory)

    def _is_settled(self, directory: Path) -> bool:
        reports = self._reports(directory)
        return bool(reports) and _is_final(reports[-1]) and reports[-1].number <= self._acknowledged(directory)

    def _acknowledged(self, directory: Path) -> int:
        return int(files.read_text_or_none(directory / "acknowledged") or 0)

    def _directories(self) -> list[Path]:
        """By age, then name: jobs run in the order in which they came."""
        order = {path.parent: (path.stat().st_mtime_ns, path.parent.name) for path in self._path.glob("*/job.json")}
        return sorted(order, key=order.__getitem__)

    def _directory(self, work_request_id: str) -> Path:
        # The id comes over the wire; a digest cannot leave the directory.
        return self._path / hashlib.sha256(work_request_id.encode()).hexdigest()[:32]

    def _reports(self, directory: Path) -> list[JobReport]:
        found = sorted(directory.glob("[0-9]*.json"))
        return [msgspec.json.decode(path.read_bytes(), type=JobReport) for path in found]

    def _job(self, directory: Path) -> AcceptedJob:
        return msgspec.json.decode((directory / "job.json").read_bytes(), type=AcceptedJob)

    def _write(self, path: Path, message: msgspec.Struct) -> None:
        self._disk.write_atomic(path, msgspec.json.encode(message), mode=0o600)


def _is_final(report: JobReport) -> bool:
    return report.state is not JobState.IN_PROGRESS
