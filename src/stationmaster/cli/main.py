"""The command `stationmaster`: finds the command, runs it, and words what went wrong.

Exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C; a command may document others of its own. An error
is one line `error: …` and, where there is something to do, one line `hint: …`, both on standard error. A command that
was asked for JSON prints `{"error": {"code", "message", "hint"}}` on standard output instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

import stationmaster
from stationmaster.cli import lazy
from stationmaster.model import errors

PROGRAM = "stationmaster"
_COMPLETE = "_STATIONMASTER_COMPLETE"
JSON_ASKED = "stationmaster.cli.json"

COMMANDS = {
    "agent": lazy.Lazy("stationmaster.cli.agent:agent", "On an instance: register it, and carry out what is due."),
    "balancer": lazy.Lazy("stationmaster.cli.balancer:balancer", "Render a balancer's configuration, or run HAProxy."),
    "compartment": lazy.Lazy("stationmaster.cli.compartment:compartment", "Compartments: create, list."),
    "completion": lazy.Lazy("stationmaster.cli.completion:completion", "Print a shell completion script."),
    "demo": lazy.Lazy("stationmaster.lab.command:demo", "Build the lab on this machine and run the HA guide in it."),
    "event": lazy.Lazy("stationmaster.cli.event:event", "What happened, newest first."),
    "ha": lazy.Lazy("stationmaster.cli.ha:ha", "HA groups: status, doctor, and the balancers in front of them."),
    "hub": lazy.Lazy("stationmaster.cli.hub:hub", "On the control host: make a hub, and serve it."),
    "instance": lazy.Lazy("stationmaster.cli.instance:instance", "Managed instances: list, re-point, install, update."),
    "job": lazy.Lazy("stationmaster.cli.job:job", "Scheduled jobs: list, change, run now."),
    "lab": lazy.Lazy("stationmaster.lab.command:lab", "Trials in a lab on this machine: chaos."),
    "mirror": lazy.Lazy("stationmaster.cli.mirror:mirror", "The mirror engine alone, without hub or station."),
    "profile": lazy.Lazy("stationmaster.cli.profile:profile", "Profiles: recipes by which machines register."),
    "source": lazy.Lazy("stationmaster.cli.source:source", "Software sources: repositories to mirror."),
    "station": lazy.Lazy("stationmaster.cli.station:station", "Management stations: create, sync, drain, run."),
    "work-request": lazy.Lazy("stationmaster.cli.work_request:work_request", "Work requests: progress, logs, errors."),
}


@click.group(cls=lazy.LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(stationmaster.__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """Self-hosted OS update management with highly available management stations.

    Client commands find the hub and their key by --config, --profile, --endpoint and --ca, or by the environment:

    \b
      export OCI_CLI_CONFIG_FILE=/srv/hub/oci-config
      export STATIONMASTER_ENDPOINT=https://hub.example.com:8443
      export STATIONMASTER_CA=/srv/hub/ca.pem
      stationmaster station list
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status; nothing escapes as a stack trace but our own mistakes."""
    meta: dict[str, object] = {}
    try:
        return _invoke(arguments, meta)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except errors.StationmasterError as exc:
        show_error(exc, as_json=bool(meta.get(JSON_ASKED)))
        return 1
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped.", err=True)
        return 130
    except BrokenPipeError:
        # The reader (`head`) has what it wanted; the interpreter's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as exc:
        show_error(_host_error(exc), as_json=bool(meta.get(JSON_ASKED)))
        return 1


def show_error(error: errors.StationmasterError, *, as_json: bool) -> None:
    """Say what went wrong, for a person or for a program."""
    if as_json:
        import msgspec

        body = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
        click.echo(msgspec.json.encode(body).decode())
        return
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def _host_error(exc: OSError) -> errors.HostError:
    """What this machine refused (a directory that may not be written, a full disk), by the file concerned."""
    where = f" {exc.filename}" if exc.filename else ""
    return errors.HostError(
        f"This machine refused{where}: {exc.strerror or exc}.", hint="Check rights and space there."
    )


def _invoke(arguments: list[str], meta: dict[str, object]) -> int:
    if _COMPLETE in os.environ:
        from click import shell_completion

        return shell_completion.shell_complete(cli, {}, PROGRAM, _COMPLETE, os.environ[_COMPLETE])
    try:
        with cli.make_context(PROGRAM, arguments) as context:
            try:
                status = cli.invoke(context)
            finally:
                meta.update(context.meta)
            return status if isinstance(status, int) else 0
    except click.exceptions.Exit as exc:
        return exc.exit_code
    finally:
        sys.stdout.flush()
