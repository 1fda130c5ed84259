"""Why a generated source lacks a package that an input of it has: by what the choice says, and the file's name.

Nothing was written down for it when the source was made: the record of what it was made of names the inputs, and their
manifests lie on the same volume for as long as these generations are kept.
"""

from __future__ import annotations

import re

from stationmaster.mirror import failures, fileref, lookup
from stationmaster.mirror import volume as volumes
from stationmaster.mirror.generate import filters, packages, recipe, record

_RPM = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)-(?P<release>[^-]+)\.(?P<architecture>[^.]+)\.rpm")
_DEB = re.compile(r"(?P<name>[^_]+)_(?P<version>[^_]+)_(?P<architecture>[^_]+)\.u?deb")


def find_filter(place: volumes.Volume, source: str, generation: str, path: str) -> tuple[recipe.Input, str] | None:
    """The input that has the package, and what left it out; None when no input is known to have it."""
    made = record.read_record(place, source, generation)
    for one in made.inputs if made is not None else ():
        try:
            entry = lookup.find_entry(place.manifest(one.name, one.generation), path)
        except (failures.ManifestDamagedError, OSError):
            continue  # that generation of the input is gone, or cannot tell
        if made is not None and entry is not None and entry.k == fileref.Kind.PACKAGE.value:
            return one, describe(made.recipe.choice, path)
    return None


def describe(choice: recipe.Choice, path: str) -> str:
    """The one exclude filter or list of architectures that is to blame, where a name tells; else all that decides."""
    package = _named(path.rpartition("/")[2])
    if package is not None:
        for one in choice.exclude:
            # A file's name has no epoch, so a filter with versions cannot be judged by it.
            if isinstance(one, filters.PackageFilter) and not one.bounds and filters.package_matcher(one)(package):
                return f"exclude '{one}'"
        if choice.architectures and package.architecture not in {*choice.architectures, *packages.ANY_ARCHITECTURE}:
            return f"architectures {', '.join(choice.architectures)}"
    found = ["a saved manifest"] if choice.manifest is not None else []
    found += ["a package list"] if choice.listed is not None else []
    found += [f"include '{one}'" for one in choice.include]
    found += [f"exclude '{one}'" for one in choice.exclude]
    found += [f"the newest {choice.newest}"] if choice.newest else []
    return ", ".join(found) or "its recipe"


def _named(file_name: str) -> packages.Package | None:
    found = _RPM.fullmatch(file_name) or _DEB.fullmatch(file_name)
    if found is None:
        return None
    told = found.groupdict()
    return packages.Package(
        input=0,
        name=told["name"],
        epoch="0",
        version=told["version"],
        release=told.get("release") or "",
        architecture=told["architecture"],
        checksum="",
        path=file_name,
    )
