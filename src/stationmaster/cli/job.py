"""`stationmaster job`: scheduled jobs."""

from __future__ import annotations

from typing import Any

import click

from stationmaster.cli import options, output, resources

_PATH = f"{options.API}/scheduledJobs"


def _operations(found: list[dict[str, Any]]) -> str:
    return ", ".join(one["operationType"] for one in found)


_LIST = [
    output.Column("name", "displayName"),
    output.Column("operations", "operations", _operations),
    output.Column("next", "timeNextExecution", output.format_time),
    output.Column("last", "timeLastExecution", output.format_time),
    output.Column("rule", "recurringRule"),
    output.Column("restricted", "isRestricted"),
    output.Column("state", "lifecycleState"),
    output.Column("id", "id"),
]


@click.group()
def job() -> None:
    """Scheduled jobs: list, change, run now.

    Each station has a restricted one, which syncs its mirrors; its time and rule can be changed.
    """


@job.command("list")
@click.option("--instance-id", metavar="OCID", help="Only those of this instance.")
@resources.compartment_option
@options.json_option
@options.client_options
def list_all(client: options.Client, compartment_id: str | None, instance_id: str | None, *, as_json: bool) -> None:
    """Jobs, by name."""
    items = client.list(
        _PATH, compartmentId=compartment_id, managedInstanceId=instance_id, sortBy="displayName", sortOrder="ASC"
    )
    output.print_items(items, _LIST, as_json=as_json, none="No scheduled jobs.")


@job.command()
@resources.id_option("job")
@options.json_option
@options.client_options
def get(client: options.Client, job_id: str, *, as_json: bool) -> None:
    """One job."""
    output.print_object(client.get(f"{_PATH}/{job_id}"), _LIST, as_json=as_json)


@job.command()
@resources.id_option("job")
@click.option("--name", "display_name", help="Not of a restricted job.")
@click.option("--next", "time_next", metavar="TIME", help="RFC 3339, for example 2026-12-01T03:00:00Z.")
@click.option("--rule", metavar="RRULE", help="For example FREQ=DAILY;INTERVAL=1.")
@options.json_option
@options.client_options
def update(
    client: options.Client,
    job_id: str,
    display_name: str | None,
    time_next: str | None,
    rule: str | None,
    *,
    as_json: bool,
) -> None:
    """Change when a job runs; what is not given stays."""
    body = resources.given({"displayName": display_name, "timeNextExecution": time_next, "recurringRule": rule})
    output.print_object(resources.update(client, f"{_PATH}/{job_id}", lambda _: body), _LIST, as_json=as_json)


@job.command("run-now")
@resources.id_option("job")
@options.client_options
def run_now(client: options.Client, job_id: str) -> None:
    """Run a recurring job now; its schedule stays."""
    client.post(f"{_PATH}/{job_id}/actions/runNow")


@job.command()
@resources.id_option("job")
@options.client_options
def delete(client: options.Client, job_id: str) -> None:
    """Delete a job; a station's own goes with the station only."""
    client.delete(f"{_PATH}/{job_id}")
