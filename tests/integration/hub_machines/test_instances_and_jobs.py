import datetime
from typing import Any

import oci
import pytest

from stationmaster.api_client import session
from stationmaster.hub.db import schema
from stationmaster.model import protocol

models = oci.os_management_hub.models
State = protocol.JobState
BASH = protocol.Package(name="bash", version="5.1", architecture="amd64")
CURL = protocol.Package(name="curl", version="8.0", architecture="amd64", available_version="8.1")


@pytest.fixture
def agent(fleet: Any, group: Any) -> Any:
    """Registered, and its group shows generation g1."""
    registered = fleet.register_agent(group.profile.id)
    fleet.tick()
    show(fleet, group, "g1")
    return registered


def show(fleet: Any, group: Any, generation: str) -> None:
    for station in (group.a, group.b):
        station.beat()
        station.held[group.source.id] = [generation]
        station.beat()
    fleet.tick()


def request_of(answer: Any) -> str:
    return str(answer.headers["opc-work-request-id"])


def update(fleet: Any, agent: Any, **details: Any) -> str:
    body = models.UpdatePackagesOnManagedInstanceDetails(**details)
    return request_of(fleet.instances.update_packages_on_managed_instance(agent.answer.managed_instance_id, body))


def report(request_id: str, number: int, state: State, *lines: str, **more: Any) -> protocol.JobReport:
    time = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    log = [protocol.LogLine(time=time, message=line) for line in lines]
    return protocol.JobReport(work_request_id=request_id, number=number, state=state, log=log, **more)


def test_the_first_check_in_makes_an_instance_active_and_tells_it_all(fleet: Any, agent: Any, group: Any) -> None:
    answer = agent.check_in()
    assert answer.desired.address.host == "lb.example.com"
    assert [one.source_id for one in answer.desired.sources] == [group.source.id]
    assert answer.desired.ca.startswith("-----BEGIN CERTIFICATE-----")
    assert agent.check_in(desired_digest=answer.desired_digest).desired is None
    instance = fleet.instances.get_managed_instance(agent.answer.managed_instance_id).data
    assert (instance.status, instance.os_name, instance.agent_version) == ("NORMAL", "Debian GNU/Linux", "0.1")


def test_silence_shows(fleet: Any, agent: Any) -> None:
    agent.check_in()
    for seconds, status in ((1800, "WARNING"), (86400, "UNREACHABLE")):
        fleet.live.clock.shift = seconds + 5
        shown = fleet.instances.list_managed_instances(status=[status]).data.items
        assert agent.answer.managed_instance_id in [one.id for one in shown]


def test_the_inventory_travels_once(fleet: Any, agent: Any) -> None:
    assert agent.check_in(inventory_digest="d1").is_inventory_wanted
    inventory = protocol.Inventory(installed=[BASH, CURL], updatable=[CURL])
    assert not agent.check_in(inventory_digest="d1", inventory=inventory).is_inventory_wanted
    assert not agent.check_in(inventory_digest="d1").is_inventory_wanted
    assert agent.check_in(inventory_digest="d2").is_inventory_wanted
    own = agent.answer.managed_instance_id
    installed = fleet.instances.list_managed_instance_installed_packages(own).data.items
    assert [(one.name, one.version) for one in installed] == [("bash", "5.1"), ("curl", "8.0")]
    (updatable,) = fleet.instances.list_managed_instance_updatable_packages(own).data.items
    assert (updatable.name, updatable.version, updatable.installed_version) == ("curl", "8.1", "8.0")
    instance = fleet.instances.get_managed_instance(own).data
    assert (instance.installed_packages, instance.updates_available) == (2, 1)
    named = fleet.instances.list_managed_instance_installed_packages(own, display_name_contains="UR").data.items
    assert [one.name for one in named] == ["curl"]


def test_packages_are_paged(fleet: Any, agent: Any) -> None:
    packages = [protocol.Package(name=f"p{index:03}", version="1", architecture="noarch") for index in range(25)]
    agent.check_in(inventory_digest="d", inventory=protocol.Inventory(installed=packages, updatable=[]))
    listing = fleet.instances.list_managed_instance_installed_packages
    found = oci.pagination.list_call_get_all_results(listing, agent.answer.managed_instance_id, limit=10).data
    assert [one.name for one in found] == [one.name for one in packages]


