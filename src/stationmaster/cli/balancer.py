"""`stationmaster balancer …`: configurations for load balancers, and a HAProxy that follows the hub."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from stationmaster.cli import options
from stationmaster.model import errors

if TYPE_CHECKING:
    from stationmaster.model import protocol

_FOLLOW_SECONDS = 4.0  # a replica of the hub may be frozen; the next poll goes to another
_HOSTNAME = click.option("--hostname", required=True, metavar="NAME", help="The group's name: its stations' hostname.")
_COMPARTMENT = click.option("--compartment-id", metavar="OCID", help="Where the name is used in several compartments.")
_BIND = click.option("--bind", default="*", show_default=True, metavar="ADDRESS", help="Address that clients come to.")
_CERTIFICATE = click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="PEM: the group's certificate with its key, to end TLS here and repeat failed requests of HTTPS, too.",
)
_STATIONS_CA = click.option(
    "--stations-ca",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="PEM: the CA of the stations' certificates (the hub's ca.pem); goes with --certificate.",
)


@click.group()
def balancer() -> None:
    """Load balancers in front of a group's three ports.

    \b
      stationmaster balancer render --hostname updates.example.com --format haproxy > haproxy.cfg
      stationmaster balancer run --hostname updates.example.com --state-dir /var/lib/stationmaster-balancer
    """


@balancer.command()
@_HOSTNAME
@_COMPARTMENT
@_BIND
@click.option("--format", "kind", type=click.Choice(["haproxy", "keepalived", "nginx"]), required=True)
@click.option("--direct", is_flag=True, help="Use the direct ports, without the PROXY protocol.")
@_CERTIFICATE
@_STATIONS_CA
@click.option("--interface", default="eth0", show_default=True, help="keepalived: where the address is held.")
@click.option("--priority", default=100, show_default=True, help="keepalived: the higher node is the master.")
@click.option("--source", metavar="ADDRESS", help="keepalived: this node's own address, for unicast.")
@click.option("--peer", "peers", multiple=True, metavar="ADDRESS", help="keepalived: the other node; may be repeated.")
@options.client_options
def render(
    client: options.Client,
    *,
    hostname: str,
    compartment_id: str | None,
    kind: str,
    **chosen: Any,
) -> None:
    """Print one configuration file that the program takes alone."""
    view = fetch_view(client, hostname, compartment_id)
    click.echo(render_view(view, kind, **chosen), nl=False)


def render_view(view: protocol.BalancerView, kind: str, **chosen: Any) -> str:
    """The text of one format; CallerError when an option does not go with it."""
    from stationmaster.balancer import haproxy, keepalived, nginx, run
    from stationmaster.balancer import spec as specs

    require_pair(chosen["certificate"], chosen["stations_ca"])
    tls = run.read_tls(_absolute(chosen["certificate"]), _absolute(chosen["stations_ca"]))
    spec = specs.balancer_spec(view, bind=chosen["bind"], tls=tls, speaks_proxy=not chosen["direct"])
    if kind == "haproxy":
        return haproxy.render_haproxy(spec)[haproxy.FILE_NAME]
    if kind == "nginx":
        return nginx.render_nginx(spec)[nginx.FILE_NAME]
    node = keepalived.NodeSpec(
        address=_virtual_address(chosen["bind"], spec.hostname),
        interface=chosen["interface"],
        priority=chosen["priority"],
        source=chosen["source"],
        peers=tuple(chosen["peers"]),
    )
    return keepalived.render_keepalived(spec, node)[keepalived.FILE_NAME]


@balancer.command()
@_HOSTNAME
@_COMPARTMENT
@_BIND
@click.option("--state-dir", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@_CERTIFICATE
@_STATIONS_CA
@click.option("--report-address", "addresses", multiple=True, metavar="ADDRESS", help="Report this instead of all own.")
@click.option(
    "--pass-tls",
    is_flag=True,
    help="Pass HTTPS on as it is. Default: end TLS with a certificate for the group that the hub signs.",
)
@click.option(
    "--stop-haproxy/--keep-haproxy",
    default=None,
    help="Whether HAProxy ends with this command. Default: Ctrl-C ends it, SIGTERM leaves it balancing.",
)
@options.client_options
def run(
    client: options.Client,
    *,
    hostname: str,
    compartment_id: str | None,
    state_dir: Path,
    addresses: tuple[str, ...],
    stop_haproxy: bool | None,
    pass_tls: bool,
    **chosen: Any,
) -> None:
    """Keep a real HAProxy in step with the hub until stopped; its runtime socket is DIR/haproxy.sock.

    With the hub away the last configuration stays, also after a restart of this command. On SIGTERM (a service manager
    that restarts or upgrades it) HAProxy goes on balancing, and the next run takes it over; on Ctrl-C it ends, too.
    """
    from stationmaster.balancer import run as runs
    from stationmaster.host import engine_process, logs, process_lock

    logs.set_up()
    client.timeout_seconds = _FOLLOW_SECONDS
    require_pair(chosen["certificate"], chosen["stations_ca"])
    doors = engine_process.real_doors()
    doors.files.make_directory(state_dir, mode=0o700)
    settings = runs.Settings(
        hostname=hostname,
        state_directory=state_dir.resolve(),
        bind=chosen["bind"],
        certificate=_absolute(chosen["certificate"]),
        ca=_absolute(chosen["stations_ca"]),
        is_tls_passed=pass_tls,
    )
    report = _reporter(client, hostname, compartment_id, addresses)
    sign = functools.partial(_sign, client, hostname, compartment_id)
    node = runs.BalancerRun(settings, doors, lambda: fetch_view(client, hostname, compartment_id), report, sign)
    state = settings.state_directory
    with process_lock.held(state / "run.lock", doors.clock, holder="A balancer", wait_seconds=5.0):
        click.echo(f"Balancing {hostname}; HAProxy's files are in {state}. Stop with Ctrl-C.", err=True)
        stop, received = threading.Event(), list[int]()

        def end(number: int, _: FrameType | None) -> None:
            received.append(number)
            stop.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        node.run(stop)
        if stop_haproxy if stop_haproxy is not None else signal.SIGINT in received:
            node.stop_haproxy()
        else:
            click.echo("HAProxy goes on balancing; the next `balancer run` takes it over.", err=True)


def fetch_view(client: options.Client, hostname: str, compartment_id: str | None) -> protocol.BalancerView:
    """The hub's view of the group."""
    from stationmaster.balancer import spec as specs

    query = {"hostname": hostname, **({"compartmentId": compartment_id} if compartment_id else {})}
    return specs.parse_view(client.get(f"{options.OWN}/groups/balancer", **query))


