"""Whether a state directory and a database are of one hub. Replicas share a database, and nothing else on disk.

Two hubs on one database would sign for different tenancies, and machines would trust one of two CAs: so the database
names its tenancy and the digest of its CA, and who brings others is refused before anything is written.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from stationmaster.hub.db import schema
from stationmaster.model import errors

_CA = "ca_digest"
_HINT = "Give each hub a database of its own; `stationmaster hub join` makes one more replica of a hub."


def ca_digest(ca_pem: bytes) -> str:
    """SHA-256 of the certificate itself, however its PEM is written."""
    return x509.load_pem_x509_certificate(ca_pem).fingerprint(hashes.SHA256()).hex()


def note_ca(tx: sa.Connection, ca_pem: bytes) -> None:
    """Write down the CA of a database that names none yet."""
    if read_setting(tx, _CA) is None:
        tx.execute(schema.settings.insert().values(name=_CA, value=ca_digest(ca_pem)))


def require_own(tx: sa.Connection, tenancy_id: str, ca_pem: bytes) -> None:
    """CallerError unless the database is of this tenancy and this CA."""
    compartments = schema.compartments.c
    owner = tx.execute(sa.select(compartments.id).where(compartments.parent_id.is_(None))).scalar()
    if owner is None:
        raise errors.CallerError("The database holds no hub.", hint="Check which database is named.")
    if owner != tenancy_id:
        raise errors.CallerError(
            f"The database is of another hub: its tenancy is {owner}, this state directory's is {tenancy_id}.",
            hint=_HINT,
        )
    noted = read_setting(tx, _CA)
    if noted is not None and noted != ca_digest(ca_pem):
        raise errors.CallerError(
            "The database belongs to a hub with another CA than the ca.pem of this state directory.",
            hint="Restore ca.pem and ca-key.pem from where the hub was made: machines trust that CA alone.",
        )


def read_setting(tx: sa.Connection, name: str) -> Any:
    """A setting; None when there is none."""
    return tx.execute(sa.select(schema.settings.c.value).where(schema.settings.c.name == name)).scalar()
