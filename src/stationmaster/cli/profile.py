"""`stationmaster profile`."""

from __future__ import annotations

import click

from stationmaster.cli import options, output, resources

_PATH = f"{options.API}/profiles"
_LIST = [
    output.Column("name", "displayName"),
    output.Column("type", "profileType"),
    output.Column("os family", "osFamily"),
    output.Column("arch", "archType"),
    output.Column("station", "managementStationId"),
    output.Column("state", "lifecycleState"),
    output.Column("id", "id"),
]
_ONE = [
    output.Column("name", "displayName"),
    output.Column("id", "id"),
    output.Column("compartment", "compartmentId"),
    output.Column("type", "profileType"),
    output.Column("version", "profileVersion"),
    output.Column("vendor", "vendorName"),
    output.Column("os family", "osFamily"),
    output.Column("architecture", "archType"),
    output.Column("station", "managementStationId"),
    output.Column("sources", "softwareSources", lambda sources: ", ".join(one["displayName"] for one in sources)),
    output.Column("description", "description"),
    output.Column("state", "lifecycleState"),
    output.Column("created", "timeCreated", output.format_time),
    output.Column("changed", "timeModified", output.format_time),
]


@click.group()
def profile() -> None:
    """Profiles: recipes by which machines register.

    A profile names software sources and one station of a group; machines register with a key made for it.
    """


@profile.command()
@click.option("--name", "display_name", required=True)
@click.option("--station-id", metavar="OCID", help="One station of the group; its peers serve as well.")
@click.option("--source-id", "source_ids", multiple=True, metavar="OCID", help="A software source; may be repeated.")
@click.option("--os-family", required=True, type=click.Choice(resources.OS_FAMILIES, case_sensitive=False))
@click.option("--arch", required=True, type=click.Choice(resources.ARCHITECTURES, case_sensitive=False))
@click.option("--vendor", help="Of the operating system; default: by its family.")
@click.option("--description")
@resources.compartment_option
@options.json_option
@options.client_options
def create(client: options.Client, *, as_json: bool, **given: object) -> None:
    """Create a profile for instances and print its OCID.

    A station has a profile of its own from the start; `profile list --station-id OCID` shows it.

    \b
    Example:
      stationmaster profile create --name web --station-id OCID --source-id OCID --source-id OCID \\
          --os-family ORACLE_LINUX_9 --arch X86_64
    """
    body = resources.given(
        {
            "profileType": "SOFTWARESOURCE",
            "compartmentId": given["compartment_id"] or client.tenancy_id,
            "displayName": given["display_name"],
            "description": given["description"],
            "managementStationId": given["station_id"],
            "registrationType": "NON_OCI_LINUX",
            "vendorName": str(given["vendor"] or vendor_of(str(given["os_family"]))).upper(),
            "osFamily": str(given["os_family"]).upper(),
            "archType": str(given["arch"]).upper(),
            "softwareSourceIds": given["source_ids"],
        }
    )
    made = client.post(_PATH, body)
    output.print_json(made) if as_json else click.echo(made["id"])


def vendor_of(os_family: str) -> str:
    """Who makes the systems of a family."""
    name = os_family.upper()
    if name.startswith("UBUNTU"):
        return "CANONICAL"
    return "DEBIAN" if name.startswith("DEBIAN") else "ORACLE"


@profile.command("list")
@click.option("--station-id", metavar="OCID", help="Only those that name this station.")
@resources.compartment_option
@options.json_option
@options.client_options
def list_all(client: options.Client, compartment_id: str | None, station_id: str | None, *, as_json: bool) -> None:
    """Profiles, by name."""
    items = client.list(
        _PATH, compartmentId=compartment_id, managementStation=station_id, sortBy="displayName", sortOrder="ASC"
    )
    output.print_items(items, _LIST, as_json=as_json, none="No profiles.")


@profile.command()
@resources.id_option("profile")
@options.json_option
@options.client_options
def get(client: options.Client, profile_id: str, *, as_json: bool) -> None:
    """One profile."""
    output.print_object(client.get(f"{_PATH}/{profile_id}"), _ONE, as_json=as_json)


@profile.command()
@resources.id_option("profile")
@click.option("--name", "display_name")
@click.option("--description")
@click.option("--default/--no-default", "is_default", default=None, help="Whether it is its kind's default profile.")
@options.json_option
@options.client_options
def update(
    client: options.Client,
    profile_id: str,
    display_name: str | None,
    description: str | None,
    *,
    is_default: bool | None,
    as_json: bool,
) -> None:
    """Change a profile; what is not given stays. Machines that are registered already are not touched."""
    body = resources.given({"displayName": display_name, "description": description, "isDefaultProfile": is_default})
    output.print_object(resources.update(client, f"{_PATH}/{profile_id}", lambda _: body), _ONE, as_json=as_json)


@profile.command()
@resources.id_option("profile")
@options.client_options
@options.dry_run_option
def delete(client: options.Client, profile_id: str) -> None:
    """Delete a profile, and with it its registration keys."""
    client.delete(f"{_PATH}/{profile_id}")


@profile.command("response-file")
@resources.id_option("profile")
@click.option("--uses", type=click.IntRange(1), help="How many machines may register with it.")
@click.option("--days", type=click.IntRange(1), help="For how many days.")
@options.client_options
def response_file(client: options.Client, profile_id: str, uses: int | None, days: int | None) -> None:
    """Make a registration key and print the input.rsp that carries it. The key is shown this once.

    Without limits a key of a STATION profile serves once within 24 hours, of another profile 1000 times in 30 days.

    \b
    Example:
      stationmaster profile response-file --profile-id OCID > input.rsp
      stationmaster agent register --response-file input.rsp --state-dir /var/lib/stationmaster/agent
    """
    body = resources.given({"uses": uses, "days": days})
    made = client.post(f"{options.OWN}/profiles/{profile_id}/responseFile", body)
    click.echo(made["content"], nl=not made["content"].endswith("\n"))


def _action(client: options.Client, profile_id: str, name: str, body: dict[str, object]) -> None:
    client.post(f"{_PATH}/{profile_id}/actions/{name}", body)


@profile.command("attach-station")
@resources.id_option("profile")
@resources.id_option("station")
@options.client_options
@options.dry_run_option
def attach_station(client: options.Client, profile_id: str, station_id: str) -> None:
    """Name a station in a profile."""
    _action(client, profile_id, "attachManagementStation", {"managementStationId": station_id})


@profile.command("detach-station")
@resources.id_option("profile")
@resources.id_option("station")
@options.client_options
@options.dry_run_option
def detach_station(client: options.Client, profile_id: str, station_id: str) -> None:
    """Take a station out of a profile."""
    _action(client, profile_id, "detachManagementStation", {"managementStationId": station_id})


_SOURCES = click.option(
    "--source-id", "source_ids", multiple=True, required=True, metavar="OCID", help="May be repeated."
)


@profile.command("attach-sources")
@resources.id_option("profile")
@_SOURCES
@options.client_options
def attach_sources(client: options.Client, profile_id: str, source_ids: tuple[str, ...]) -> None:
    """Add software sources to a profile."""
    _action(client, profile_id, "attachSoftwareSources", {"softwareSources": list(source_ids)})


@profile.command("detach-sources")
@resources.id_option("profile")
@_SOURCES
@options.client_options
@options.dry_run_option
def detach_sources(client: options.Client, profile_id: str, source_ids: tuple[str, ...]) -> None:
    """Take software sources out of a profile."""
    _action(client, profile_id, "detachSoftwareSources", {"softwareSources": list(source_ids)})
