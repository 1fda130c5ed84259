"""From a state directory to a hub that can serve: its database, brought to this release's schema, and its CA."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import sqlalchemy as sa

from stationmaster.host import clock, files, network
from stationmaster.hub import context, logs, public_address, settling, shared_clock, state_dir, watch
from stationmaster.hub.db import revision, store
from stationmaster.hub.services import authority, belonging
from stationmaster.model import errors


def open_hub(root: Path, own: public_address.Own, wall_clock: clock.Clock) -> context.Hub:
    """Open database and CA of a state directory, bringing the schema to this release.

    From here on the hub's clock is the database server's, where there is one.
    """
    where = state_dir.StateDir(root.absolute())
    known = where.read()
    hint = f"Restore it: machines trust only the CA that was made with {where.root}."
    ca = files.read_required(where.ca, what="the CA certificate", hint=hint)
    opened = store.Store(known.database, wall_clock)
    try:
        page_secret = _bring_up(opened, known.tenancy_id, ca)
        own = dataclasses.replace(own, is_joined=known.is_joined)
        address = public_address.PublicAddress(_settle_address(opened, own))
        shared = shared_clock.SharedClock(wall_clock)
        shared.follow(watch.measure(opened, shared))
    except sa.exc.OperationalError as exc:
        opened.close()
        raise errors.HostError(
            f"Cannot use the hub's database: {exc.orig}.", hint=f"Its address is in {where.hub_file}."
        ) from exc
    except BaseException:
        opened.close()
        raise
    settled = settling.Settling()
    watched = watch.Watch(opened, shared, settled, address)
    opened.on_change = watched.unsettle
    return context.Hub(
        store=opened,
        clock=shared,
        authority=authority.Authority.load(
            ca,
            files.read_required(where.ca_key, what="the CA key", hint=hint),
        ),
        tenancy_id=known.tenancy_id,
        region=known.region,
        address=address,
        resolve=network.resolve,
        page_secret=page_secret,
        settling=settled,
        watch=watched,
    )


def _settle_address(opened: store.Store, own: public_address.Own) -> str:
    with opened.read() as tx:
        former = public_address.read(tx)
    url = opened.transact(lambda tx: public_address.settle(tx, own))
    if former is not None and former.url != url:
        logs.write("the public address changed for all replicas", level=logging.WARNING, former=former.url, url=url)
    return url


def _bring_up(opened: store.Store, tenancy_id: str, ca: bytes) -> bytes:
    """The secret of page tokens, from a database of this hub's own, brought to this release's schema."""
    with opened.engine.connect() as connection:
        revision.require_usable(revision.age_of(connection))
    with opened.read() as tx:
        belonging.require_own(tx, tenancy_id, ca)
    opened.migrate()
    opened.prepare()
    opened.transact(lambda tx: belonging.note_ca(tx, ca))
    with opened.read() as tx:
        return bytes.fromhex(belonging.read_setting(tx, "page_secret"))
