"""``hub init``: database, CA, tenancy, and an administrator whose key and OCI configuration file are written.

Refused on a state directory, a database or a configuration file that is in use already. The rows are committed after
the files are written, and what was written is taken away again when anything fails: it may be repeated.
"""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path

import msgspec
import sqlalchemy as sa

from stationmaster.api_client import keys
from stationmaster.host import clock, files
from stationmaster.hub import state_dir
from stationmaster.hub.db import revision, schema, store
from stationmaster.hub.services import authority, belonging, events
from stationmaster.model import errors, ocid

REGION = "us-ashburn-1"  # any that SDKs know; they insist on one and do not use it beside an endpoint
ADMINISTRATOR = "administrator"


@dataclasses.dataclass(frozen=True)
class Made:
    """What ``hub init`` made."""

    tenancy_id: str
    user_id: str
    key_file: Path


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What ``hub init`` is to make."""

    root: Path
    oci_config: Path
    database: str | None = None

    @property
    def key_file(self) -> Path:
        """The administrator's private key, beside the configuration file that names it."""
        return self.oci_config.with_name(f"{self.oci_config.stem}-key.pem").absolute()


def initialise(wanted: Wanted, disk: files.Files, wall_clock: clock.Clock) -> Made:
    """Make a hub. CallerError when something of it is there already, HostError when the database is not available."""
    where = state_dir.StateDir(wanted.root.absolute())
    for path, what in ((where.hub_file, "is a hub's"), (wanted.oci_config, "exists"), (wanted.key_file, "exists")):
        if path.exists():
            raise errors.ConflictError(
                f"{path} {what} already; nothing was changed.",
                hint="Choose another --state-dir and --oci-config, or remove the old hub first.",
            )
    disk.make_directory(where.root, mode=0o711)  # others may read ca.pem, whose name they know
    disk.make_directory(wanted.oci_config.absolute().parent, mode=0o700)
    written: list[Path] = []
    try:
        return _make(wanted, where, disk, wall_clock, written)
    except BaseException:
        for path in reversed(written):
            disk.remove(path)
        raise


def _make(
    wanted: Wanted, where: state_dir.StateDir, disk: files.Files, wall_clock: clock.Clock, written: list[Path]
) -> Made:
    url = wanted.database or f"sqlite:///{where.database}"
    key = keys.make_private_key()
    made = Made(ocid.mint(ocid.Kind.TENANCY, ""), ocid.mint(ocid.Kind.USER, ""), wanted.key_file)
    certificate, ca_key = authority.make_authority("Stationmaster hub CA", wall_clock.now())
    hub_file = state_dir.HubFile(
        format_version=state_dir.FORMAT_VERSION, database=url, tenancy_id=made.tenancy_id, region=REGION
    )
    if wanted.database is None:
        written += [where.database.with_name(f"{where.database.name}{end}") for end in ("", "-wal", "-shm")]
    opened = store.Store(url, wall_clock)
    try:
        _require_unowned(opened)  # before the schema is touched: another hub may still run an older one
        opened.migrate()
        if wanted.database is None:
            disk.set_mode(where.database, 0o600)
        with opened.write() as tx:
            _require_empty(tx)
            belonging.note_ca(tx, certificate)
            _insert(tx, made, keys.public_pem(key.public_key()), keys.fingerprint(key.public_key()), wall_clock)
            for path, content, mode in (
                (where.ca, certificate, 0o644),
                (where.ca_key, ca_key, 0o600),
                (made.key_file, keys.private_pem(key), 0o600),
                (wanted.oci_config, _oci_config(made, keys.fingerprint(key.public_key())), 0o600),
                (where.hub_file, msgspec.json.format(msgspec.json.encode(hub_file)), 0o600),
            ):
                written.append(path)
                disk.write_atomic(path, content, mode=mode)
    except (sa.exc.OperationalError, sa.exc.ProgrammingError) as exc:
        raise errors.HostError(f"Cannot use the database: {exc.orig}.", hint="Check --database.") from exc
    finally:
        opened.close()
    return made


def _require_unowned(opened: store.Store) -> None:
    with opened.engine.connect() as connection:
        age = revision.age_of(connection)
    if age is revision.Age.NEWER:
        raise _owned()
    if age is not revision.Age.NONE:
        with opened.read() as tx:
            _require_empty(tx)


def _require_empty(tx: sa.Connection) -> None:
    if tx.execute(sa.select(schema.settings.c.name).limit(1)).scalar_one_or_none() is not None:
        raise _owned()


def _owned() -> errors.ConflictError:
    return errors.ConflictError(
        "The database belongs to a hub already; nothing was changed.",
        hint="Give --database an empty one, or make one more replica of that hub with `stationmaster hub join`.",
    )


def _insert(tx: sa.Connection, made: Made, public_key: str, fingerprint: str, wall_clock: clock.Clock) -> None:
    now = wall_clock.now()
    tx.execute(schema.settings.insert().values(name="page_secret", value=secrets.token_hex(32)))
    tx.execute(
        schema.compartments.insert().values(
            id=made.tenancy_id,
            parent_id=None,
            display_name="root",
            description="The tenancy.",
            time_created=now,
            created_by=made.user_id,
        )
    )
    tx.execute(
        schema.principals.insert().values(
            id=made.user_id, kind="USER", name=ADMINISTRATOR, tenancy_id=made.tenancy_id, time_created=now
        )
    )
    tx.execute(
        schema.api_keys.insert().values(
            principal_id=made.user_id, fingerprint=fingerprint, public_key=public_key, time_created=now
        )
    )
    subject = events.Subject(made.tenancy_id, "root", made.tenancy_id)
    events.record(tx, now, "HUB_MADE", subject, "The hub was made, with an administrator.")


def _oci_config(made: Made, fingerprint: str) -> bytes:
    return (
        f"[DEFAULT]\nuser={made.user_id}\nfingerprint={fingerprint}\nkey_file={made.key_file}\n"
        f"tenancy={made.tenancy_id}\nregion={REGION}\n"
    ).encode()
