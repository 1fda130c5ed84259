"""`stationmaster instance`: managed instances."""

from __future__ import annotations

import click

from stationmaster.cli import options, output, resources, work

_PATH = f"{options.API}/managedInstances"
_LIST = [
    output.Column("name", "displayName"),
    output.Column("status", "status"),
    output.Column("os family", "osFamily"),
    output.Column("arch", "architecture"),
    output.Column("updates", "updatesAvailable"),
    output.Column("station", "isManagementStation"),
    output.Column("reboot", "isRebootRequired"),
    output.Column("id", "id"),
]
_ONE = [
    output.Column("name", "displayName"),
    output.Column("id", "id"),
    output.Column("compartment", "compartmentId"),
    output.Column("status", "status"),
    output.Column("last check-in", "timeLastCheckin", output.format_time),
    output.Column("os", "osName"),
    output.Column("os version", "osVersion"),
    output.Column("kernel", "osKernelVersion"),
    output.Column("architecture", "architecture"),
    output.Column("agent", "agentVersion"),
    output.Column("profile", "profile"),
    output.Column("primary station", "primaryManagementStationId"),
    output.Column("secondary station", "secondaryManagementStationId"),
    output.Column("sources", "softwareSources", lambda sources: ", ".join(one["displayName"] for one in sources)),
    output.Column("packages", "installedPackages"),
    output.Column("updates", "updatesAvailable"),
    output.Column("reboot needed", "isRebootRequired"),
    output.Column("registered", "timeCreated", output.format_time),
]
_PACKAGES = [
    output.Column("name", "name"),
    output.Column("installed", "installedVersion"),
    output.Column("version", "version"),
    output.Column("arch", "architecture"),
]
_NAMES = click.argument("names", nargs=-1, metavar="PACKAGE…")


@click.group()
def instance() -> None:
    """Managed instances: list, re-point, install, update."""


@instance.command("list")
@click.option("--station-id", metavar="OCID", help="Only those that use this station.")
@resources.compartment_option
@options.json_option
@options.client_options
def list_all(client: options.Client, compartment_id: str | None, station_id: str | None, *, as_json: bool) -> None:
    """Instances, by name; of every compartment, or of one."""
    items = client.list(
        _PATH, compartmentId=compartment_id, managementStation=station_id, sortBy="displayName", sortOrder="ASC"
    )
    output.print_items(items, _LIST, as_json=as_json, none="No instances.")


@instance.command()
@resources.id_option("instance")
@options.json_option
@options.client_options
def get(client: options.Client, instance_id: str, *, as_json: bool) -> None:
    """One instance."""
    output.print_object(client.get(f"{_PATH}/{instance_id}"), _ONE, as_json=as_json)


@instance.command()
@resources.id_option("instance")
@click.option("--primary-station-id", metavar="OCID")
@click.option("--secondary-station-id", metavar="OCID")
@click.option("--description")
@options.json_option
@options.client_options
@options.dry_run_option
def update(
    client: options.Client,
    instance_id: str,
    primary_station_id: str | None,
    secondary_station_id: str | None,
    description: str | None,
    *,
    as_json: bool,
) -> None:
    """Change an instance; another station re-points it once its own rehearsal has held."""
    body = resources.given(
        {
            "primaryManagementStationId": primary_station_id,
            "secondaryManagementStationId": secondary_station_id,
            "description": description,
        }
    )
    output.print_object(resources.update(client, f"{_PATH}/{instance_id}", lambda _: body), _ONE, as_json=as_json)


@instance.command("attach-profile")
@resources.id_option("instance")
@click.option("--profile-id", required=True, metavar="OCID")
@options.client_options
def attach_profile(client: options.Client, instance_id: str, profile_id: str) -> None:
    """Give an instance the sources and the station of a profile, as a registration by it would.

    Sources of its former profile that this one lacks go; those that were attached by hand stay.
    """
    client.answer("POST", f"{_PATH}/{instance_id}/actions/attachProfile", body={"profileId": profile_id})


@instance.command("detach-profile")
@resources.id_option("instance")
@options.client_options
@options.dry_run_option
def detach_profile(client: options.Client, instance_id: str) -> None:
    """Take the profile from an instance, with the sources that came by it; its station stays."""
    client.answer("POST", f"{_PATH}/{instance_id}/actions/detachProfile")


@instance.command()
@resources.id_option("instance")
@work.wait_options
@options.json_option
@options.client_options
def delete(client: options.Client, instance_id: str, *, wait_seconds: float | None, as_json: bool) -> None:
    """Unregister an instance: its agent restores the repository files that were there before."""
    answer = client.answer("DELETE", f"{_PATH}/{instance_id}")
    work.follow(client, answer, wait_seconds=wait_seconds, as_json=as_json)


