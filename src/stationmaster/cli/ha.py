"""`stationmaster ha`: groups of stations behind one name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from stationmaster.cli import common, options, output
from stationmaster.model import errors

Group = Mapping[str, Any]

_HOSTNAME = click.option("--hostname", required=True, metavar="NAME", help="The group's name: the balancer's.")


@click.group()
def ha() -> None:
    """HA groups: status, what is wrong, and the balancers in front of them.

    A group is made of the stations that have the same hostname in the same compartment; nothing else declares it.
    """


@ha.command()
@_HOSTNAME
@common.compartment_option
@options.json_option
@options.client_options
def status(client: options.Client, hostname: str, compartment_id: str | None, *, as_json: bool) -> None:
    """What works and what does not, station by station and source by source.

    \b
    Example:
      stationmaster ha status --hostname lb.example.com
    """
    found = client.list(f"{options.OWN}/groups", hostname=hostname, compartmentId=compartment_id)
    if as_json:
        output.print_json(found)
        return
    if not found:
        raise errors.NotFoundError(
            f"No station has the hostname {hostname}.", hint="`stationmaster station list` shows all hostnames."
        )
    for number, group in enumerate(found):
        if number:
            click.echo()
        _print_group(group)


@ha.command()
@_HOSTNAME
@common.compartment_option
@options.json_option
@options.client_options
def doctor(client: options.Client, hostname: str, compartment_id: str | None, *, as_json: bool) -> int:
    """What is wrong with a group, most severe first, and what to do. Exit status 1 from a warning upwards.

    \b
    Example:
      stationmaster ha doctor --hostname lb.example.com
    """
    found = client.get(f"{options.OWN}/groups/doctor", hostname=hostname, compartmentId=compartment_id)
    if as_json:
        output.print_json(found)
    elif not found["items"]:
        click.echo(f"{found['hostname']}: nothing is wrong.")
    else:
        for one in found["items"]:
            click.echo(f"{one['severity']} {one['subject']}: {one['message']} [{one['code']}]")
            click.echo(f"    {one['hint']}")
    return 1 if found["isTrouble"] else 0


@ha.command()
@_HOSTNAME
@click.option(
    "--address", "addresses", multiple=True, required=True, metavar="IP", help="A balancer's address; may be repeated."
)
@common.compartment_option
@options.json_option
@options.client_options
def balancers(
    client: options.Client, hostname: str, addresses: tuple[str, ...], compartment_id: str | None, *, as_json: bool
) -> None:
    """State where the group's balancers connect from: stations take the clients' addresses from these alone.

    Not needed for `stationmaster balancer run`, which says so itself. What is stated replaces what was stated before.

    \b
    Example:
      stationmaster ha balancers --hostname lb.example.com --address 10.0.0.5 --address 10.0.0.6
    """
    body = common.given({"hostname": hostname, "compartmentId": compartment_id, "addresses": addresses})
    now = client.put(f"{options.OWN}/groups/balancers", body)
    if as_json:
        output.print_json(now)
    else:
        click.echo(f"Balancers of {hostname}: {', '.join(now['addresses']) or 'none'}")


def summarize(group: Group) -> str:
    """The one line that is read first."""
    stations = group["stations"]
    ready = [one for one in stations if one["isInTouch"] and one["readiness"] == "READY"]
    waiting = [one for one in group["sources"] if one["visible"] is None]
    line = f"{len(ready)} of {len(stations)} stations ready"
    if group["sources"]:
        line += f"; {len(group['sources']) - len(waiting)} of {len(group['sources'])} sources served"
    return line + "."


def describe_readiness(station: Mapping[str, Any]) -> str:
    """What a station is good for now, as far as the hub can know: what a silent one said last is not repeated."""
    if not station["isRegistered"]:
        return "not registered"
    if station["timeLastHeartbeat"] is None:
        return "never heard"
    if not station["isInTouch"]:
        return "silent"
    words = str(station["readiness"]).lower().replace("_", "-")
    return f"{words}, draining" if station["isDraining"] else words


def describe_reasons(station: Mapping[str, Any]) -> str:
    """Why it is not ready, and what else it complains of."""
    found = [one["message"] for one in [*station["reasons"], *station["problems"]]]
    return " ".join(dict.fromkeys(found))


def _print_group(group: Group) -> None:
    ports = group["clientAddress"]["ports"]
    click.echo(f"{group['hostname']}: {summarize(group)}")
    click.echo(f"Clients use proxy {ports['proxy']}, HTTP {ports['http']}, HTTPS {ports['https']}.")
    click.echo(f"Balancers: {', '.join(group['balancerAddresses']) or 'what the hostname resolves to on each station'}")
    click.echo()
    output.print_table(
        ["station", "state", "in rotation", "last heard", "free", "why"],
        [_station_row(one) for one in sorted(group["stations"], key=lambda one: (one["displayName"], one["id"]))],
    )
    if group["sources"]:
        click.echo()
        names = {one["id"]: one["displayName"] for one in group["stations"]}
        output.print_table(
            ["source", "visible", "held by", "what happens next"],
            [
                _source_row(one, names)
                for one in sorted(group["sources"], key=lambda one: (one["displayName"], one["id"]))
            ],
        )


def _station_row(station: Mapping[str, Any]) -> Sequence[str]:
    volume = station["volume"] or {}
    return [
        station["displayName"],
        describe_readiness(station),
        "yes" if station["isInRotation"] else "no",
        output.show_value(station["timeLastHeartbeat"], output.format_time),
        output.show_value(volume.get("availableBytes"), output.format_size),
        describe_reasons(station) or "-",
    ]


def _source_row(source: Mapping[str, Any], names: Mapping[str, str]) -> Sequence[str]:
    visible = source["visible"]
    shown = f"#{visible['number']} {visible['generation'][:12]}" if visible else "nothing yet"
    holders = [
        names.get(one["stationId"], one["stationId"])
        for one in source["stations"]
        if visible and any(held["generation"] == visible["generation"] for held in one["held"])
    ]
    return [source["displayName"], shown, ", ".join(sorted(holders)) or "-", source["decision"] or "-"]
