"""A source as the hub describes it, for the engine: what is read, and by which way.

Credentials and TLS files become an HTTP door of the source's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from stationmaster.mirror import access, exchange
from stationmaster.mirror import source as mirror
from stationmaster.model import errors, protocol


@contextlib.contextmanager
def opened(
    wanted: protocol.MirrorSource, known: mirror.Source, others: exchange.HttpDoor
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


def engine_source(source: protocol.MirrorSource, armored_keys: str, *, url: str | None = None) -> mirror.Source:
    """The source as the engine knows it; its name is the OCID. CallerError when it cannot be mirrored.

    ``url``: read from there instead of from the upstream.
    """
    is_pinned = armored_keys and source.is_gpg_checked and source.is_root_signed
    keys = (armored_keys.encode(),) if is_pinned else ()
    if source.format is protocol.SourceFormat.RPM:
        given = source.access or protocol.UpstreamAccess()
        lists = given if url is None else protocol.UpstreamAccess()
        return mirror.RpmSource(
            name=source.source_id,
            url=url or source.url,
            keys=keys,
            mirrorlist=lists.mirrorlist,
            metalink=lists.metalink,
            package_keys=_package_keys(source, armored_keys) if given.is_each_package_checked else (),
        )
    return mirror.DebSource(
        name=source.source_id,
        url=url or source.url,
        suites=tuple(source.suites),
        components=tuple(source.components),
        architectures=tuple(source.architectures),
        keys=keys,
    )


def _package_keys(source: protocol.MirrorSource, armored_keys: str) -> tuple[bytes, ...]:
    """The keys that each package must be signed by, whether or not the root is."""
    if not armored_keys:
        raise errors.CallerError(
            f"{source.name} sets mirror_gpgcheck, and has no key to check packages by.",
            hint="Give the source a key (gpgKeyUrl), or leave the line out.",
        )
    return (armored_keys.encode(),)


def _path(text: str) -> Path | None:
    return Path(text) if text else None