def test_an_update_runs_on_what_is_visible_and_ends(fleet: Any, agent: Any, group: Any) -> None:
    request_id = update(fleet, agent)
    accepted = fleet.work_request(request_id)
    assert (accepted.status, accepted.operation_type) == ("ACCEPTED", "UPDATE_ALL_PACKAGES")
    (job,) = agent.check_in().jobs
    assert (job.work_request_id, job.operation) == (request_id, protocol.Operation.UPDATE_ALL)
    assert job.visible == [protocol.Visible(source_id=group.source.id, number=1, generation="g1")]
    answer = agent.check_in(reports=[report(request_id, 1, State.IN_PROGRESS, "begun", percentage=50)])
    assert answer.acknowledged == {request_id: 1}
    running = fleet.work_request(request_id)
    assert (running.status, running.percent_complete) == ("IN_PROGRESS", 50)
    assert [one.work_request_id for one in answer.jobs] == [request_id]
    answer = agent.check_in(reports=[report(request_id, 2, State.SUCCEEDED, "done", percentage=100)])
    assert (answer.acknowledged, answer.jobs) == ({request_id: 2}, [])
    done = fleet.work_request(request_id)
    assert (done.status, done.percent_complete) == ("SUCCEEDED", 100)
    assert done.resources[0].action_type == "UPDATED"
    assert fleet.logs(request_id) == ["Handed to the agent of web01.", "begun", "done"]


def test_repeated_late_and_foreign_reports_change_nothing(fleet: Any, agent: Any, group: Any) -> None:
    request_id = update(fleet, agent, package_names=["bash"])
    first, last = report(request_id, 1, State.IN_PROGRESS, "a"), report(request_id, 2, State.SUCCEEDED, "b")
    assert agent.check_in(reports=[last, first]).acknowledged == {request_id: 2}
    for _ in range(2):
        assert agent.check_in(reports=[first]).acknowledged == {request_id: 2}
    agent.check_in(reports=[report(request_id, 3, State.FAILED, "c")])
    assert fleet.work_request(request_id).status == "SUCCEEDED"
    assert fleet.logs(request_id) == ["a", "b", "c"]
    other = fleet.register_agent(group.profile.id)
    second = update(fleet, agent, package_names=["bash"])
    assert other.check_in(reports=[report(second, 9, State.FAILED)]).acknowledged == {second: 9}
    assert fleet.work_request(second).status == "ACCEPTED"
    assert agent.check_in(reports=[report("unknown", 4, State.FAILED)]).acknowledged == {"unknown": 4}


def test_a_failure_tells_why(fleet: Any, agent: Any) -> None:
    body = models.InstallPackagesOnManagedInstanceDetails(
        package_names=["nginx"], work_request_details=models.WorkRequestDetails(display_name="Web server")
    )
    own = agent.answer.managed_instance_id
    request_id = request_of(fleet.instances.install_packages_on_managed_instance(own, body))
    (job,) = agent.check_in().jobs
    assert job.packages == ["nginx"]
    problem = protocol.Problem(code="PackageNotFound", message="No package nginx.\x00")
    agent.check_in(reports=[report(request_id, 1, State.FAILED, problems=[problem])])
    failed = fleet.work_request(request_id)
    assert (failed.status, failed.display_name, failed.package_names) == ("FAILED", "Web server", ["nginx"])
    assert fleet.errors(request_id) == [("PackageNotFound", "No package nginx.")]
    assert failed.resources[0].action_type == "FAILED"
    again = request_of(fleet.work.rerun_work_request(request_id, models.RerunWorkRequestDetails()))
    assert fleet.work_request(again).rerun_of_id == request_id
    assert [one.work_request_id for one in agent.check_in().jobs] == [again]


def test_i14_a_job_waits_until_the_group_shows_what_it_needs(fleet: Any, group: Any) -> None:
    agent = fleet.register_agent(group.profile.id)
    request_id = update(fleet, agent)
    removal = models.RemovePackagesFromManagedInstanceDetails(package_names=["bash"])
    own = agent.answer.managed_instance_id
    other = request_of(fleet.instances.remove_packages_from_managed_instance(own, removal))
    for _ in range(2):
        assert [one.work_request_id for one in agent.check_in().jobs] == [other]
    assert fleet.work_request(request_id).status == "WAITING"
    assert fleet.logs(request_id) == ["Waiting: the stations do not show app yet."]
    fleet.tick()
    show(fleet, group, "g1")
    jobs = agent.check_in().jobs
    assert [one.work_request_id for one in jobs] == [request_id, other]
    assert fleet.work_request(request_id).status == "ACCEPTED"


