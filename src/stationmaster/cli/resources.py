"""What the client commands of several nouns share: options, and how an update is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from stationmaster.cli import options
from stationmaster.model import errors

C = TypeVar("C", bound=Callable[..., Any])

OS_FAMILIES = (
    "ORACLE_LINUX_10", "ORACLE_LINUX_9", "ORACLE_LINUX_8", "ORACLE_LINUX_7", "ORACLE_LINUX_6",
    "UBUNTU_24_04", "UBUNTU_22_04", "UBUNTU_20_04", "DEBIAN_13", "DEBIAN_12", "DEBIAN_11", "ALL",
)  # fmt: skip
ARCHITECTURES = ("X86_64", "AARCH64", "I686", "NOARCH", "SRC", "I386", "AMD64", "ARM64", "ALL")


def compartment_option(command: C) -> C:
    """Add --compartment-id; None means the root compartment, which a command asks of the client."""
    return click.option("--compartment-id", metavar="OCID", help="Default: the root compartment (the tenancy).")(
        command
    )


def id_option(noun: str) -> Callable[[C], C]:
    """The required --NOUN-id."""
    return click.option(f"--{noun}-id", required=True, metavar="OCID")


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was given on the command line: neither None nor an empty tuple."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if value not in (None, ())
    }


def update(client: options.Client, path: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """GET, change, PUT with if-match, so that a colleague's change in between is not lost."""
    before = client.answer("GET", path)
    body = change(before.json())
    if not body:
        raise errors.CallerError("Nothing to change was given.", hint="See --help for what can be changed.")
    etag = before.headers.get("etag")
    answer = client.answer("PUT", path, body=body, headers={"if-match": etag} if etag else {})
    found: dict[str, Any] = answer.json()
    return found


def read_text_option(path: Path | None) -> str | None:
    """The text of a file named on the command line; CallerError when it cannot be read."""
    if path is None:
        return None
    try:
        return path.read_text()
    except OSError as exc:
        raise errors.CallerError(f"Cannot read {path}: {exc.strerror}.") from exc


def print_script(answer_body: bytes, content_type: str) -> None:
    """A script that the hub generated, plain or as the `content` of JSON."""
    if "json" in content_type:
        import msgspec

        body = msgspec.json.decode(answer_body)
        text = body["content"] if isinstance(body, dict) else str(body)
    else:
        text = answer_body.decode()
    click.echo(text, nl=not text.endswith("\n"))
