"""Keys that a source names by address: read from the mirror, which keeps them with the source (design 12a).

They come over the mirror's HTTPS port, checked against the hub's CA, also where packages are read over plain HTTP: a
key is what packages are trusted by. What was read is kept, for the times when no station answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from stationmaster.host import http
from stationmaster.model import errors, groups
from stationmaster.model.protocol import ClientAddress, InstanceDesired, InstanceSource, Problem

FILE = "source-keys.json"
_TIMEOUT = 15.0
_ARMOR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


class KeptKeys(msgspec.Struct, frozen=True, rename="camel"):
    """Armored keys by source."""

    keys: dict[str, str] = {}


def sources_without(desired: InstanceDesired) -> list[InstanceSource]:
    """The sources whose signatures are checked, by keys that the hub does not hold."""
    return [source for source in desired.sources if source.is_gpg_checked and not source.gpg_keys]


def complete(desired: InstanceDesired, kept: KeptKeys) -> InstanceDesired:
    """The same, with what is kept put where the hub has no key."""
    sources = [
        msgspec.structs.replace(source, gpg_keys=[kept.keys[source.source_id]])
        if source.is_gpg_checked and not source.gpg_keys and source.source_id in kept.keys
        else source
        for source in desired.sources
    ]
    return msgspec.structs.replace(desired, sources=sources)


def fetch_keys(
    address: ClientAddress, sources: Iterable[InstanceSource], kept: Mapping[str, str], ca_file: Path | None
) -> tuple[KeptKeys, list[Problem]]:
    """The keys of these sources, and what stands against having them; a kept one is no problem."""
    mirror = http.Http(ca_file=ca_file)
    found: dict[str, str] = {}
    problems = []
    for source in sources:
        # Without a CA the hub speaks plain HTTP on a loopback address, and so may the mirror.
        base = groups.mirror_base_url(address, is_tls=True if ca_file else None)
        try:
            found[source.source_id] = _fetch(mirror, f"{base}/keys/{source.source_id}.asc")
        except errors.StationmasterError as exc:
            if source.source_id in kept:
                found[source.source_id] = kept[source.source_id]
            else:
                problems.append(Problem("KeyUnavailable", f"{source.display_name}: {exc.message}"))
    mirror.close()
    return KeptKeys(found), problems


def _fetch(mirror: http.Http, url: str) -> str:
    answer = mirror.request("GET", url, timeout=_TIMEOUT)
    text = answer.body.decode("ascii", "replace")
    if answer.status != 200 or _ARMOR not in text:
        raise errors.PeerError(f"{url} answered {answer.status} and no key; signatures cannot be checked without one.")
    return text