@instance.command()
@resources.id_option("instance")
@click.option("--updatable", is_flag=True, help="Only those that a source could update.")
@click.option("--contains", metavar="TEXT", help="Only those whose name contains it.")
@options.json_option
@options.client_options
def packages(client: options.Client, instance_id: str, contains: str | None, *, updatable: bool, as_json: bool) -> None:
    """Installed packages, by name."""
    kind = "updatablePackages" if updatable else "installedPackages"
    items = client.list(
        f"{_PATH}/{instance_id}/{kind}", displayNameContains=contains, sortBy="displayName", sortOrder="ASC"
    )
    columns = _PACKAGES if updatable else [column for column in _PACKAGES if column.key != "installedVersion"]
    output.print_items(items, columns, as_json=as_json, none="No packages.")


@instance.command()
@resources.id_option("instance")
@_NAMES
@work.wait_options
@options.json_option
@options.client_options
def install(
    client: options.Client, instance_id: str, names: tuple[str, ...], *, wait_seconds: float | None, as_json: bool
) -> None:
    """Install packages on an instance, and print the work request.

    \b
    Example:
      stationmaster instance install --instance-id OCID --wait bash vim-enhanced
    """
    _packages(client, instance_id, "installPackages", names, wait_seconds=wait_seconds, as_json=as_json)


@instance.command()
@resources.id_option("instance")
@_NAMES
@work.wait_options
@options.json_option
@options.client_options
def remove(
    client: options.Client, instance_id: str, names: tuple[str, ...], *, wait_seconds: float | None, as_json: bool
) -> None:
    """Remove packages from an instance, and print the work request."""
    _packages(client, instance_id, "removePackages", names, wait_seconds=wait_seconds, as_json=as_json)


@instance.command("update-packages")
@resources.id_option("instance")
@click.option(
    "--type", "types", multiple=True,
    type=click.Choice(["SECURITY", "BUGFIX", "ENHANCEMENT", "OTHER", "ALL"], case_sensitive=False),
    help="Only updates of this kind; may be repeated. Default: all.",
)  # fmt: skip
@_NAMES
@work.wait_options
@options.json_option
@options.client_options
def update_packages(
    client: options.Client,
    instance_id: str,
    names: tuple[str, ...],
    types: tuple[str, ...],
    *,
    wait_seconds: float | None,
    as_json: bool,
) -> None:
    """Update these packages of an instance, or all, and print the work request.

    \b
    Examples:
      stationmaster instance update-packages --instance-id OCID --wait
      stationmaster instance update-packages --instance-id OCID openssl openssl-libs
    """
    body = resources.given({"packageNames": names, "updateTypes": tuple(kind.upper() for kind in types)})
    if not names and not types:
        body = {"updateTypes": ["ALL"]}
    answer = client.answer("POST", f"{_PATH}/{instance_id}/actions/updatePackages", body=body)
    work.follow(client, answer, wait_seconds=wait_seconds, as_json=as_json)


@instance.command()
@resources.id_option("instance")
@work.wait_options
@options.json_option
@options.client_options
def refresh(client: options.Client, instance_id: str, *, wait_seconds: float | None, as_json: bool) -> None:
    """Have an instance read its sources anew and report its packages; print the work request."""
    answer = client.answer("POST", f"{_PATH}/{instance_id}/actions/refreshSoftware")
    work.follow(client, answer, wait_seconds=wait_seconds, as_json=as_json)


@instance.command("setup-script")
@click.option("--hostname", required=True, metavar="NAME", help="The group's name: the balancer's.")
@options.client_options
def setup_script(client: options.Client, hostname: str) -> None:
    """Print instance-setup.sh, which points an instance at a group; stations serve it too, at /instance-setup.sh.

    \b
    Example, on an instance:
      stationmaster instance setup-script --hostname lb.example.com > instance-setup.sh
      sh instance-setup.sh --dry-run
    """
    answer = client.answer("GET", f"{options.OWN}/groups/instanceSetupScript", query={"hostname": hostname})
    resources.print_script(answer.body, answer.headers.get("content-type", ""))


def _packages(
    client: options.Client,
    instance_id: str,
    action: str,
    names: tuple[str, ...],
    *,
    wait_seconds: float | None,
    as_json: bool,
) -> None:
    if not names:
        raise click.UsageError("Name at least one package.")
    answer = client.answer("POST", f"{_PATH}/{instance_id}/actions/{action}", body={"packageNames": list(names)})
    work.follow(client, answer, wait_seconds=wait_seconds, as_json=as_json)
