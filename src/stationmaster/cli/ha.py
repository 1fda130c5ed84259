"""`stationmaster ha`: groups of stations behind one name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from stationmaster.cli import ha_text, lazy, options, output, resources
from stationmaster.host import clock
from stationmaster.model import errors

Group = Mapping[str, Any]

_HOSTNAME = click.option("--hostname", required=True, metavar="NAME", help="The group's name: the balancer's.")


@click.group(
    cls=lazy.LazyGroup,
    lazy={
        "change-ports": lazy.Lazy("stationmaster.cli.ha_ports:change_ports", "Change the ports of all peers together."),
    },
)
def ha() -> None:
    """HA groups: status, what is wrong, and the balancers in front of them.

    A group is made of the stations that have the same hostname in the same compartment; nothing else declares it.
    """


@ha.command()
@_HOSTNAME
@click.option("--source", metavar="NAME", help="This source on every station: display name, repository id or OCID.")
@click.option("--watch", "is_watching", is_flag=True, help="Go on: drawn anew on a terminal, else a line per change.")
@resources.compartment_option
@options.json_option
@options.client_options
def status(
    client: options.Client,
    hostname: str,
    compartment_id: str | None,
    source: str | None,
    *,
    is_watching: bool,
    as_json: bool,
) -> None:
    """What is broken, what works, and what to do; then station by station and source by source.

    \b
    Example:
      stationmaster ha status --hostname lb.example.com --watch
    """
    from stationmaster.cli import ha_watch

    def fetch() -> Sequence[Group]:
        return _fetch(client, hostname, compartment_id)

    def draw(found: Sequence[Group]) -> None:
        for number, group in enumerate(found):
            if number:
                click.echo()
            _print_group(group, source)

    if is_watching:
        ha_watch.watch(fetch, draw, clock.SystemClock(), as_json=as_json)
    elif as_json:
        output.print_json(fetch())
    else:
        draw(fetch())


@ha.command()
@_HOSTNAME
@click.option("--source", metavar="NAME", help="This source alone: display name, repository id or OCID.")
@resources.compartment_option
@options.json_option
@options.client_options
def why(
    client: options.Client, hostname: str, compartment_id: str | None, source: str | None, *, as_json: bool
) -> None:
    """Why each source is mirrored: which profile or instance needs it, through which station.

    \b
    Example:
      stationmaster ha why --hostname lb.example.com --source app
    """
    found = _fetch(client, hostname, compartment_id)
    if as_json:
        needs = [{**need, "sourceId": one["id"]} for group in found for one in _chosen(group, source)
                 for need in one["needs"]]  # fmt: skip
        output.print_json(needs)
        return
    rows = [row for group in found for row in ha_text.reason_rows(group, _chosen(group, source))]
    if not rows:
        click.echo("No profile and no instance of this group needs a source that may be mirrored.", err=True)
        return
    output.print_table(ha_text.REASON_HEADINGS, rows)


@ha.command()
@_HOSTNAME
@resources.compartment_option
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
            click.echo(f"    Why it matters: {one['impact']}")
            click.echo(f"    What to do:     {one['hint']}")
    return 1 if found["isTrouble"] else 0


@ha.command()
@_HOSTNAME
@click.option(
    "--address", "addresses", multiple=True, required=True, metavar="IP", help="A balancer's address; may be repeated."
)
@resources.compartment_option
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
    body = resources.given({"hostname": hostname, "compartmentId": compartment_id, "addresses": addresses})
    now = client.put(f"{options.OWN}/groups/balancers", body)
    if as_json:
        output.print_json(now)
    else:
        click.echo(f"Balancers of {hostname}: {', '.join(now['addresses']) or 'none'}")


def _fetch(client: options.Client, hostname: str, compartment_id: str | None) -> Sequence[Group]:
    found: Sequence[Group] = client.list(f"{options.OWN}/groups", hostname=hostname, compartmentId=compartment_id)
    if not found:
        raise errors.NotFoundError(
            f"No station has the hostname {hostname}.", hint="`stationmaster station list` shows all hostnames."
        )
    return found


def _chosen(group: Group, wanted: str | None) -> Sequence[Group]:
    """The sources that ``wanted`` names, all without it; NotFoundError when it names none."""
    found = [one for one in group["sources"] if wanted in {None, one["id"], one["displayName"], one["repoId"]}]
    if wanted is not None and not found:
        names = ", ".join(sorted(one["displayName"] for one in group["sources"])) or "none"
        raise errors.NotFoundError(
            f"The group {group['hostname']} mirrors no source named {wanted!r}.", hint=f"It mirrors: {names}."
        )
    return found


def _print_group(group: Group, wanted: str | None) -> None:
    ports = group["clientAddress"]["ports"]
    for line in ha_text.head_lines(group):
        click.echo(line)
    click.echo()
    click.echo(f"Clients use proxy {ports['proxy']}, HTTP {ports['http']}, HTTPS {ports['https']}.")
    if changing := group.get("portChange"):  # a hub of an earlier release knows of none
        from stationmaster.cli import ha_ports

        ha_ports.show(changing, "CHANGING ")
    click.echo(f"Balancers: {', '.join(group['balancerAddresses']) or 'what the hostname resolves to on each station'}")
    click.echo()
    show_time = output.time_format()
    output.print_table(ha_text.STATION_HEADINGS, ha_text.station_rows(group, show_time))
    for line in ha_text.reason_lines(group):
        click.echo(line)
    sources = _chosen(group, wanted)
    if sources:
        shown = {**group, "sources": sources}
        click.echo()
        output.print_table(ha_text.SOURCE_HEADINGS, ha_text.source_rows(shown, show_time))
        for line in ha_text.decision_lines(shown):
            click.echo(line)
    for one in sources if wanted is not None else ():
        click.echo()
        output.print_table(ha_text.DETAIL_HEADINGS, ha_text.detail_rows(group, one))
        click.echo()
        output.print_table(ha_text.REASON_HEADINGS, ha_text.reason_rows(group, [one]))
