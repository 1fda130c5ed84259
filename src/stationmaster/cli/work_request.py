"""`stationmaster work-request`: what was asked for, how far it is, what went wrong."""

from __future__ import annotations

import click

from stationmaster.cli import options, output, resources, work

_PATH = f"{options.API}/workRequests"
_LIST = [
    output.Column("created", "timeCreated", output.format_time),
    output.Column("operation", "operationType"),
    output.Column("status", "status"),
    output.Column("%", "percentComplete", lambda value: f"{value:.0f}"),
    output.Column("name", "displayName"),
    output.Column("id", "id"),
]
_ONE = [
    output.Column("id", "id"),
    output.Column("name", "displayName"),
    output.Column("operation", "operationType"),
    output.Column("status", "status"),
    output.Column("message", "message"),
    output.Column("done %", "percentComplete", lambda value: f"{value:.0f}"),
    output.Column("packages", "packageNames"),
    output.Column(
        "resources", "resources", lambda found: ", ".join(one.get("name") or one["identifier"] for one in found)
    ),
    output.Column("children", "childrenId"),
    output.Column("retry of", "retryOfId"),
    output.Column("created", "timeCreated", output.format_time),
    output.Column("started", "timeStarted", output.format_time),
    output.Column("finished", "timeFinished", output.format_time),
]


@click.group("work-request")
def work_request() -> None:
    """Work requests: progress, logs, errors."""


@work_request.command("list")
@click.option("--status", "statuses", multiple=True, help="For example FAILED; may be repeated.")
@click.option("--resource-id", metavar="OCID", help="Only those of this instance, station or source.")
@resources.compartment_option
@options.json_option
@options.client_options
def list_all(
    client: options.Client,
    statuses: tuple[str, ...],
    resource_id: str | None,
    compartment_id: str | None,
    *,
    as_json: bool,
) -> None:
    """Work requests, newest first."""
    items = client.list(
        _PATH,
        compartmentId=compartment_id,
        resourceId=resource_id,
        status=[status.upper() for status in statuses] or None,
        sortBy="timeCreated",
        sortOrder="DESC",
    )
    output.print_items(items, _LIST, as_json=as_json, none="No work requests.")


@work_request.command()
@resources.id_option("work-request")
@work.wait_options
@options.json_option
@options.client_options
def get(client: options.Client, work_request_id: str, *, wait_seconds: float | None, as_json: bool) -> None:
    """One work request; with --wait when it has ended, exit 1 when it failed."""
    if wait_seconds is not None:
        work.show_end(client, work.wait_for(client, work_request_id, wait_seconds), as_json=as_json)
        return
    output.print_object(client.get(f"{_PATH}/{work_request_id}"), _ONE, as_json=as_json)


@work_request.command()
@resources.id_option("work-request")
@options.json_option
@options.client_options
def logs(client: options.Client, work_request_id: str, *, as_json: bool) -> None:
    """The log of a work request, oldest line first."""
    items = client.list(f"{_PATH}/{work_request_id}/logs", sortBy="timeCreated", sortOrder="ASC")
    if as_json:
        output.print_json(items)
        return
    for item in items:
        click.echo(f"{output.format_time(item['timestamp'])}  {item['message']}")


@work_request.command()
@resources.id_option("work-request")
@options.json_option
@options.client_options
def errors(client: options.Client, work_request_id: str, *, as_json: bool) -> None:
    """What went wrong in a work request."""
    items = client.list(f"{_PATH}/{work_request_id}/errors", sortBy="timeCreated", sortOrder="ASC")
    if as_json:
        output.print_json(items)
        return
    for item in items:
        click.echo(f"{output.format_time(item['timestamp'])}  {item['code']}: {item['message']}")


@work_request.command()
@resources.id_option("work-request")
@work.wait_options
@options.json_option
@options.client_options
def rerun(client: options.Client, work_request_id: str, *, wait_seconds: float | None, as_json: bool) -> None:
    """Try again what failed in a work request, and print the new one."""
    answer = client.answer("POST", f"{_PATH}/{work_request_id}/actions/rerun", body={})
    work.follow(client, answer, wait_seconds=wait_seconds, as_json=as_json)
