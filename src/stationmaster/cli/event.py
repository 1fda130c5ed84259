"""`stationmaster event`: what happened."""

from __future__ import annotations

import click

from stationmaster.cli import options, output, resources

_LIST = [
    output.Column("time", "timeOccurred", output.format_time),
    output.Column("kind", "kind"),
    output.Column("resource", "resourceName"),
    output.Column("message", "message"),
]


@click.group()
def event() -> None:
    """What happened, newest first."""


@event.command("list")
@click.option("--resource-id", metavar="OCID", help="Only what happened to this.")
@click.option("--kind", "kinds", multiple=True, help="May be repeated.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@resources.compartment_option
@options.json_option
@options.client_options
def list_all(
    client: options.Client,
    resource_id: str | None,
    kinds: tuple[str, ...],
    limit: int,
    compartment_id: str | None,
    *,
    as_json: bool,
) -> None:
    """Events, newest first."""
    page = client.get(
        f"{options.OWN}/events",
        compartmentId=compartment_id,
        resourceId=resource_id,
        kind=list(kinds) or None,
        limit=limit,
    )
    output.print_items(page["items"], _LIST, as_json=as_json, none="No events.")
