"""The way to an upstream as the hub describes it: credentials and TLS files become an HTTP door of the source's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from stationmaster.mirror import access, exchange, source
from stationmaster.model import protocol


@contextlib.contextmanager
def opened(
    wanted: protocol.MirrorSource, known: source.Source, others: exchange.HttpDoor
) -> Iterator[tuple[exchange.HttpDoor, tuple[str, ...]]]:
    """The door, and what the operator should know of it; CallerError when a file of the source cannot be used."""
    credentials = credentials_of(wanted)
    with access.opened(credentials, known, others, is_tls_verified=wanted.is_tls_verified) as door:
        yield door, access.warnings_of(credentials, known)


def credentials_of(wanted: protocol.MirrorSource) -> access.Credentials:
    """What the source's upstream wants to see."""
    given = wanted.access or protocol.UpstreamAccess()
    return access.Credentials(
        username=given.username,
        password=given.password,
        certificate=_path(given.client_certificate),
        key=_path(given.client_key),
        ca_file=_path(given.ca_file),
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None
