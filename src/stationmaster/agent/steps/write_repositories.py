"""Writes the files below the root, and can bring back what was there before registration.

``repos.json`` notes what a path held before the first write, and is itself written first: a kill in between leaves a
note about a file that was not changed, which restoring puts right all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from stationmaster.agent import repositories, state
from stationmaster.agent.package_managers import base
from stationmaster.host import files

NOTE = "repos.json"


class Written(msgspec.Struct, frozen=True, rename="camel"):
    """Paths that we wrote, with what they held before; null for a file that was not there."""

    originals: dict[str, str | None]


def read_written(remembered: state.StateDirectory) -> Written:
    """What we wrote so far."""
    return remembered.read(NOTE, Written) or Written({})


def read_files(target: base.Target, paths: frozenset[str]) -> dict[str, str]:
    """Those of the paths that exist, with their text."""
    found = {path: files.read_text_or_none(target.outside(path)) for path in paths}
    return {path: text for path, text in found.items() if text is not None}


def write_repositories(
    target: base.Target, wanted: Mapping[str, str], remembered: state.StateDirectory, disk: files.Files
) -> None:
    """Bring the root's files to ``wanted``; what we wrote earlier and is not in it gets its original back."""
    written = read_written(remembered)
    fresh = {path: files.read_text_or_none(target.outside(path)) for path in wanted if path not in written.originals}
    if fresh:
        written = Written({**written.originals, **fresh})
        remembered.write(NOTE, written)
    # The repository file comes last: what it names (keys, CA) must be there before it is read.
    last = repositories.REPOSITORY_FILE[target.kind]
    for path in sorted(wanted, key=lambda one: (one == last, one)):
        if files.read_text_or_none(target.outside(path)) != wanted[path]:
            _put(target.outside(path), wanted[path], disk)
    gone = [path for path in written.originals if path not in wanted]
    for path in sorted(gone, key=lambda one: (one != last, one)):
        _restore(target.outside(path), written.originals[path], disk)
    if gone:
        remembered.write(NOTE, Written({path: written.originals[path] for path in written.originals if path in wanted}))


def restore_all(target: base.Target, remembered: state.StateDirectory, disk: files.Files) -> None:
    """The state before registration; our own directories go."""
    write_repositories(target, {}, remembered, disk)
    disk.remove_tree(target.outside(repositories.OWN_DIRECTORY))
    disk.remove_tree(target.outside(repositories.WORK_DIRECTORY))


def write_pinned(target: base.Target, wanted: Mapping[str, str], disk: files.Files) -> None:
    """The repositories that the agent's own commands use; they live for one command, so they are not made durable."""
    directory = target.outside(repositories.PINNED_DIRECTORY)
    disk.make_directory(directory)
    for path in wanted:
        disk.write_atomic(target.outside(path), wanted[path].encode(), durable=False)
    for found in sorted(directory.iterdir()):
        if f"{repositories.PINNED_DIRECTORY}/{found.name}" not in wanted:
            disk.remove(found)


def _put(path: Path, text: str, disk: files.Files) -> None:
    disk.make_directory(path.parent)
    disk.write_atomic(path, text.encode())


def _restore(path: Path, original: str | None, disk: files.Files) -> None:
    if original is None:
        disk.remove(path)
    else:
        _put(path, original, disk)
