"""`stationmaster compartment`."""

from __future__ import annotations

import click

from stationmaster.cli import options, output, resources

_COLUMNS = [
    output.Column("name", "name"),
    output.Column("id", "id"),
    output.Column("parent", "compartmentId"),
    output.Column("created", "timeCreated", output.format_time),
]


@click.group()
def compartment() -> None:
    """Compartments: create, list.

    Stations with the same hostname are peers when they are in the same compartment.
    """


@compartment.command()
@click.option("--name", required=True)
@click.option("--parent", metavar="OCID", help="Default: the root compartment.")
@click.option("--description", default="")
@options.json_option
@options.client_options
def create(client: options.Client, name: str, parent: str | None, description: str, *, as_json: bool) -> None:
    """Create a compartment and print its OCID.

    \b
    Example:
      compartment=$(stationmaster compartment create --name berlin)
    """
    body = resources.given({"name": name, "parentId": parent, "description": description})
    made = client.post(f"{options.OWN}/compartments", body)
    output.print_json(made) if as_json else click.echo(made["id"])


@compartment.command("list")
@options.json_option
@options.client_options
def list_all(client: options.Client, *, as_json: bool) -> None:
    """All compartments, by name."""
    items = sorted(client.list(f"{options.OWN}/compartments"), key=lambda item: (item["name"], item["id"]))
    output.print_items(items, _COLUMNS, as_json=as_json, none="No compartments.")
