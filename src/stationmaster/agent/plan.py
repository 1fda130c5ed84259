"""What an agent has to do next, from what it saw: pure, and safe to stop after any step.

Order: an unproved re-point is undone first; then a new address is tried; then the files are brought to what the address
in use and the sources ask for. Jobs come after that and are the spool's business.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from stationmaster.agent import repositories, state
from stationmaster.model import protocol


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The machine as it is. ``on_disk`` has every file of ours that exists; ``ours`` those that we wrote."""

    in_use: state.AddressInUse
    former: state.AddressInUse | None
    desired: protocol.InstanceDesired | None
    kind: protocol.PackageManager
    prefix: str
    on_disk: Mapping[str, str]
    ours: frozenset[str]
    is_repoint_tried: bool = False


@dataclasses.dataclass(frozen=True)
class GoBack:
    """A re-point was cut short before it proved itself: use the former address again."""

    address: state.AddressInUse


@dataclasses.dataclass(frozen=True)
class Repoint:
    """Rehearse the address, and adopt it when that holds."""

    address: protocol.ClientAddress


@dataclasses.dataclass(frozen=True)
class WriteRepositories:
    """Bring the files to this, by path inside the root; files of ours that are not named go."""

    files: Mapping[str, str]


Step = GoBack | Repoint | WriteRepositories


def plan_steps(snapshot: Snapshot) -> tuple[Step, ...]:
    """The next steps; empty when nothing is to be done. After a step the machine is looked at anew."""
    if snapshot.former is not None:
        return (GoBack(snapshot.former),)
    desired = snapshot.desired
    if desired is None:
        return ()
    wanted = desired.address
    if wanted is not None and wanted != snapshot.in_use.client_address and not snapshot.is_repoint_tried:
        return (Repoint(wanted),)
    files = expected_files(snapshot, snapshot.in_use.client_address if wanted is not None else None)
    differs = any(snapshot.on_disk.get(path) != text for path, text in files.items())
    if differs or snapshot.ours - set(files):
        return (WriteRepositories(files),)
    return ()


def expected_files(snapshot: Snapshot, address: protocol.ClientAddress | None) -> dict[str, str]:
    """Every file for this address; none without an address or a desired state."""
    if address is None or snapshot.desired is None:
        return {}
    return repositories.render_files(make_repositories(snapshot.desired, address, snapshot.kind, snapshot.prefix))


def make_repositories(
    desired: protocol.InstanceDesired, address: protocol.ClientAddress, kind: protocol.PackageManager, prefix: str
) -> repositories.Repositories:
    """What files are rendered from."""
    return repositories.Repositories(kind, tuple(desired.sources), address, desired.ca, desired.is_tls_verified, prefix)


def is_applied(snapshot: Snapshot) -> bool:
    """Whether nothing of the desired state is left to do, so that the hub may be told."""
    if snapshot.desired is None or snapshot.former is not None:
        return False
    wanted = snapshot.desired.address
    if wanted is not None and wanted != snapshot.in_use.client_address:
        return False
    return not plan_steps(snapshot)
