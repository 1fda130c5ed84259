"""Which packages and module streams are kept. Pure: packages, streams, groups and a choice in, what is kept out.

A modular package is one that some stream lists (its artifacts). It is kept only together with a stream that lists it,
or clients would take it for an ordinary package. Versions of a stream are units: of those the newest are kept whole.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

from stationmaster.mirror.generate import filters, packages, recipe


@dataclasses.dataclass(frozen=True)
class Stream:
    """One module document: a version of a stream in one context. ``number`` tells it from all others.

    ``line`` is what versions of it are counted within: equal module, stream, architecture and dependencies.
    """

    number: int
    module: str
    stream: str
    version: int
    line: str
    artifacts: tuple[str, ...]
    profiles: Mapping[str, frozenset[str]]


@dataclasses.dataclass(frozen=True)
class Selection:
    """Indexes of the kept packages, numbers of the kept streams, and what the choice named in vain."""

    kept: tuple[int, ...]
    streams: frozenset[int]
    warnings: tuple[str, ...]
    missing: tuple[str, ...] = ()


def select(
    offered: Sequence[packages.Package],
    streams: Sequence[Stream],
    groups: Mapping[str, frozenset[str]],
    choice: recipe.Choice,
) -> Selection:
    """Decide. ``groups`` maps group ids to package names. ``missing``: lines of a manifest that nothing fits."""
    warnings: list[str] = []
    if choice.manifest is not None:
        kept, missing = _by_manifest(offered, choice.manifest)
    else:
        by_module = _Modules(offered, streams)
        kept, missing = _by_choice(offered, by_module, groups, choice, warnings.append), ()
    kept = _without_doubles(offered, kept, warnings.append)
    modules = _Modules(offered, streams)
    names = {offered[index].identity for index in kept}
    alive = [stream for stream in streams if any(artifact in names for artifact in stream.artifacts)]
    if choice.newest:
        alive = newest_streams(alive, choice.newest)
    held = {artifact for stream in alive for artifact in stream.artifacts}
    kept = [index for index in kept if not modules.is_modular(index) or offered[index].identity in held]
    if choice.newest:
        kept = _newest_plain(offered, kept, modules, choice.newest)
    names = {offered[index].identity for index in kept}
    left = frozenset(one.number for one in alive if any(artifact in names for artifact in one.artifacts))
    return Selection(tuple(kept), left, tuple(warnings), missing)


def newest_streams(streams: Iterable[Stream], count: int) -> list[Stream]:
    """Of each line of a stream the documents of its newest versions; contexts of one version stay together."""
    lines: dict[str, set[int]] = {}
    found = list(streams)
    for stream in found:
        lines.setdefault(stream.line, set()).add(stream.version)
    chosen = {line: set(sorted(versions, reverse=True)[:count]) for line, versions in lines.items()}
    return [stream for stream in found if stream.version in chosen[stream.line]]


class _Modules:
    """Which packages are modular, and which a module filter means."""

    def __init__(self, offered: Sequence[packages.Package], streams: Sequence[Stream]) -> None:
        self._offered = offered
        self._streams = streams
        self._listed = {artifact for stream in streams for artifact in stream.artifacts}

    def is_modular(self, index: int) -> bool:
        return bool(self._listed) and self._offered[index].identity in self._listed

    def matcher(self, wanted: filters.ModuleFilter) -> Callable[[packages.Package], bool]:
        meant = [one for one in self._streams if one.module == wanted.name and wanted.stream in ("", one.stream)]
        if not wanted.profile:
            all_of = {artifact for stream in meant for artifact in stream.artifacts}
            return lambda package: package.identity in all_of
        by_name = [(frozenset(one.artifacts), one.profiles.get(wanted.profile, frozenset())) for one in meant]
        return lambda package: any(package.name in names and package.identity in of for of, names in by_name)


def _by_choice(
    offered: Sequence[packages.Package],
    modules: _Modules,
    groups: Mapping[str, frozenset[str]],
    choice: recipe.Choice,
    told: packages.Told,
) -> list[int]:
    kept = list(range(len(offered)))
    if choice.architectures:
        wanted = packages.ANY_ARCHITECTURE | set(choice.architectures)
        for name in sorted(set(choice.architectures) - {package.architecture for package in offered}):
            told(f"No package is of the architecture {name}.")
        kept = [index for index in kept if offered[index].architecture in wanted]
    if choice.listed is not None:
        kept = _listed(offered, kept, choice.listed, told)
    elif choice.include:
        kept = sorted(_matching(offered, kept, choice.include, modules, groups, _Told(told, "include")))
    if choice.exclude:
        away = _matching(offered, kept, choice.exclude, modules, groups, _Told(told, "exclude"))
        kept = [index for index in kept if index not in away]
    return kept


@dataclasses.dataclass(frozen=True)
class _Told:
    told: packages.Told
    word: str

    def in_vain(self, wanted: filters.Filter) -> None:
        self.told(f"The {self.word} filter '{wanted}' matches nothing.")


def _matching(
    offered: Sequence[packages.Package],
    among: Sequence[int],
    wanted: Iterable[filters.Filter],
    modules: _Modules,
    groups: Mapping[str, frozenset[str]],
    told: _Told,
) -> set[int]:
    found: set[int] = set()
    for one in wanted:
        fits = _matcher(one, modules, groups)
        matched = [index for index in among if fits(offered[index])]
        if not matched:
            told.in_vain(one)
        found.update(matched)
    return found


def _matcher(
    wanted: filters.Filter, modules: _Modules, groups: Mapping[str, frozenset[str]]
) -> Callable[[packages.Package], bool]:
    if isinstance(wanted, filters.PackageFilter):
        return filters.package_matcher(wanted)
    if isinstance(wanted, filters.ModuleFilter):
        return modules.matcher(wanted)
    names = groups.get(wanted.id, frozenset())
    return lambda package: package.name in names


def _listed(
    offered: Sequence[packages.Package], among: Sequence[int], lines: Sequence[str], told: packages.Told
) -> list[int]:
    wanted, seen, kept = set(lines), set[str](), []
    for index in among:
        named = wanted.intersection(offered[index].spellings())
        if named:
            kept.append(index)
            seen |= named
    for line in sorted(wanted - seen):
        told(f"The package list names {line}, which no input has.")
    return kept


def _by_manifest(
    offered: Sequence[packages.Package], lines: Sequence[tuple[str, str]]
) -> tuple[list[int], tuple[str, ...]]:
    wanted = set(lines)
    seen: set[tuple[str, str]] = set()
    kept = []
    for index, package in enumerate(offered):
        line = (package.identity, package.checksum)
        if line in wanted:
            kept.append(index)
            seen.add(line)
    return kept, tuple(f"{identity}@{checksum}" for identity, checksum in sorted(wanted - seen))


def _without_doubles(offered: Sequence[packages.Package], kept: Iterable[int], told: packages.Told) -> list[int]:
    """One package of each identity, from the first input that has it; within an input doubles are upstream's own."""
    first: dict[str, int] = {}
    left, differing = [], []
    for index in kept:
        package = offered[index]
        other = first.setdefault(package.identity, index)
        if offered[other].input == package.input:
            left.append(index)
        elif offered[other].checksum != package.checksum:
            differing.append(package.identity)
    if differing:
        told(
            f"{len(differing)} packages differ between the inputs under one name, e.g. {differing[0]}; "
            "the first input's are taken."
        )
    return left


def _newest_plain(offered: Sequence[packages.Package], kept: Sequence[int], modules: _Modules, count: int) -> list[int]:
    """Of each name and architecture the newest versions; modular packages are settled by their streams."""
    versions: dict[tuple[str, str], set[str]] = {}
    for index in kept:
        package = offered[index]
        if not modules.is_modular(index):
            versions.setdefault((package.name, package.architecture), set()).add(package.full_version)
    for key, found in versions.items():
        if len(found) > count:
            order = functools.cmp_to_key(offered[0].compare)
            versions[key] = set(sorted(sorted(found), key=order, reverse=True)[:count])

    def is_newest(package: packages.Package) -> bool:
        return package.full_version in versions[package.name, package.architecture]

    return [index for index in kept if modules.is_modular(index) or is_newest(offered[index])]
