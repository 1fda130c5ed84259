"""Texts of DEB repositories: control data of packages built for the lab, and what is read out of Debian's own. Pure."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Mapping, Sequence

FIRST_VERSION = "1.0"
BIG = "labd-big-001"
_LIMIT_BYTES = 4 << 20


@dataclasses.dataclass(frozen=True)
class Package:
    """A package to build; ``size_bytes`` of random payload drawn from ``seed``."""

    name: str
    version: str
    size_bytes: int
    seed: int
    depends: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """As Debian names it."""
        return f"{self.name}_{self.version}_all.deb"

    @property
    def pool_path(self) -> str:
        """Where it lies below the repository's base."""
        return f"pool/main/l/{self.name}/{self.file_name}"


def plan_packages(count: int = 60, *, seed: int = 2, big_bytes: int = 12 << 20) -> tuple[Package, ...]:
    """``count`` packages with log-normal sizes: applications that depend on one of ten libraries, and a big one."""
    draw = random.Random(seed)
    libraries = [f"labd-lib-{number:03}" for number in range(1, min(10, count // 3) + 1)]
    applications = [f"labd-app-{number:03}" for number in range(1, count - len(libraries))]
    packages: list[Package] = []
    for name in [*applications, *libraries, BIG]:
        size = big_bytes if name == BIG else min(_LIMIT_BYTES, int(draw.lognormvariate(11.29, 1.0)))
        needed = (libraries[len(packages) % len(libraries)],) if name in applications else ()
        packages.append(Package(name, FIRST_VERSION, size, draw.getrandbits(32), needed))
    return tuple(packages)


def plan_update(current: Sequence[Package], versions: Mapping[str, str]) -> tuple[Package, ...]:
    """The packages that bring the named ones to new versions, with other bytes of the same amount."""
    newest = {package.name: package for package in current}
    return tuple(
        dataclasses.replace(newest[name], version=version, seed=newest[name].seed + len(current))
        for name, version in sorted(versions.items())
    )


def render_control(package: Package) -> str:
    """The control file of a package."""
    depends = f"Depends: {', '.join(package.depends)}\n" if package.depends else ""
    return (
        f"Package: {package.name}\nVersion: {package.version}\nArchitecture: all\nMaintainer: Lab <deb@lab>\n{depends}"
        f"Section: misc\nPriority: optional\n"
        f"Description: package {package.name} of the lab\n Random bytes to be mirrored.\n"
    )


@dataclasses.dataclass(frozen=True)
class Stanza:
    """What the lab needs to know of one package in an index."""

    name: str
    version: str
    path: str
    size_bytes: int
    sha256: str
    has_dependencies: bool


def parse_stanzas(index: str) -> tuple[Stanza, ...]:
    """The packages of a Packages file."""
    found = []
    for block in index.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): *(.*)$", block, re.MULTILINE))
        if "Package" in fields:
            found.append(
                Stanza(
                    fields["Package"],
                    fields["Version"],
                    fields["Filename"],
                    int(fields["Size"]),
                    fields["SHA256"],
                    "Depends" in fields or "Pre-Depends" in fields,
                )
            )
    return tuple(found)


def parse_release_digests(release: str) -> Mapping[str, str]:
    """SHA256 by path of a Release file, signed inline or not."""
    section = release.partition("\nSHA256:\n")[2]
    return {path: digest for digest, path in re.findall(r"^ ([0-9a-f]{64}) +\d+ (\S+)$", section, re.MULTILINE)}


@dataclasses.dataclass(frozen=True)
class IndexTarget:
    """An index that apt has on this machine: a paragraph of ``apt-get indextargets``."""

    suite_path: str
    index_file: str
    release_file: str
    index_path: str


def find_updates_target(paragraphs: str, architecture: str) -> IndexTarget | None:
    """The index of Debian's own ``*-updates``, component main, among apt's targets; None when apt knows none."""
    index_path = f"main/binary-{architecture}/Packages"
    for block in paragraphs.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): *(.*)$", block, re.MULTILINE))
        is_wanted = (
            fields.get("Origin") == "Debian"
            and fields.get("MetaKey") == index_path
            and fields.get("Codename", "").endswith("-updates")
        )
        if is_wanted:
            prefix = fields["Filename"].rpartition(index_path.replace("/", "_"))[0]
            return IndexTarget(fields["Codename"], fields["Filename"], f"{prefix}InRelease", index_path)
    return None
