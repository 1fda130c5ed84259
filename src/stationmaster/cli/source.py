"""`stationmaster source`: software sources of the types PRIVATE and THIRD_PARTY."""

from __future__ import annotations

import click

from stationmaster.cli import options, output, resources

_PATH = f"{options.API}/softwareSources"
_LIST = [
    output.Column("name", "displayName"),
    output.Column("type", "softwareSourceType"),
    output.Column("os family", "osFamily"),
    output.Column("arch", "archType"),
    output.Column("packages", "packageCount"),
    output.Column("size", "size", output.format_size),
    output.Column("state", "lifecycleState"),
    output.Column("id", "id"),
]
_ONE = [
    output.Column("name", "displayName"),
    output.Column("id", "id"),
    output.Column("compartment", "compartmentId"),
    output.Column("type", "softwareSourceType"),
    output.Column("repository id", "repoId"),
    output.Column("url", "url"),
    output.Column("os family", "osFamily"),
    output.Column("architecture", "archType"),
    output.Column("options", "advancedRepoOptions"),
    output.Column("key url", "gpgKeyUrl"),
    output.Column("key fingerprint", "gpgKeyFingerprint"),
    output.Column("signatures checked", "isGpgCheckEnabled"),
    output.Column("TLS verified", "isSslVerifyEnabled"),
    output.Column("mirrored", "isMirrorSyncAllowed"),
    output.Column("packages", "packageCount"),
    output.Column("size", "size", output.format_size),
    output.Column("state", "lifecycleState"),
    output.Column("created", "timeCreated", output.format_time),
]


@click.group()
def source() -> None:
    """Software sources: RPM and DEB repositories to mirror."""


@source.command()
@click.option("--name", "display_name", required=True, help="What people call it.")
@click.option("--url", required=True, help="Base URL: of RPM the directory that holds repodata, of DEB that of dists.")
@click.option("--os-family", required=True, type=click.Choice(resources.OS_FAMILIES, case_sensitive=False))
@click.option("--arch", required=True, type=click.Choice(resources.ARCHITECTURES, case_sensitive=False))
@click.option(
    "--type", "kind", type=click.Choice(["PRIVATE", "THIRD_PARTY"], case_sensitive=False), default="PRIVATE",
    show_default=True,
)  # fmt: skip
@click.option("--suite", "suites", multiple=True, help="DEB: a suite; may be repeated. `./` for a flat repository.")
@click.option("--component", "components", multiple=True, help="DEB: a component; may be repeated.")
@click.option(
    "--repo-option", "lines", multiple=True, metavar="LINE", help="RPM: a dnf `key=value` line; DEB: a deb822 line."
)
@click.option("--gpg-key-url", metavar="URL", help="The key that signs it; https, or file on the stations.")
@click.option("--gpg-check/--no-gpg-check", default=True, show_default=True, help="Check signatures.")
@click.option(
    "--tls-verify/--no-tls-verify", default=True, show_default=True, help="Verify the upstream's certificate."
)
@click.option("--description")
@resources.compartment_option
@options.json_option
@options.client_options
def create(client: options.Client, *, as_json: bool, **given: object) -> None:
    """Create a software source and print its OCID. It is mirrored once a profile or instance needs it.

    \b
    Examples:
      stationmaster source create --name internal --url https://repo.example.com/el9 \\
          --os-family ORACLE_LINUX_9 --arch X86_64 --gpg-key-url https://repo.example.com/key.asc
      stationmaster source create --name updates --url https://deb.example.com/debian --os-family DEBIAN_12 \\
          --arch X86_64 --suite bookworm-updates --component main
    """
    made = client.post(_PATH, make_body(given, client.tenancy_id))
    output.print_json(made) if as_json else click.echo(made["id"])


def make_body(given: dict[str, object], tenancy_id: str) -> dict[str, object]:
    """The API's details from the options of `create`."""
    lines = [str(line) for line in given["lines"]] if isinstance(given["lines"], tuple) else []
    for key, name in (("Suites", "suites"), ("Components", "components")):
        values = given[name]
        if isinstance(values, tuple) and values:
            lines.append(f"{key}: {' '.join(str(value) for value in values)}")
    return resources.given(
        {
            "softwareSourceType": str(given["kind"]).upper(),
            "compartmentId": given["compartment_id"] or tenancy_id,
            "displayName": given["display_name"],
            "description": given["description"],
            "url": given["url"],
            "osFamily": str(given["os_family"]).upper(),
            "archType": str(given["arch"]).upper(),
            "gpgKeyUrl": given["gpg_key_url"],
            "isGpgCheckEnabled": given["gpg_check"],
            "isSslVerifyEnabled": given["tls_verify"],
            "isMirrorSyncAllowed": True,
            "advancedRepoOptions": "\n".join(lines) or None,
        }
    )


@source.command("list")
@resources.compartment_option
@options.json_option
@options.client_options
def list_all(client: options.Client, compartment_id: str | None, *, as_json: bool) -> None:
    """Software sources, by name; of every compartment, or of one."""
    items = client.list(_PATH, compartmentId=compartment_id, sortBy="displayName", sortOrder="ASC")
    output.print_items(items, _LIST, as_json=as_json, none="No software sources.")


@source.command()
@resources.id_option("source")
@options.json_option
@options.client_options
def get(client: options.Client, source_id: str, *, as_json: bool) -> None:
    """One software source."""
    output.print_object(client.get(f"{_PATH}/{source_id}"), _ONE, as_json=as_json)


@source.command()
@resources.id_option("source")
@click.option("--name", "display_name")
@click.option("--url")
@click.option("--gpg-key-url", metavar="URL")
@click.option("--gpg-check/--no-gpg-check", default=None)
@click.option("--tls-verify/--no-tls-verify", default=None)
@click.option("--description")
@options.json_option
@options.client_options
def update(client: options.Client, source_id: str, *, as_json: bool, **given: object) -> None:
    """Change a software source; what is not given stays."""
    changes = resources.given(
        {
            "displayName": given["display_name"],
            "url": given["url"],
            "gpgKeyUrl": given["gpg_key_url"],
            "isGpgCheckEnabled": given["gpg_check"],
            "isSslVerifyEnabled": given["tls_verify"],
            "description": given["description"],
        }
    )
    changed = resources.update(
        client,
        f"{_PATH}/{source_id}",
        lambda now: {"softwareSourceType": now["softwareSourceType"], **changes} if changes else {},
    )
    output.print_object(changed, _ONE, as_json=as_json)


@source.command()
@resources.id_option("source")
@options.client_options
def delete(client: options.Client, source_id: str) -> None:
    """Delete a software source; refused while a profile or instance needs it."""
    client.delete(f"{_PATH}/{source_id}")
