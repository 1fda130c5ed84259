"""The hub's state directory: where each file lies, and ``hub.json``, which says that it is complete.

hub.json      format version, database URL, tenancy, region     0600
hub.sqlite3   the database, unless --database named another
ca.pem        the CA that all machines trust
ca-key.pem    its private key                                   0600
tls/          the hub's own key (0600) and certificate chain
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec

from stationmaster.host import files
from stationmaster.model import errors

FORMAT_VERSION = 1


class HubFile(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Content of ``hub.json``; the database URL may carry a password, hence the mode of the file.

    ``is_joined``: the hub was made elsewhere, and this is one more replica of it.
    """

    format_version: int
    database: str
    tenancy_id: str
    region: str
    is_joined: bool = False


@dataclasses.dataclass(frozen=True)
class StateDir:
    """Paths below one state directory."""

    root: Path

    @property
    def hub_file(self) -> Path:
        """Written last by ``hub init``."""
        return self.root / "hub.json"

    @property
    def database(self) -> Path:
        """The built-in database."""
        return self.root / "hub.sqlite3"

    @property
    def ca(self) -> Path:
        """CA certificate."""
        return self.root / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """CA private key."""
        return self.root / "ca-key.pem"

    @property
    def tls_key(self) -> Path:
        """The hub's own private key."""
        return self.root / "tls" / "key.pem"

    @property
    def tls_chain(self) -> Path:
        """The hub's certificate, then the CA."""
        return self.root / "tls" / "chain.pem"

    def read(self) -> HubFile:
        """``hub.json``; CallerError when this is no state directory of a hub."""
        text = files.read_text_or_none(self.hub_file)
        if text is None:
            raise errors.CallerError(
                f"{self.root} is no state directory of a hub.", hint="Make one with `stationmaster hub init`."
            )
        try:
            found = msgspec.json.decode(text, type=HubFile)
        except msgspec.DecodeError as exc:
            raise errors.CallerError(f"{self.hub_file} cannot be read: {exc}.") from exc
        if found.format_version != FORMAT_VERSION:
            raise errors.CallerError(
                f"{self.hub_file} has format version {found.format_version}, this release knows {FORMAT_VERSION}.",
                hint="Use the release of Stationmaster that wrote it, or a newer one.",
            )
        return found