def test_several_kinds_of_updates_become_children(fleet: Any, agent: Any) -> None:
    parent_id = update(fleet, agent, update_types=["SECURITY", "BUGFIX"])
    children = fleet.work_request(parent_id).children_id
    jobs = agent.check_in().jobs
    assert sorted(one.work_request_id for one in jobs) == sorted(children)
    agent.check_in(reports=[report(children[0], 1, State.SUCCEEDED)])
    assert fleet.work_request(parent_id).status == "IN_PROGRESS"
    agent.check_in(reports=[report(children[1], 1, State.FAILED)])
    assert fleet.work_request(parent_id).status == "FAILED"


def test_a_whole_compartment_is_updated(fleet: Any, agent: Any, group: Any) -> None:
    second = fleet.register_agent(group.profile.id)
    body = models.UpdateAllPackagesOnManagedInstancesInCompartmentDetails(compartment_id=fleet.compartment_id)
    answer = fleet.instances.update_all_packages_on_managed_instances_in_compartment(body)
    parent = fleet.work_request(request_of(answer))
    assert len(parent.children_id) == 2
    for one in (agent, second):
        (job,) = one.check_in().jobs
        one.check_in(reports=[report(job.work_request_id, 1, State.SUCCEEDED)])
    assert fleet.work_request(parent.id).status == "SUCCEEDED"


@pytest.mark.parametrize(
    "details",
    [
        {"package_names": ["bash"], "update_types": ["ALL"]},
        {"package_names": ["-y; reboot"]},
        {"update_types": ["KSPLICE_KERNEL"]},
    ],
)
def test_updates_that_make_no_sense_are_refused(fleet: Any, agent: Any, details: Any) -> None:
    with pytest.raises(oci.exceptions.ServiceError) as caught:
        update(fleet, agent, **details)
    assert (caught.value.status, caught.value.code) == (400, "InvalidParameter")


def test_sources_come_and_go(fleet: Any, agent: Any, group: Any) -> None:
    own, other = agent.answer.managed_instance_id, fleet.make_source("other")
    before = agent.check_in()
    attach = models.AttachSoftwareSourcesToManagedInstanceDetails(software_sources=[other.id])
    request_id = request_of(fleet.instances.attach_software_sources_to_managed_instance(own, attach))
    answer = agent.check_in(desired_digest=before.desired_digest)
    assert {one.source_id for one in answer.desired.sources} == {group.source.id, other.id}
    assert [(one.work_request_id, one.operation) for one in answer.jobs] == [(request_id, "SET_SOFTWARE_SOURCES")]
    assert {one.source_id for one in group.b.beat().desired.sources} == {group.source.id, other.id}
    detach = models.DetachSoftwareSourcesFromManagedInstanceDetails(software_sources=[other.id])
    fleet.instances.detach_software_sources_from_managed_instance(own, detach)
    with pytest.raises(oci.exceptions.ServiceError, match="not attached"):
        fleet.instances.detach_software_sources_from_managed_instance(own, detach)


def test_an_instance_is_switched_to_another_group(fleet: Any, agent: Any) -> None:
    own = agent.answer.managed_instance_id
    elsewhere = fleet.make_station("StationC", "10.9.9.9")
    body = models.UpdateManagedInstanceDetails(primary_management_station_id=elsewhere.id, description="moved")
    shown = fleet.instances.update_managed_instance(own, body).data
    assert (shown.primary_management_station_id, shown.description) == (elsewhere.id, "moved")
    assert agent.check_in().desired.address.host == "10.9.9.9"
    assert len(fleet.events("INSTANCE_RE_POINTED")) == 1
    unknown = models.UpdateManagedInstanceDetails(primary_management_station_id="ocid1.osmhmanagementstation.oc1..x")
    with pytest.raises(oci.exceptions.ServiceError) as caught:
        fleet.instances.update_managed_instance(own, unknown)
    assert caught.value.status == 404


def test_many_are_associated_with_a_station(fleet: Any, agent: Any, group: Any) -> None:
    second, other = fleet.register_agent(group.profile.id), group.b.answer.station_id
    ids = [agent.answer.managed_instance_id, second.answer.managed_instance_id]
    body = models.AssociateManagedInstancesWithManagementStationDetails(managed_instances=ids)
    answer = fleet.instances.associate_managed_instances_with_management_station(other, body)
    assert fleet.work_request(request_of(answer)).status == "SUCCEEDED"
    listed = fleet.instances.list_managed_instances(management_station=[other]).data.items
    assert {one.id for one in listed} == set(ids)


