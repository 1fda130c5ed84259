"""From a state directory to a hub that can serve: its database, brought to this release's schema, and its CA."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from stationmaster.host import clock, files, network
from stationmaster.hub import context, state_dir
from stationmaster.hub.db import schema, store
from stationmaster.hub.services import authority
from stationmaster.model import errors


def open_hub(root: Path, public_url: str, wall_clock: clock.Clock) -> context.Hub:
    """Open database and CA of a state directory, bringing the schema to this release."""
    where = state_dir.StateDir(root.absolute())
    known = where.read()
    hint = f"Restore it: machines trust only the CA that was made with {where.root}."
    opened = store.Store(known.database, wall_clock)
    try:
        opened.migrate()
        with opened.read() as tx:
            secret = tx.execute(sa.select(schema.settings.c.value).where(schema.settings.c.name == "page_secret"))
            page_secret = bytes.fromhex(secret.scalar_one())
    except sa.exc.OperationalError as exc:
        raise errors.HostError(
            f"Cannot use the hub's database: {exc.orig}.", hint=f"Its address is in {where.hub_file}."
        ) from exc
    return context.Hub(
        store=opened,
        clock=wall_clock,
        authority=authority.Authority.load(
            files.read_required(where.ca, what="the CA certificate", hint=hint),
            files.read_required(where.ca_key, what="the CA key", hint=hint),
        ),
        tenancy_id=known.tenancy_id,
        region=known.region,
        public_url=public_url,
        resolve=network.resolve,
        page_secret=page_secret,
    )
