"""The packages of an instance, taken when they may have changed and not more often: listing them costs real work."""

from __future__ import annotations

import datetime

from stationmaster.agent import state
from stationmaster.agent.package_managers import base
from stationmaster.model import digest
from stationmaster.model.protocol import Inventory

FILE = "inventory.json"
OLDEST = datetime.timedelta(hours=1)


def is_due(
    seen: state.SeenInventory | None, stamp: str, now: datetime.datetime, *, oldest: datetime.timedelta = OLDEST
) -> bool:
    """Whether packages changed since, or updates may have appeared."""
    return seen is None or seen.stamp != stamp or not datetime.timedelta(0) <= now - seen.time_taken < oldest


def take_inventory(manager: base.Manager) -> Inventory:
    """All installed packages, and what the pinned repositories could update."""
    return Inventory(manager.installed(), manager.updatable())


def digest_of(inventory: Inventory) -> str:
    """By which hub and agent know whether they mean the same."""
    return digest.digest_of(inventory)


def is_reboot_required(target: base.Target) -> bool:
    """Where the distribution leaves a note that it is (Debian's way; others have no note)."""
    return any(target.outside(path).exists() for path in ("/run/reboot-required", "/var/run/reboot-required"))
