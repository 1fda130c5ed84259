"""`stationmaster station`: management stations through the API, and the two commands of a station's own host."""

from __future__ import annotations

from typing import Any

import click

from stationmaster.cli import lazy, options, output, resources, work
from stationmaster.cli import station_fields as fields

_PATH = f"{options.API}/managementStations"


@click.group(
    cls=lazy.LazyGroup,
    lazy={
        "register": lazy.Lazy("stationmaster.cli.station_host:register", "On the host: make it this station."),
        "run": lazy.Lazy("stationmaster.cli.station_host:run", "On the host: run the station."),
        "take-volume": lazy.Lazy(
            "stationmaster.cli.station_host:take_volume", "On the host: take a new mirror directory."
        ),
    },
)
def station() -> None:
    """Management stations: create, sync, drain, run.

    Stations with the same hostname (the balancer's name) in the same compartment are peers and use the same ports.
    """


@station.command()
@click.option("--name", "display_name", required=True)
@click.option("--hostname", required=True, help="The balancer's name or address, which clients use.")
@click.option(
    "--permitted-range", "ranges", multiple=True, metavar="CIDR", help="Who may use it; may be repeated. None: nobody."
)
@click.option("--mirror-directory", default="/mnt/mirror", show_default=True, metavar="DIR")
@click.option("--proxy-port", default="16080", show_default=True)
@click.option("--http-port", default="17080", show_default=True)
@click.option("--https-port", default="17443", show_default=True)
@click.option("--mirror-tls/--no-mirror-tls", default=False, show_default=True, help="Give clients HTTPS addresses.")
@click.option("--proxy/--no-proxy", default=True, show_default=True, help="Carry agents' traffic to the hub.")
@click.option(
    "--forward-proxy",
    metavar="URL",
    envvar="STATIONMASTER_FORWARD_PROXY",
    show_envvar=True,
    help="The station's own way out; with a password, better by the environment.",
)
@click.option("--description")
@resources.compartment_option
@options.json_option
@options.client_options
@options.dry_run_option
def create(client: options.Client, *, as_json: bool, **given: Any) -> None:
    """Create a station and print its OCID; then register a host as it.

    \b
    Example:
      station=$(stationmaster station create --name StationA --hostname lb.example.com --permitted-range 10.0.0.0/8)
      profile=$(stationmaster station get --station-id $station --json | jq -r .profileId)
      stationmaster profile response-file --profile-id $profile > station-a.rsp
    """
    made = client.post(_PATH, fields.make_body(given, client.tenancy_id))
    output.print_json(made) if as_json else click.echo(made["id"])


@station.command("list")
@resources.compartment_option
@options.json_option
@options.client_options
def list_all(client: options.Client, compartment_id: str | None, *, as_json: bool) -> None:
    """Stations, by name; of every compartment, or of one."""
    items = client.list(_PATH, compartmentId=compartment_id, sortBy="displayName", sortOrder="ASC")
    output.print_items(items, fields.LIST, as_json=as_json, none="No stations.")


@station.command()
@resources.id_option("station")
@options.json_option
@options.client_options
def get(client: options.Client, station_id: str, *, as_json: bool) -> None:
    """One station."""
    output.print_object(client.get(f"{_PATH}/{station_id}"), fields.ONE, as_json=as_json)


@station.command()
@resources.id_option("station")
@click.option("--name", "display_name")
@click.option("--hostname", help="Moving into or out of a group: the balancer's name.")
@click.option(
    "--permitted-range", "ranges", multiple=True, metavar="CIDR", help="Replaces the ranges; may be repeated."
)
@click.option("--proxy-port")
@click.option("--http-port")
@click.option("--https-port")
@click.option("--mirror-directory", metavar="DIR")
@click.option("--mirror-tls/--no-mirror-tls", default=None)
@click.option("--proxy/--no-proxy", default=None)
@click.option("--forward-proxy", metavar="URL", help="The station's own way out; an empty one takes it away.")
@click.option("--description")
@options.json_option
@options.client_options
@options.dry_run_option
def update(client: options.Client, station_id: str, *, as_json: bool, **given: Any) -> None:
    """Change a station; what is not given stays.

    \b
    Example: move a station that served alone behind a balancer
      stationmaster station update --station-id OCID --hostname lb.example.com
    """
    changed = resources.update(client, f"{_PATH}/{station_id}", lambda now: fields.make_changes(given, now))
    output.print_object(changed, fields.ONE, as_json=as_json)


@station.command()
@resources.id_option("station")
@options.client_options
@options.dry_run_option
def delete(client: options.Client, station_id: str) -> None:
    """Delete a station."""
    client.delete(f"{_PATH}/{station_id}")


@station.command()
@resources.id_option("station")
@options.json_option
@options.client_options
def mirrors(client: options.Client, station_id: str, *, as_json: bool) -> None:
    """The mirrors of a station and their state."""
    items = client.list(f"{_PATH}/{station_id}/mirrors", sortBy="displayName", sortOrder="ASC")
    output.print_items(
        items, fields.MIRRORS, as_json=as_json, none="No profile or instance needs a source of this station."
    )


@station.command()
@resources.id_option("station")
@click.option("--source-id", "source_ids", multiple=True, metavar="OCID", help="May be repeated. Default: all mirrors.")
@work.wait_options
@options.json_option
@options.client_options
def sync(
    client: options.Client, station_id: str, source_ids: tuple[str, ...], *, wait_seconds: float | None, as_json: bool
) -> None:
    """Sync mirrors, for the whole group, and print the work request."""
    wanted = list(source_ids) or [item["id"] for item in client.list(f"{_PATH}/{station_id}/mirrors")]
    body = {"softwareSourceList": wanted}
    answer = client.answer("POST", f"{_PATH}/{station_id}/actions/synchronizeMirrors", body=body)
    work.follow(client, answer, wait_seconds=wait_seconds, as_json=as_json)


@station.command()
@resources.id_option("station")
@work.wait_options
@options.json_option
@options.client_options
def refresh(client: options.Client, station_id: str, *, wait_seconds: float | None, as_json: bool) -> None:
    """Have the station apply its configuration anew, and print the work request."""
    answer = client.answer("POST", f"{_PATH}/{station_id}/actions/refresh")
    work.follow(client, answer, wait_seconds=wait_seconds, as_json=as_json)


@station.command()
@resources.id_option("station")
@options.client_options
def drain(client: options.Client, station_id: str) -> None:
    """Take a station out of service gently: its health says no, balancers send nothing new, what runs goes on."""
    client.post(f"{options.OWN}/stations/{station_id}/drain")


@station.command()
@resources.id_option("station")
@options.client_options
def undrain(client: options.Client, station_id: str) -> None:
    """Put a drained station back into service."""
    client.post(f"{options.OWN}/stations/{station_id}/undrain")


@station.command("setup-script")
@resources.id_option("station")
@options.client_options
def setup_script(client: options.Client, station_id: str) -> None:
    """Print the script that opens the station's firewall and labels its ports for SELinux; run it on the host.

    \b
    Example:
      stationmaster station setup-script --station-id OCID > station-setup.sh
      sh station-setup.sh --dry-run
    """
    answer = client.answer("GET", f"{options.OWN}/stations/{station_id}/setupScript")
    resources.print_script(answer.body, answer.headers.get("content-type", ""))