def test_stale_etags_are_refused(fleet: Any, agent: Any) -> None:
    own = agent.answer.managed_instance_id
    etag = fleet.instances.get_managed_instance(own).headers["etag"]
    body = models.UpdateManagedInstanceDetails(description="x")
    fleet.instances.update_managed_instance(own, body, if_match=etag)
    with pytest.raises(oci.exceptions.ServiceError) as caught:
        fleet.instances.update_managed_instance(own, body, if_match=etag)
    assert (caught.value.status, caught.value.code) == (412, "NoEtagMatch")


def test_a_living_instance_is_told_to_leave(fleet: Any, agent: Any) -> None:
    own = agent.answer.managed_instance_id
    agent.check_in()
    pending = update(fleet, agent)
    request_id = request_of(fleet.instances.delete_managed_instance(own))
    answer = agent.check_in()
    assert (answer.is_leaving, answer.jobs) == (True, [])
    assert fleet.instances.get_managed_instance(own).data.status == "DELETING"
    agent.post(f"/stationmaster/v1/managedInstances/{own}/leave")
    assert fleet.work_request(request_id).status == "SUCCEEDED"
    assert fleet.work_request(pending).status == "FAILED"
    with pytest.raises(session.HubRefusedError) as caught:
        agent.check_in()
    assert caught.value.status == 401


def test_a_dead_instance_is_removed_without_it(fleet: Any, agent: Any) -> None:
    agent.check_in()
    fleet.live.clock.shift += 3600
    answer = fleet.instances.delete_managed_instance(agent.answer.managed_instance_id)
    assert fleet.work_request(request_of(answer)).status == "SUCCEEDED"
    with pytest.raises(oci.exceptions.ServiceError) as caught:
        fleet.instances.get_managed_instance(agent.answer.managed_instance_id)
    assert caught.value.status == 404


def test_one_that_does_not_say_goodbye_is_removed_later(fleet: Any, agent: Any) -> None:
    agent.check_in()
    request_id = request_of(fleet.instances.delete_managed_instance(agent.answer.managed_instance_id))
    fleet.tick(361)
    assert fleet.work_request(request_id).status == "SUCCEEDED"


def test_a_stations_host_is_not_removed(fleet: Any, group: Any) -> None:
    with pytest.raises(oci.exceptions.ServiceError, match="host of the management station"):
        fleet.instances.delete_managed_instance(group.a.answer.managed_instance_id)


def test_work_for_a_silent_instance_says_so_and_stays(fleet: Any, agent: Any) -> None:
    agent.check_in()
    request_id = update(fleet, agent)
    for _ in range(2):
        fleet.tick(3600)
    assert fleet.work_request(request_id).status == "ACCEPTED"
    (line,) = fleet.logs(request_id)
    assert "has not checked in since" in line


def test_requests_are_listed_by_what_they_are(fleet: Any, agent: Any) -> None:
    first, second = update(fleet, agent), update(fleet, agent, package_names=["bash"])
    own = agent.answer.managed_instance_id

    def ids(**filters: Any) -> set[str]:
        return {one.id for one in fleet.work.list_work_requests(**filters).data.items}

    assert ids(resource_id=own) == {first, second}
    assert ids(operation_type=["UPDATE_PACKAGES"]) == {second}
    assert ids(compartment_id=fleet.compartment_id, compartment_id_in_subtree=True) == {first, second}
    assert ids(status=["SUCCEEDED"], resource_id=own) == set()
    assert ids(work_request_id=first) == {first}
    assert ids(display_name_contains="update ALL") == {first}


