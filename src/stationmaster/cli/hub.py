"""On the control host: make a hub, and serve it."""

from __future__ import annotations

from pathlib import Path

import click

from stationmaster.host import clock, files

_STATE_DIR = click.option(
    "--state-dir",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the hub keeps its CA, and its database unless --database names another.",
)


@click.group()
def hub() -> None:
    """On the control host: make a hub, and serve it."""


@hub.command()
@_STATE_DIR
@click.option(
    "--database",
    metavar="URL",
    envvar="STATIONMASTER_DATABASE",
    show_envvar=True,
    help="A PostgreSQL database, postgresql://…; default: SQLite. Every user of a host can read command lines: give "
    "a URL with a password by the environment, or keep the password in libpq's passfile.",
)
@click.option(
    "--oci-config",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Written for the administrator; the private key is put beside it.",
)
def init(state_dir: Path, database: str | None, oci_config: Path) -> None:
    """Make a hub: database, CA, tenancy, and an administrator. Refuses to run twice on one state directory."""
    from stationmaster.hub.services import setup

    wanted = setup.Wanted(state_dir, oci_config, database)
    made = setup.initialise(wanted, files.Files(), clock.SystemClock())
    click.echo(f"tenancy:        {made.tenancy_id}")
    click.echo(f"administrator:  {made.user_id}")
    click.echo(f"configuration:  {oci_config} (key: {made.key_file})")
    click.echo(f"CA:             {state_dir / 'ca.pem'}")


@hub.command()
@_STATE_DIR
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Written for its owner alone: it holds the CA's private key and the address of the database.",
)
def invite(state_dir: Path, output: Path) -> None:
    """On a hub with PostgreSQL: write what one more replica needs. Carry it over, join, and remove it."""
    from stationmaster.hub.services import replicas

    replicas.invite(state_dir, output, files.Files())
    click.echo(f"{output} holds the CA's private key. Carry it over with its mode (scp -p), join, then remove it.")


@hub.command()
@_STATE_DIR
@click.option(
    "--invitation",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="What `hub invite` wrote on a hub that runs.",
)
@click.option(
    "--database",
    metavar="URL",
    envvar="STATIONMASTER_DATABASE",
    show_envvar=True,
    help="Where this host finds the hub's PostgreSQL database; default: as the invitation says.",
)
def join(state_dir: Path, invitation: Path, database: str | None) -> None:
    """Make one more replica of a hub: its state directory, with the hub's CA. Nothing in the database changes."""
    from stationmaster.hub.services import replicas

    made = replicas.join(replicas.Wanted(state_dir, invitation, database), files.Files(), clock.SystemClock())
    click.echo(f"A replica of the hub is in {made.root}. Remove {invitation} here and where it was written.")


@hub.command()
@_STATE_DIR
@click.option("--listen", required=True, metavar="HOST:PORT", help="For example 0.0.0.0:8443.")
@click.option("--tls-name", "tls_names", multiple=True, metavar="NAME", help="Name or address in the certificate.")
@click.option("--public-url", metavar="URL", help="What response files carry; default: the first TLS name.")
@click.option("--plain-http", is_flag=True, help="No TLS; for loopback addresses only.")
@click.option(
    "--metrics-from",
    multiple=True,
    metavar="ADDRESS",
    envvar="STATIONMASTER_METRICS_FROM",
    show_envvar=True,
    help="Who may read /metrics beside this host: an address or CIDR block; may be repeated.",
)
def serve(
    state_dir: Path,
    listen: str,
    tls_names: tuple[str, ...],
    public_url: str | None,
    metrics_from: tuple[str, ...],
    *,
    plain_http: bool,
) -> None:
    """Serve the API, over HTTPS by the hub's own CA. Stops gracefully on SIGTERM."""
    import dataclasses

    from stationmaster.hub import serve as serving
    from stationmaster.model import addresses

    listening = serving.parse_listening(listen, tls_names, is_plain=plain_http, public_url=public_url)
    monitors = addresses.parse_networks(metrics_from, option="--metrics-from")
    listening = dataclasses.replace(listening, monitors=monitors)
    serving.serve(state_dir, listening, files.Files(), clock.SystemClock())
