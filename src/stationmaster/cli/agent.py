"""`stationmaster agent`: what runs on an instance."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stationmaster.agent import daemon, doors

STATE_DIRECTORY = click.option(
    "--state-dir",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the agent keeps its key and what it remembers.",
)


@click.group()
def agent() -> None:
    """On an instance: register it, and carry out what is due.

    \b
    Example:
      stationmaster agent register --response-file input.rsp --state-dir /var/lib/stationmaster/agent
      stationmaster agent run --state-dir /var/lib/stationmaster/agent
    """
    # A service manager starts programs without HOME, and rpm finds its database by it on Debian (engines.md 5).
    os.environ.setdefault("HOME", "/root")
    # Repository files are read by users other than root (apt fetches as its own); what is secret says so itself.
    os.umask(0o022)


@agent.command()
@click.option(
    "--response-file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The input.rsp that `stationmaster profile response-file` printed.",
)
@STATE_DIRECTORY
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    default=Path("/"),
    show_default=True,
    metavar="DIR",
    help="File-system root whose package manager is configured and used.",
)
@click.option("--package-manager", type=click.Choice(["dnf", "apt", "zypper"]), help="Default: what the root has.")
@click.option("--timeout", type=click.FloatRange(0), default=120.0, show_default=True, help="Seconds to try for.")
def register(response_file: Path, state_dir: Path, root: Path, package_manager: str | None, timeout: float) -> None:
    """Register this machine through its gateway; nothing is left behind when it fails."""
    from stationmaster.agent import register as registration
    from stationmaster.model import protocol

    kind = protocol.PackageManager(package_manager) if package_manager else None
    wish = registration.Wish(response_file, state_dir.absolute(), root, kind, timeout)
    identity = registration.register(wish, _doors())
    click.echo(f"Registered {identity.display_name or 'this machine'} as {identity.managed_instance_id}.")


@agent.command()
@STATE_DIRECTORY
@click.option("--once", is_flag=True, help="One check-in with everything that is due, then end.")
@click.pass_context
def run(context: click.Context, state_dir: Path, *, once: bool) -> None:
    """Check in, write repository files, carry out jobs, report.

    Exit status of --once: 0 done, 1 the hub was not reached, 3 a job failed.
    """
    from stationmaster.agent import daemon
    from stationmaster.host import logs

    served = daemon.Daemon(state_dir.absolute(), _doors())
    if not once:
        logs.set_up()
        _stop_by_signal(served)
        served.run_until_stopped()
        return
    logs.set_up(is_for_person=True)
    result = served.run_once(is_thorough=True)
    for problem in result.problems:
        click.echo(f"problem: {problem.message}", err=True)
    for work_request_id in result.failed_jobs:
        click.echo(f"The job of work request {work_request_id} failed; its log and errors are there.", err=True)
    context.exit(3 if result.failed_jobs else 0)


@agent.command()
@STATE_DIRECTORY
@click.option("--host", metavar="NAME", help="The balancer's (or station's) name or address; default: as in use.")
@click.option("--proxy-port", type=click.IntRange(1, 65535))
@click.option("--http-port", type=click.IntRange(1, 65535))
@click.option("--https-port", type=click.IntRange(1, 65535))
@click.option("--dry-run", is_flag=True, help="Rehearse only.")
def repoint(
    state_dir: Path,
    host: str | None,
    proxy_port: int | None,
    http_port: int | None,
    https_port: int | None,
    *,
    dry_run: bool,
) -> None:
    """Move repositories and agent to another address: rehearse from here, switch, go back when that fails."""
    from stationmaster.agent import daemon
    from stationmaster.agent import repoint as moving

    through = _doors()
    with daemon.hold(state_dir.absolute(), through):
        address = moving.repoint(
            state_dir.absolute(), through, host=host, chosen=(proxy_port, http_port, https_port), is_dry_run=dry_run
        )
    word = "Could move" if dry_run else "Moved"
    triple = address.ports
    click.echo(f"{word} to {address.host}: proxy {triple.proxy}, HTTP {triple.http}, HTTPS {triple.https}.")


@agent.command()
@STATE_DIRECTORY
@click.option("--local", is_flag=True, help="Do not tell the hub: it is gone, or has deleted this instance already.")
def leave(state_dir: Path, *, local: bool) -> None:
    """Unregister: repository files as they were before registration, and nothing of the agent's left."""
    from stationmaster.agent import daemon, instance, state
    from stationmaster.agent import leave as leaving

    through = _doors()
    with daemon.hold(state_dir.absolute(), through):
        one = instance.Instance(state.StateDirectory(state_dir.absolute(), through.disk), through)
        known = leaving.leave(one, leaving.Way.LOCAL if local else leaving.Way.BY_HAND)
    click.echo(f"{known} is no longer managed.")


def _doors() -> doors.Doors:
    from stationmaster.agent import doors as made
    from stationmaster.host import clock, files, programs

    return made.Doors(files.Files(), programs.Programs(), clock.SystemClock(), random.random)


def _stop_by_signal(served: daemon.Daemon) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        served.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