class TestScheduledJobs:
    def sync_job(self, fleet: Any, group: Any) -> Any:
        station = fleet.stations.get_management_station(group.a.answer.station_id).data
        return fleet.jobs.get_scheduled_job(station.scheduled_job_id).data

    def test_the_restricted_job_runs_when_due_and_has_a_next_time(self, fleet: Any, group: Any) -> None:
        job = self.sync_job(fleet, group)
        fleet.tick()
        assert self.sync_job(fleet, group).work_request_ids == []
        fleet.tick(86401)
        ran = self.sync_job(fleet, group)
        (request_id,) = ran.work_request_ids
        assert ran.time_next_execution == job.time_next_execution + datetime.timedelta(days=1)
        assert fleet.work_request(request_id).operation_type == "SYNC_MANAGEMENT_STATION_MIRROR"
        assert group.b.beat().desired.sources[0].sync_number > 1
        fleet.tick()
        assert self.sync_job(fleet, group).work_request_ids == [request_id]

    def test_run_now_keeps_the_next_time(self, fleet: Any, group: Any) -> None:
        job = self.sync_job(fleet, group)
        answer = fleet.jobs.run_scheduled_job_now(job.id)
        assert "opc-work-request-id" not in answer.headers
        ran = self.sync_job(fleet, group)
        assert len(ran.work_request_ids) == 1
        assert ran.time_next_execution == job.time_next_execution

    def test_only_time_rule_and_tags_of_a_restricted_job_change(self, fleet: Any, group: Any) -> None:
        job = self.sync_job(fleet, group)
        change = models.UpdateScheduledJobDetails(recurring_rule="FREQ=HOURLY;INTERVAL=6", freeform_tags={"a": "b"})
        changed = fleet.jobs.update_scheduled_job(job.id, change).data
        assert (changed.recurring_rule, changed.freeform_tags) == ("FREQ=HOURLY;INTERVAL=6", {"a": "b"})
        for details in ({"display_name": "x"}, {"schedule_type": "ONETIME"}):
            with pytest.raises(oci.exceptions.ServiceError, match="restricted") as caught:
                fleet.jobs.update_scheduled_job(job.id, models.UpdateScheduledJobDetails(**details))
            assert caught.value.status == 409
        with pytest.raises(oci.exceptions.ServiceError, match="cannot be deleted"):
            fleet.jobs.delete_scheduled_job(job.id)
        wrong = models.UpdateScheduledJobDetails(recurring_rule="FREQ=SECONDLY")
        with pytest.raises(oci.exceptions.ServiceError, match="recurringRule"):
            fleet.jobs.update_scheduled_job(job.id, wrong)

    def test_a_station_that_mirrors_nothing_skips_with_an_event(self, fleet: Any) -> None:
        fleet.register_station(fleet.make_station())
        fleet.tick(86401)
        (event,) = fleet.events("SCHEDULED_JOB_RUN")
        assert "mirrors nothing yet" in event["message"]
        fleet.tick()
        assert len(fleet.events("SCHEDULED_JOB_RUN")) == 1

    def test_an_ordinary_job_updates_instances_once(self, fleet: Any, agent: Any) -> None:
        due = fleet.live.clock.now() + datetime.timedelta(minutes=5)
        details = models.CreateScheduledJobDetails(
            compartment_id=fleet.compartment_id,
            display_name="Patch night",
            schedule_type="ONETIME",
            time_next_execution=due,
            managed_instance_ids=[agent.answer.managed_instance_id],
            operations=[models.ScheduledJobOperation(operation_type="UPDATE_ALL")],
        )
        job = fleet.jobs.create_scheduled_job(details).data
        assert [one.id for one in fleet.jobs.list_scheduled_jobs(is_restricted=False).data.items] == [job.id]
        fleet.tick(301)
        fleet.tick()
        ran = fleet.jobs.get_scheduled_job(job.id).data
        assert (len(ran.work_request_ids), ran.lifecycle_state) == (1, "INACTIVE")
        assert [one.work_request_id for one in agent.check_in().jobs] == ran.work_request_ids
        with pytest.raises(oci.exceptions.ServiceError, match="no recurring job"):
            fleet.jobs.run_scheduled_job_now(job.id)
        fleet.jobs.delete_scheduled_job(job.id)

    @pytest.mark.parametrize(
        "change",
        [
            {"managed_instance_ids": None},
            {"managed_instance_group_ids": ["ocid1.osmhmanagedinstancegroup.oc1..x"]},
            {"schedule_type": "RECURRING"},
            {"recurring_rule": "FREQ=DAILY"},
            {"operations": [models.ScheduledJobOperation(operation_type="REBOOT")]},
            {"operations": [models.ScheduledJobOperation(operation_type="INSTALL_PACKAGES")]},
        ],
    )
    def test_jobs_that_cannot_be_are_refused(self, fleet: Any, agent: Any, change: Any) -> None:
        arguments = {
            "compartment_id": fleet.compartment_id,
            "schedule_type": "ONETIME",
            "time_next_execution": fleet.live.clock.now(),
            "managed_instance_ids": [agent.answer.managed_instance_id],
            "operations": [models.ScheduledJobOperation(operation_type="UPDATE_ALL")],
        }
        with pytest.raises(oci.exceptions.ServiceError) as caught:
            fleet.jobs.create_scheduled_job(models.CreateScheduledJobDetails(**(arguments | change)))
        assert caught.value.status == 400


def test_nothing_secret_is_stored(fleet: Any, group: Any) -> None:
    given = fleet.response_file(group.profile.id).registration_key
    with fleet.live.hub.store.read() as tx:
        for table in schema.metadata.sorted_tables:
            assert given not in str(tx.execute(table.select()).all()), table.name
