"""Filters as people write them, and as the OSMH API has them (PackageFilter, ModuleStreamProfileFilter, …). Pure.

kernel*                         by name, with * ? [ ]; also NAME.ARCH
openssl >= 3.0 < 3.2            and by version: = != < <= > >=, one or more
module:postgresql:15/server     a module, its stream, its profile; the latter two may be left out
group:development               a package group
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

import msgspec

from stationmaster.mirror.generate import packages
from stationmaster.model import errors

_PACKAGE = re.compile(r"(?P<pattern>[^\s<>=!]+)(?P<bounds>(?:\s*(?:[<>]=?|!?=)\s*[^\s<>=!]+)*)")
_BOUND = re.compile(r"([<>]=?|!?=)\s*([^\s<>=!]+)")
_MODULE = re.compile(r"(?P<name>[^:/\s]+)(?::(?P<stream>[^:/\s]+))?(?:/(?P<profile>[^:/\s]+))?")
_HOLDS: dict[str, Callable[[int], bool]] = {
    "=": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One condition on a version, e.g. ``>=`` and ``3.0``."""

    relation: str
    version: str


class PackageFilter(msgspec.Struct, frozen=True, tag_field="kind", tag="package", forbid_unknown_fields=True):
    """Packages by pattern and version."""

    pattern: str
    bounds: tuple[Bound, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.pattern, *(f"{bound.relation} {bound.version}" for bound in self.bounds)])


class ModuleFilter(msgspec.Struct, frozen=True, tag_field="kind", tag="module", forbid_unknown_fields=True):
    """The packages of a module's streams, or of one stream; with a profile those that the profile names."""

    name: str
    stream: str = ""
    profile: str = ""

    def __str__(self) -> str:
        stream = f":{self.stream}" if self.stream else ""
        return f"module:{self.name}{stream}" + (f"/{self.profile}" if self.profile else "")


class GroupFilter(msgspec.Struct, frozen=True, tag_field="kind", tag="group", forbid_unknown_fields=True):
    """The packages of a group, by the group's id."""

    id: str

    def __str__(self) -> str:
        return f"group:{self.id}"


Filter = PackageFilter | ModuleFilter | GroupFilter


def parse_filter(text: str) -> Filter:
    """A filter as written on the command line; CallerError when it is none."""
    kind, colon, rest = text.strip().partition(":")
    if colon and kind == "group" and rest:
        return GroupFilter(rest)
    if colon and kind == "module" and (found := _MODULE.fullmatch(rest)):
        return ModuleFilter(found["name"], found["stream"] or "", found["profile"] or "")
    found = _PACKAGE.fullmatch(text.strip())
    if found is None or (colon and kind in ("group", "module")):
        raise errors.CallerError(
            f"{text!r} is no filter.",
            hint="Write 'kernel*', 'openssl >= 3.0 < 3.2', 'module:NAME[:STREAM][/PROFILE]' or 'group:ID'.",
        )
    bounds = tuple(Bound(relation, version) for relation, version in _BOUND.findall(found["bounds"]))
    return PackageFilter(found["pattern"], bounds)


def package_matcher(wanted: PackageFilter) -> Callable[[packages.Package], bool]:
    """Whether a package fits, compiled once: it is asked for each of tens of thousands."""
    is_pattern = any(character in wanted.pattern for character in "*?[")
    matches = re.compile(fnmatch.translate(wanted.pattern)).match

    def fits(package: packages.Package) -> bool:
        mark = "." if package.is_rpm else ":"
        names = (package.name, f"{package.name}{mark}{package.architecture}")
        if not (any(matches(name) for name in names) if is_pattern else wanted.pattern in names):
            return False
        return all(_HOLDS[bound.relation](package.compare(package.full_version, bound.version))
                   for bound in wanted.bounds)  # fmt: skip

    return fits
