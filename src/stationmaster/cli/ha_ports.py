"""`stationmaster ha change-ports`: all ports of a group at once, followed to the end where that is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from stationmaster.cli import options, output, resources, work
from stationmaster.host import clock
from stationmaster.model import errors

_PAUSE_SECONDS = 1.0
_HOUR = 3600
_PORT = click.IntRange(1, 65535)


@click.command("change-ports")
@click.option("--hostname", required=True, metavar="NAME", help="The group's name: the balancer's.")
@click.option("--proxy", type=_PORT, required=True, metavar="PORT", help="The proxy, by which agents reach the hub.")
@click.option("--http", type=_PORT, required=True, metavar="PORT", help="The mirror over HTTP.")
@click.option("--https", type=_PORT, required=True, metavar="PORT", help="The mirror over HTTPS.")
@click.option(
    "--keep-at-least-hours",
    type=click.FloatRange(0, 8784),
    default=0.0,
    show_default=True,
    help="Serve the former ports for so long in any case, for clients that were set up by hand.",
)
@click.option(
    "--keep-at-most-hours",
    type=click.FloatRange(0, 8784),
    default=24.0,
    show_default=True,
    help="Close the former ports then, even if instances still use them.",
)
@resources.compartment_option
@work.wait_options
@options.json_option
@options.client_options
def change_ports(
    client: options.Client,
    *,
    hostname: str,
    compartment_id: str | None,
    keep_at_least_hours: float,
    keep_at_most_hours: float,
    wait_seconds: float | None,
    as_json: bool,
    **ports: int,
) -> None:
    """Change the ports of all stations of a group together; nobody is cut off meanwhile.

    Stations and `balancer run` come to serve the new ports beside the former ones; then clients are told the new
    ones; the former go when no instance uses them any more. The change-over goes on without this command. The former
    ports, given to it, take it back at any moment.

    \b
    Example:
      stationmaster ha change-ports --hostname lb.example.com --proxy 26080 --http 27080 --https 27443 --wait
    """
    body = {
        "hostname": hostname,
        **ports,
        "keepAtLeastSeconds": int(keep_at_least_hours * _HOUR),
        "keepAtMostSeconds": int(keep_at_most_hours * _HOUR),
        **resources.given({"compartmentId": compartment_id}),
    }
    found = client.post(f"{options.OWN}/groups/changePorts", body)
    if not as_json:
        show(found, "")
    if wait_seconds is not None:
        query = resources.given({"hostname": hostname, "compartmentId": compartment_id})
        found = _follow(client, query, found, wait_seconds, is_quiet=as_json)
    if as_json:
        output.print_json(found)
    elif found["phase"] != "DONE":
        told = found["told"]
        click.echo(f"It goes on by itself: stationmaster ha status --hostname {hostname}")
        back = found["beside"] if found["phase"] == "MOVING" else told
        click.echo(f"Back: stationmaster ha change-ports --hostname {hostname} {words_of_options(back)}")
        click.echo("Response files made before the end carry the port that is told when they are made.", err=True)


def show(found: Mapping[str, Any], time: str) -> None:
    """One line of what clients are told, and one for each that is waited for."""
    for line in lines(found):
        click.echo(f"{time}{line}")


def lines(found: Mapping[str, Any]) -> list[str]:
    """A change-over in words; pure."""
    told, beside = words(found["told"]), words(found["beside"]) if found["beside"] else ""
    first = {
        "OPENING": f"Clients use {told}; stations and balancers come to serve {beside} as well.",
        "MOVING": f"Clients are told {told}; {beside} are still served.",
    }.get(found["phase"], f"Clients use {told}; no other ports are served.")
    return [first, *(f"  waiting: {one}" for one in found["waiting"])]


def words(ports: Mapping[str, int]) -> str:
    """The three by name."""
    return f"proxy {ports['proxy']}, HTTP {ports['http']}, HTTPS {ports['https']}"


def words_of_options(ports: Mapping[str, int]) -> str:
    """The three as they are given to the command."""
    return f"--proxy {ports['proxy']} --http {ports['http']} --https {ports['https']}"


def _follow(
    client: options.Client, query: Mapping[str, Any], found: Any, seconds: float, *, is_quiet: bool
) -> Mapping[str, Any]:
    """Until it is done, with a line for each change; PeerError when it is not by then."""
    wall_clock = clock.SystemClock()
    deadline, shown = wall_clock.monotonic() + seconds, lines(found)
    while found["phase"] != "DONE":
        if wall_clock.monotonic() >= deadline:
            why = " ".join(found["waiting"])
            raise errors.PeerError(
                f"The ports of {query['hostname']} are still changing after {seconds:g} s. {why}",
                hint="It goes on by itself; `stationmaster ha status` shows how far it is.",
                code="StillRunning",
            )
        wall_clock.sleep(_PAUSE_SECONDS)
        found = client.get(f"{options.OWN}/groups/ports", **query)
        if not is_quiet and _without_numbers(lines(found)) != _without_numbers(shown):
            show(found, f"{wall_clock.now():%H:%M:%S}Z ")
            shown = lines(found)
    result: Mapping[str, Any] = found
    return result


def _without_numbers(found: list[str]) -> list[str]:
    """A countdown is no news."""
    return [one.partition("at least")[0] for one in found]
