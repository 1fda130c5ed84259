"""One more replica of a hub: what it needs of the first is handed over in one file that only its owner reads.

The file carries the CA's key and, with the address of the database, perhaps a password: it is refused when others could
read it, and is of no use any more once the replica has joined. A replica makes its own TLS key and certificate when it
serves. Joining reads the database and changes nothing in it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import sqlalchemy as sa

from stationmaster.host import clock, files
from stationmaster.hub import state_dir
from stationmaster.hub.db import revision, store
from stationmaster.hub.services import authority, belonging
from stationmaster.model import errors

FORMAT_VERSION = 1


class Invitation(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """What ``hub invite`` writes and ``hub join`` reads."""

    format_version: int
    database: str
    tenancy_id: str
    region: str
    ca: str
    ca_key: str


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A replica that is to be. ``database`` replaces the address in the invitation."""

    root: Path
    invitation: Path
    database: str | None = None


def invite(root: Path, output: Path, disk: files.Files) -> None:
    """Write an invitation; CallerError when the hub's database is not one that several replicas can share."""
    where = state_dir.StateDir(root.absolute())
    known = where.read()
    if known.database.startswith("sqlite"):
        raise errors.CallerError(
            f"The hub in {where.root} has its database in a file of its own, which other hosts cannot use.",
            hint="Several replicas need PostgreSQL: `stationmaster hub init --database postgresql://…`.",
        )
    hint = f"Restore it: machines trust only the CA that was made with {where.root}."
    told = Invitation(
        format_version=FORMAT_VERSION,
        database=known.database,
        tenancy_id=known.tenancy_id,
        region=known.region,
        ca=files.read_required(where.ca, what="the CA certificate", hint=hint).decode(),
        ca_key=files.read_required(where.ca_key, what="the CA key", hint=hint).decode(),
    )
    if not disk.create_exclusive(output, msgspec.json.format(msgspec.json.encode(told)), mode=0o600):
        raise errors.ConflictError(f"{output} exists already; nothing was written.", hint="Choose another --output.")


def join(wanted: Wanted, disk: files.Files, wall_clock: clock.Clock) -> state_dir.StateDir:
    """Make the state directory of one more replica. What was written is taken away again when anything fails."""
    where = state_dir.StateDir(wanted.root.absolute())
    for path in (where.hub_file, where.ca, where.ca_key):
        if path.exists():
            raise errors.ConflictError(
                f"{path} is a hub's already; nothing was changed.", hint="Choose another --state-dir."
            )
    told = read_invitation(wanted.invitation)
    url = wanted.database or told.database
    authority.Authority.load(told.ca.encode(), told.ca_key.encode())
    _require_joinable(url, told, wall_clock)
    hub_file = state_dir.HubFile(
        format_version=state_dir.FORMAT_VERSION,
        database=url,
        tenancy_id=told.tenancy_id,
        region=told.region,
        is_joined=True,
    )
    disk.make_directory(where.root, mode=0o711)  # others may read ca.pem, whose name they know
    written: list[Path] = []
    try:
        for path, content, mode in (
            (where.ca, told.ca.encode(), 0o644),
            (where.ca_key, told.ca_key.encode(), 0o600),
            (where.hub_file, msgspec.json.format(msgspec.json.encode(hub_file)), 0o600),
        ):
            written.append(path)
            disk.write_atomic(path, content, mode=mode)
    except BaseException:
        for path in reversed(written):
            disk.remove(path)
        raise
    return where


def read_invitation(path: Path) -> Invitation:
    """The file; CallerError when it is none, or when others than its owner could have read it."""
    content = files.read_required(path, what="the invitation", hint="Write one with `stationmaster hub invite`.")
    if path.stat().st_mode & 0o077:
        raise errors.CallerError(
            f"{path} can be read by others than its owner, and it holds the CA's private key.",
            hint=f"If nobody else has seen it, `chmod 600 {path}`; carry it over with its mode (scp -p).",
        )
    try:
        found = msgspec.json.decode(content, type=Invitation)
    except msgspec.DecodeError as exc:
        raise errors.CallerError(
            f"{path} is no invitation of a hub.", hint="Write one with `stationmaster hub invite` on the first hub."
        ) from exc
    if found.format_version != FORMAT_VERSION:
        raise errors.CallerError(
            f"{path} has format version {found.format_version}, this release knows {FORMAT_VERSION}.",
            hint="Use one release of Stationmaster on all replicas.",
        )
    return found


def _require_joinable(url: str, told: Invitation, wall_clock: clock.Clock) -> None:
    opened = store.Store(url, wall_clock)
    try:
        if opened.engine.dialect.name != "postgresql":
            raise errors.CallerError(
                "A replica needs the PostgreSQL database of its hub.", hint="Check --database and the invitation."
            )
        with opened.engine.connect() as connection:
            age = revision.age_of(connection)
        revision.require_usable(age)
        if age is revision.Age.OLDER:
            raise errors.CallerError(
                "The database still has the schema of an older release.",
                hint="Start the first hub with this release: it brings the database up to date. Then join.",
            )
        with opened.read() as tx:
            belonging.require_own(tx, told.tenancy_id, told.ca.encode())
    except sa.exc.OperationalError as exc:
        raise errors.HostError(f"Cannot use the hub's database: {exc.orig}.", hint="Check --database.") from exc
    finally:
        opened.close()
