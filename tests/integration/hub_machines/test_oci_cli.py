"""The unmodified oci-cli orders work and follows it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from stationmaster.model import protocol


def oci(fleet: Any, *arguments: str) -> Any:
    command = [str(Path(sys.executable).with_name("oci")), "os-management-hub", *arguments]
    environment = {
        **os.environ,
        "OCI_CLI_CONFIG_FILE": str(fleet.live.oci_config),
        "OCI_CLI_ENDPOINT": fleet.live.endpoint,
        "SUPPRESS_LABEL_WARNING": "True",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def test_an_update_is_ordered_and_followed(fleet: Any, group: Any) -> None:
    agent = fleet.register_agent(group.profile.id)
    own = agent.answer.managed_instance_id
    fleet.tick()
    for _ in range(2):
        group.a.held[group.source.id] = group.b.held[group.source.id] = ["g1"]
        group.beat()
    fleet.tick()
    ordered = oci(
        fleet, "managed-instance", "update-packages", "--managed-instance-id", own, "--update-types", '["ALL"]'
    )
    request_id = ordered["opc-work-request-id"]
    (job,) = agent.check_in().jobs
    assert job.work_request_id == request_id
    done = protocol.JobReport(work_request_id=request_id, number=1, state=protocol.JobState.SUCCEEDED, percentage=100)
    agent.check_in(reports=[done])
    shown = oci(fleet, "work-request", "get", "--work-request-id", request_id)["data"]
    assert (shown["status"], shown["percent-complete"]) == ("SUCCEEDED", 100.0)
    listed = oci(fleet, "managed-instance", "list", "--compartment-id", fleet.compartment_id, "--all")["data"]["items"]
    assert own in [one["id"] for one in listed]
