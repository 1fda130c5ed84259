"""Work requests as commands meet them: say which one was opened, and wait for its end where that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from stationmaster.api_client import session
from stationmaster.cli import options, output
from stationmaster.host import clock
from stationmaster.model import errors

R = TypeVar("R")

_ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
_PAUSE_SECONDS = 1.0


def wait_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add --wait and --wait-seconds, passed as ``wait_seconds`` (None: do not wait)."""

    def together(*arguments: Any, wait: bool, wait_seconds: float, **others: Any) -> R:
        return command(*arguments, wait_seconds=wait_seconds if wait else None, **others)

    together.__name__, together.__doc__ = command.__name__, command.__doc__
    together.__dict__.update(command.__dict__)
    with_seconds = click.option(
        "--wait-seconds", type=click.FloatRange(0), default=1200.0, show_default=True, help="Longest wait."
    )(together)
    return click.option("--wait", is_flag=True, help="Wait for the end; exit 1 when it failed.")(with_seconds)


def follow(client: options.Client, answer: session.Answer, *, wait_seconds: float | None, as_json: bool) -> None:
    """Print the work request that an answer names; with ``wait_seconds``, its end."""
    work_request_id = answer.headers.get("opc-work-request-id")
    if work_request_id is None:
        if as_json:
            output.print_json(answer.json())
        return
    if wait_seconds is None:
        if as_json:
            output.print_json({"workRequestId": work_request_id})
        else:
            click.echo(work_request_id)
        return
    show_end(client, wait_for(client, work_request_id, wait_seconds), as_json=as_json)


def wait_for(client: options.Client, work_request_id: str, seconds: float) -> dict[str, Any]:
    """The work request when it has ended; PeerError when it has not by then."""
    wall_clock = clock.SystemClock()
    deadline = wall_clock.monotonic() + seconds
    while True:
        found: dict[str, Any] = client.get(f"{options.API}/workRequests/{work_request_id}")
        if found["status"] in _ENDED:
            return found
        if wall_clock.monotonic() >= deadline:
            raise errors.PeerError(
                f"The work request {work_request_id} is {found['status']} after {seconds:g} s"
                + (f": {found['message']}" if found.get("message") else "."),
                hint=f"Look again with `stationmaster work-request get --work-request-id {work_request_id}`.",
                code="StillRunning",
            )
        wall_clock.sleep(_PAUSE_SECONDS)


def show_end(client: options.Client, found: dict[str, Any], *, as_json: bool) -> None:
    """Print a work request that ended; raises click's exit 1 when it did not succeed, after its errors."""
    if as_json:
        output.print_json(found)
    else:
        click.echo(f"{found['id']}  {found['status']}")
    if found["status"] == "SUCCEEDED":
        return
    if not as_json:
        for error in client.list(f"{options.API}/workRequests/{found['id']}/errors"):
            click.echo(f"error: {error['code']}: {error['message']}", err=True)
    click.get_current_context().exit(1)
