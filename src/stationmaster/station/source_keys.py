"""OpenPGP keys of a source: given inline, or fetched once from where the source names them and pinned by storing.

A key that was fetched is never fetched again while the source names the same address: whoever controls that address
later cannot exchange it (I13). Whatever comes must be an OpenPGP certificate, and goes to clients armored, so nothing
but public keys can leave through ``/keys``.
"""

from __future__ import annotations

import hashlib
import urllib.parse
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.host import http as host_http
from stationmaster.mirror import trust
from stationmaster.model import errors, protocol

KEY_DIRECTORIES = (
    "/etc/pki/rpm-gpg/",
    "/etc/apt/keyrings/",
    "/etc/apt/trusted.gpg.d/",
    "/usr/share/keyrings/",
    "/usr/share/distribution-gpg-keys/",
)
_LIMIT_BYTES = 1 << 20


def wanted_name(source: protocol.MirrorSource) -> str:
    """Names what the keys of a source are made from; empty when it has none."""
    if not (source.gpg_keys or source.gpg_key_urls):
        return ""
    content = "\0".join([*source.gpg_keys, "", *source.gpg_key_urls])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


class KeyStore:
    """The directory of fetched keys, one file for each address they came from."""

    def __init__(self, directory: Path, files: host_files.Files, http: host_http.Http) -> None:
        self._directory = directory
        self._files = files
        self._http = http

    def collect(self, source: protocol.MirrorSource) -> str:
        """All keys of a source, armored. StationmasterError says which one cannot be had or is no key."""
        found = [armor(key.encode(), where=f"the source {source.name}") for key in source.gpg_keys]
        found += [self._pinned(url) for url in source.gpg_key_urls]
        return "".join(found)

    def _pinned(self, url: str) -> str:
        path = self._directory / f"{hashlib.sha256(url.encode()).hexdigest()}.asc"
        known = host_files.read_text_or_none(path)
        if known is not None:
            return known
        armored = armor(self._fetch(url), where=url)
        self._files.make_directory(self._directory)
        self._files.write_atomic(path, armored.encode())
        return armored

    def _fetch(self, url: str) -> bytes:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "file":
            return _read_local(Path(urllib.parse.unquote(parts.path)), url)
        if parts.scheme not in {"http", "https"}:
            raise errors.CallerError(
                f"gpgKeyUrl is {url!r}; a key is fetched by https, http or file.", hint="Correct the software source."
            )
        answer = self._http.request("GET", url, timeout=20.0)
        if answer.status != 200 or len(answer.body) > _LIMIT_BYTES:
            raise errors.UpstreamError(
                f"The key at {url} cannot be fetched: status {answer.status}, {len(answer.body)} bytes.",
                hint="Check gpgKeyUrl of the software source, or give the key itself.",
            )
        return answer.body


def _read_local(path: Path, url: str) -> bytes:
    """A key on this host, from the directories that hold keys and nothing else."""
    resolved = path.resolve()
    if not any(str(resolved).startswith(directory) for directory in KEY_DIRECTORIES):
        raise errors.CallerError(
            f"gpgKeyUrl {url} lies outside the directories for keys.",
            hint=f"Put the key below one of {', '.join(KEY_DIRECTORIES)}",
        )
    return host_files.read_required(
        resolved, what="the key", hint="Put it there on each station, or use a web address."
    )


def armor(content: bytes, *, where: str) -> str:
    """Public OpenPGP certificates as text, each armored; CallerError when it is anything else."""
    try:
        keyring = trust.load_keyring([content])
    except errors.CallerError as exc:
        raise errors.CallerError(f"What {where} gives is no OpenPGP key.", hint="Give a public key.") from exc
    found = "".join(str(certificate) for certificate in keyring.certificates) if keyring else ""
    if not found:
        raise errors.CallerError(f"What {where} gives holds no OpenPGP key.", hint="Give a public key.")
    return found if found.endswith("\n") else found + "\n"
