"""`stationmaster station register` and `station run`: what runs on the station's own host."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

import click

STATE_DIRECTORY = click.option(
    "--state-dir",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the station keeps its key, its configuration and what it remembers.",
)


@click.command()
@click.option(
    "--response-file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The input.rsp of the station's own profile (`stationmaster profile response-file`).",
)
@STATE_DIRECTORY
@click.option(
    "--address", metavar="IP", help="Where balancers and peers reach this station. Default: its way to the hub."
)
@click.option(
    "--forward-proxy",
    metavar="URL",
    envvar="STATIONMASTER_FORWARD_PROXY",
    show_envvar=True,
    help="HTTP proxy on the way to the hub, until the hub names another.",
)
@click.option("--timeout", type=click.FloatRange(0), default=120.0, show_default=True, help="Seconds to try for.")
def register(
    response_file: Path, state_dir: Path, address: str | None, forward_proxy: str | None, timeout: float
) -> None:
    """Make this host a station, and its mirror directory a volume.

    An empty mirror directory becomes a volume; one that is a volume already is joined; anything else is refused. When
    that step fails, or the hub cannot be reached, run the same command again: nothing is used up twice.

    \b
    Example:
      stationmaster station register --response-file input.rsp --state-dir /var/lib/stationmaster/station
      stationmaster station run --state-dir /var/lib/stationmaster/station
    """
    from stationmaster.host import clock, files, programs
    from stationmaster.station import register as registration

    _set_umask()
    wish = registration.Wish(response_file, state_dir.resolve(), address, forward_proxy, timeout)
    doors = registration.Doors(files.Files(), clock.SystemClock(), programs.Programs())
    done = registration.register(wish, doors)
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    volume = "made" if done.is_volume_new else "joined"
    click.echo(f"Registered {done.display_name or 'this station'} as {done.config.station_id}.")
    click.echo(f"Mirror directory {done.config.mirror_directory}: volume {done.config.volume_id} {volume}.")


@click.command()
@STATE_DIRECTORY
@click.option(
    "--stop-engines/--keep-engines",
    default=None,
    help="Whether nginx and squid end with the daemon. Default: Ctrl-C ends them, SIGTERM leaves them serving.",
)
@click.option(
    "--metrics-from",
    multiple=True,
    metavar="ADDRESS",
    envvar="STATIONMASTER_METRICS_FROM",
    show_envvar=True,
    help="Who may read /metrics on the mirror's direct ports: an address or CIDR block, repeatable. Default: nobody.",
)
def run(state_dir: Path, *, stop_engines: bool | None, metrics_from: tuple[str, ...]) -> None:
    """Run the station: mirror, serve, proxy, and report to the hub.

    Ends by SIGTERM or Ctrl-C. On SIGTERM (a service manager that restarts or upgrades the daemon) nginx and squid go
    on serving, and the next daemon takes them over; on Ctrl-C they end too. The mirror directory must carry the volume
    that `register` made or joined: without it nothing is written and the station says it is not ready.
    """
    from stationmaster.host import clock, logs, process_lock
    from stationmaster.model import addresses
    from stationmaster.station import config, daemon, wiring

    monitors = addresses.parse_networks(metrics_from, option="--metrics-from")
    logs.set_up()
    _set_umask()
    state = config.StateDirectory(state_dir.resolve())
    config.read_config(state)
    # A predecessor that was just told to end gets a moment for it.
    with process_lock.held(state.lock, clock.SystemClock(), holder="A station daemon", wait_seconds=5.0):
        station = daemon.Daemon(wiring.build(state, monitors))
        received: list[int] = []

        def end(number: int, _: FrameType | None) -> None:
            received.append(number)
            station.request_stop()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        station.run()
        if stop_engines if stop_engines is not None else signal.SIGINT in received:
            station.stop_engines()
        else:
            click.echo("nginx and squid go on serving; the next `station run` takes them over.", err=True)


@click.command("take-volume")
@STATE_DIRECTORY
@click.option(
    "--new-id",
    is_flag=True,
    help="The directory was copied from another station's volume: give it an id of its own. Stop the station first.",
)
def take_volume(state_dir: Path, *, new_id: bool) -> None:
    """Take the mirror directory that the hub names now, after it was changed there.

    As `register` does: an empty directory becomes a volume, a volume is joined, anything else is refused. Restart
    `station run` afterwards.
    """
    from stationmaster.host import clock, files, programs
    from stationmaster.station import config
    from stationmaster.station import register as registration

    _set_umask()
    doors = registration.Doors(files.Files(), clock.SystemClock(), programs.Programs())
    state = config.StateDirectory(state_dir.resolve())
    taken, is_new = registration.take_volume(state, doors, is_id_renewed=new_id)
    click.echo(f"Mirror directory {taken.mirror_directory}: volume {taken.volume_id} {'made' if is_new else 'joined'}.")
    click.echo("Restart `stationmaster station run` to use it.")


def _set_umask() -> None:
    """What a daemon makes must be readable by nginx's user; what must not be says so itself."""
    os.umask(0o022)
