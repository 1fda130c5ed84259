"""Unregisters this instance: repository files as they were before, the hub told, the state directory's content gone."""

from __future__ import annotations

import enum

from stationmaster.agent import instance
from stationmaster.agent.steps import write_repositories

_KEPT = frozenset({"lock"})


class Way(enum.Enum):
    """Who wants it, and so in which order: a failure must leave the side that asked able to ask again."""

    BY_HAND = "by hand"  # the hub first: when it cannot be told, nothing has changed
    ORDERED = "ordered"  # by the hub: it is told when the machine is as it was before
    LOCAL = "local"  # the hub is gone, or has forgotten this instance


def leave(one: instance.Instance, way: Way) -> str:
    """Leave, and return who left."""
    known = one.identity.managed_instance_id
    if way is Way.BY_HAND:
        _tell_hub(one)
    write_repositories.restore_all(one.target, one.state, one.doors.disk)
    if way is Way.ORDERED:
        _tell_hub(one)
    # agent.json goes last: whoever is cut short here can say `leave --local` once more.
    for path in sorted(one.state.path.iterdir(), key=lambda found: (found.name == "agent.json", found.name)):
        if path.name not in _KEPT:
            one.doors.disk.remove_tree(path)
    return known


def _tell_hub(one: instance.Instance) -> None:
    known = one.identity.managed_instance_id
    one.open_session().request("POST", f"/stationmaster/v1/managedInstances/{known}/leave")
