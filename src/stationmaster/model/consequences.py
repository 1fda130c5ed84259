"""What a change does to groups beyond what was asked for, in words: said before or while it is made. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from stationmaster.model import client_findings

Key = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Member:
    """A station of a group."""

    name: str
    directory: str


@dataclasses.dataclass(frozen=True)
class Group:
    """A group by its key, host name and compartment (I1): members by id, and what it mirrors, names by id (I3)."""

    members: Mapping[str, Member]
    sources: Mapping[str, str]


Groups = Mapping[Key, Group]
NO_GROUP = Group({}, {})


def of_change(before: Groups, after: Groups, *, kept: str) -> tuple[str, ...]:
    """Warnings, in the order in which they should be read. ``kept``: for how long data that nobody needs stay."""
    found: list[str] = []
    for key in sorted({*before, *after}):
        former, present = before.get(key, NO_GROUP), after.get(key, NO_GROUP)
        found += _left(key, former, present)
        found += _joined(key, former, present)
        found += _shrunk(key, former, present, kept)
    found += _alike(before, after)
    return tuple(dict.fromkeys(found))


def _left(key: Key, former: Group, present: Group) -> Iterator[str]:
    gone = sorted(former.members[one].name for one in former.members.keys() - present.members.keys())
    stay = sorted(one.name for one in present.members.values())
    if gone and stay:
        yield f"{', '.join(gone)} leaves the group of {key[0]}, where {', '.join(stay)} stay."
        if len(stay) == 1:
            yield f"{stay[0]} is then the only station of {key[0]}: when it fails, instances get no updates."


def _joined(key: Key, former: Group, present: Group) -> Iterator[str]:
    """Directories that differ do no harm; they are said when they begin to."""
    by_directory: dict[str, list[str]] = {}
    for member in present.members.values():
        by_directory.setdefault(member.directory, []).append(member.name)
    known = {member.directory for member in former.members.values()}
    if len(by_directory) > 1 and not by_directory.keys() <= known:
        named = "; ".join(f"{where}: {', '.join(sorted(names))}" for where, names in sorted(by_directory.items()))
        yield f"Stations of {key[0]} then keep their mirrors in different directories ({named})."


def _shrunk(key: Key, former: Group, present: Group, kept: str) -> Iterator[str]:
    if not present.members:
        return
    gone = sorted(former.sources[one] for one in former.sources.keys() - present.sources.keys())
    if gone:
        yield f"The group of {key[0]} no longer mirrors {', '.join(gone)}; what its volumes hold of it stays {kept}."


def _alike(before: Groups, after: Groups) -> Iterator[str]:
    for hostname, compartment in sorted(after.keys() - before.keys()):
        for other, place in sorted(after):
            if place == compartment and client_findings.are_alike(hostname, other):
                yield f"{hostname} makes a group of its own; {other} is another one."
            elif other == hostname and place != compartment:
                yield f"{hostname} is in use in another compartment; stations here are another group."
