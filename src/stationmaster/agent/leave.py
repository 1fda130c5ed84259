"""Unregisters this instance: repository files as they were before, the hub told, the state directory's content gone."""

from __future__ import annotations

from pathlib import Path

from stationmaster.agent import doors, instance, state
from stationmaster.agent.steps import write_repositories

_KEPT = frozenset({"lock"})


def leave(state_directory: Path, through: doors.Doors, *, is_local: bool) -> str:
    """Leave and return who left. The hub comes first: a machine that it still counts must be able to say so again."""
    one = instance.Instance(state.StateDirectory(state_directory, through.disk), through)
    known = one.identity.managed_instance_id
    if not is_local:
        one.open_session().request("POST", f"/stationmaster/v1/managedInstances/{known}/leave")
    write_repositories.restore_all(one.target, one.state, through.disk)
    # agent.json goes last: whoever is cut short here can say `leave --local` once more.
    for path in sorted(state_directory.iterdir(), key=lambda found: (found.name == "agent.json", found.name)):
        if path.name not in _KEPT:
            through.disk.remove_tree(path)
    return known