def _sign(client: options.Client, hostname: str, compartment_id: str | None, request: str) -> str:
    body = {"hostname": hostname, "request": request, **({"compartmentId": compartment_id} if compartment_id else {})}
    return str(client.post(f"{options.OWN}/groups/certificate", body)["chain"])


def _reporter(
    client: options.Client, hostname: str, compartment_id: str | None, stated: tuple[str, ...]
) -> Callable[[tuple[str, ...], tuple[protocol.Ports, ...]], None]:
    from stationmaster.host import network

    node = network.host_name()

    def report(own: tuple[str, ...], serves: tuple[protocol.Ports, ...]) -> None:
        body: dict[str, Any] = {"hostname": hostname, "addresses": list(stated or own), "node": node}
        body["serves"] = [{"proxy": one.proxy, "http": one.http, "https": one.https} for one in serves]
        if compartment_id:
            body["compartmentId"] = compartment_id
        client.put(f"{options.OWN}/groups/balancers", body)

    return report


def require_pair(certificate: Path | None, ca: Path | None) -> None:
    """Ending TLS needs both: our certificate for clients, and the CA by which stations are known."""
    if (certificate is None) != (ca is None):
        raise errors.CallerError(
            "--certificate and --stations-ca go together.", hint="Give the hub's ca.pem as --stations-ca."
        )


def _absolute(path: Path | None) -> Path | None:
    return path.resolve() if path is not None else None


def _virtual_address(bind: str, hostname: str) -> str:
    """--bind, else the one address that the group's name resolves to here."""
    from stationmaster.host import network

    if bind != "*":
        return bind
    found = network.resolve(hostname)
    if len(found) != 1:
        raise errors.CallerError(
            f"{hostname} resolves to {len(found)} addresses here, and keepalived needs the one that is shared.",
            hint="Give it: --bind ADDRESS.",
        )
    return found[0]
