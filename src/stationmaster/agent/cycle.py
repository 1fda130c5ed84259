"""One check-in with everything that is due: repository files, jobs, reports, inventory; repeated until nothing is.

A round asks the hub, converges on what it said, carries out one job, and takes the inventory when packages may have
changed. The hub is told again as long as something differs from what it was last told.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging

from stationmaster.agent import connection, facts, instance, inventory, jobs, plan, spool, state
from stationmaster.agent.steps import write_repositories
from stationmaster.api_client import session
from stationmaster.model import errors
from stationmaster.model.protocol import Checkin, CheckinAnswer, JobState, Problem

LOG = logging.getLogger("stationmaster.agent")

RETRY_SECONDS = 30.0
PROOF_SECONDS = 10.0
_MOST_ROUNDS = 50


@dataclasses.dataclass(frozen=True)
class Result:
    """What a cycle came to."""

    checkin_seconds: float
    failed_jobs: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    is_leaving: bool = False


class Cycle:
    """State of one cycle; a new one is made for each."""

    def __init__(self, one: instance.Instance, *, is_thorough: bool) -> None:
        self._instance = one
        self._state = one.state
        self._doors = one.doors
        self._spool = spool.Spool(one.state.path / "spool", one.doors.disk)
        self._is_thorough = is_thorough
        self._is_repoint_tried = False
        self._failed: list[str] = []
        self._problems: dict[str, list[Problem]] = {}
        self._told: frozenset[object] = frozenset()

    def run(self) -> Result:
        """Raises errors.PeerError when the hub was not reached, HubRefusedError when it does not know this instance."""
        former = self._state.former_address()
        if former is not None:
            self._apply(plan.GoBack(former))
        seconds = 60.0
        for _ in range(_MOST_ROUNDS):
            answer = self._check_in(RETRY_SECONDS)
            seconds = answer.checkin_seconds
            if answer.is_leaving:
                return Result(seconds, tuple(self._failed), (), is_leaving=True)
            self._converge()
            has_worked = self._run_next_job()
            self._take_inventory(is_forced=has_worked or self._is_thorough)
            self._is_thorough = False
            if not has_worked and not self._is_due():
                break
        return Result(seconds, tuple(self._failed), self._all_problems())

    def _is_due(self) -> bool:
        # A hub that heard something and did not take it is asked again at the next check-in, not at once.
        return bool(self._spool.unfinished()) or not self._to_tell() <= self._told

    def _is_inventory_known(self) -> bool:
        seen = self._seen()
        return seen is None or seen.acknowledged_digest == inventory.digest_of(seen.inventory)

    def _to_tell(self) -> frozenset[object]:
        """Everything that a check-in now would tell, fact by fact."""
        seen = self._seen()
        reports = {("report", one.work_request_id, one.number) for one in self._spool.unacknowledged()}
        packages = set() if seen is None or self._is_inventory_known() else {inventory.digest_of(seen.inventory)}
        problems = tuple((one.code, one.message) for one in self._all_problems())
        return frozenset({self._applied().desired_digest, self._state.address(), problems} | reports | packages)

    def _check_in(self, seconds: float) -> CheckinAnswer:
        """Tell the hub, and write down what it says before anything is done about it."""
        told, checkin = self._to_tell(), self._make_checkin()
        opened = self._instance.open_session()
        gateway, hub_url = self._state.address(), self._instance.identity.hub_url
        path = f"/stationmaster/v1/managedInstances/{self._instance.identity.managed_instance_id}/checkin"

        def attempt() -> session.Answer:
            try:
                return opened.request("POST", path, body=checkin, timeout=15.0)
            except errors.PeerError as exc:
                raise connection.explain(exc, gateway, hub_url) from exc

        raw = connection.retry(attempt, self._doors.clock, seconds=seconds, jitter=self._doors.random)
        answer = raw.decode(CheckinAnswer)
        self._told = told
        self._spool.settle(answer.acknowledged)
        if answer.desired is not None:
            self._state.write(instance.DESIRED, answer.desired)
            self._state.write_text("desired.digest", answer.desired_digest)
        for job in answer.jobs:
            if self._spool.accept(job):
                LOG.info("Job %s: %s", job.work_request_id, job.operation.value)
        self._note_inventory(checkin, answer)
        return answer

    def _make_checkin(self) -> Checkin:
        seen = self._seen()
        digest = inventory.digest_of(seen.inventory) if seen else ""
        return Checkin(
            time_sent=self._doors.clock.now().astimezone(datetime.UTC),
            facts=facts.gather_facts(self._instance.target.root, self._instance.target.kind),
            inventory_digest=digest,
            inventory=seen.inventory if seen is not None and not self._is_inventory_known() else None,
            desired_digest=self._desired_digest(),
            applied_digest=self._applied().desired_digest,
            address_in_use=self._state.address().client_address,
            is_reboot_required=inventory.is_reboot_required(self._instance.target),
            reports=self._spool.unacknowledged(),
            problems=list(self._all_problems()),
        )

    def _note_inventory(self, checkin: Checkin, answer: CheckinAnswer) -> None:
        seen = self._seen()
        if seen is None:
            return
        acknowledged = seen.acknowledged_digest
        if answer.is_inventory_wanted:
            acknowledged = ""
        elif checkin.inventory is not None:
            acknowledged = checkin.inventory_digest
        if acknowledged != seen.acknowledged_digest:
            kept = state.SeenInventory(seen.stamp, seen.time_taken, seen.inventory, acknowledged)
            self._state.write(inventory.FILE, kept)

    def _converge(self) -> None:
        """Plan, do one step, look again; what is done is then told to the hub."""
        self._problems["keys"] = self._instance.fetch_keys()
        while steps := plan.plan_steps(self._instance.snapshot(is_repoint_tried=self._is_repoint_tried)):
            for step in steps:
                self._apply(step)
        if plan.is_applied(self._instance.snapshot()):
            applied = self._applied()
            if applied.desired_digest != self._desired_digest():
                self._state.write("applied.json", state.Applied(self._desired_digest(), applied.answered))

    def _apply(self, step: plan.Step) -> None:
        if isinstance(step, plan.GoBack):
            LOG.warning("A re-point was cut short; back to %s.", step.address.host)
            self._instance.go_back()
        elif isinstance(step, plan.Repoint):
            self._is_repoint_tried = True
            self._problems["repoint"] = self._repoint(step)
        else:
            LOG.info("Writing repository files: %s", ", ".join(sorted(step.files)) or "none are wanted")
            write_repositories.write_repositories(self._instance.target, step.files, self._state, self._doors.disk)

    def _repoint(self, step: plan.Repoint) -> list[Problem]:
        """Two phases (design 8): rehearse; then switch, and prove it by a check-in over the new way, or go back."""
        address = step.address
        found = self._instance.rehearse(address)
        if found:
            LOG.warning("Staying at %s: %s", self._state.address().host, found[0].message)
            return found
        LOG.info("Moving to %s, proxy port %s.", address.host, address.ports.proxy)
        self._instance.adopt(state.AddressInUse.of(address))
        try:
            self._check_in(PROOF_SECONDS)
        except (errors.PeerError, session.HubRefusedError) as exc:
            self._instance.go_back()
            words = f"Moved to {address.host} and back, since the first check-in over it failed: {exc.message}"
            LOG.warning("%s", words)
            return [Problem("RepointUndone", words)]
        self._state.write_former_address(None)
        return []

    def _run_next_job(self) -> bool:
        waiting = self._spool.unfinished()
        if not waiting:
            return False
        accepted = self._spool.begin(waiting[0])
        self._spool.add(jobs.start_report(accepted, self._doors))
        try:
            self._check_in(PROOF_SECONDS)
        except errors.PeerError as exc:
            # The job does not need the hub; its reports wait in the spool.
            LOG.warning("%s", exc)
        report = self._spool.add(jobs.run_job(accepted, self._instance.open_pinned, self._doors))
        LOG.info("Job %s: %s", report.work_request_id, report.state.value)
        if report.state is JobState.FAILED:
            self._failed.append(report.work_request_id)
        return True

    def _take_inventory(self, *, is_forced: bool) -> None:
        self._problems["inventory"] = self._instance.refresh_inventory(is_forced=is_forced)

    def _seen(self) -> state.SeenInventory | None:
        return self._state.read(inventory.FILE, state.SeenInventory)

    def _applied(self) -> state.Applied:
        return self._state.read("applied.json", state.Applied) or state.Applied()

    def _desired_digest(self) -> str:
        path = self._state.path / "desired.digest"
        return path.read_text() if path.exists() else ""

    def _all_problems(self) -> tuple[Problem, ...]:
        return tuple(problem for kind in sorted(self._problems) for problem in self._problems[kind])
