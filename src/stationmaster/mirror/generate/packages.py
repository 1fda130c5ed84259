"""A package as the choice sees it, from RPM or DEB metadata; 65,000 of them stay well below a hundred megabytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from stationmaster.mirror.generate import versions

ANY_ARCHITECTURE = frozenset({"noarch", "all", "source"})


class Package(msgspec.Struct, frozen=True, gc=False):
    """One package of one input. ``version`` is without epoch for RPM; for DEB it is all, and ``release`` is empty."""

    input: int
    name: str
    epoch: str
    version: str
    release: str
    architecture: str
    checksum: str
    path: str

    @property
    def is_rpm(self) -> bool:
        """Whether it comes from RPM metadata."""
        return bool(self.release)

    @property
    def identity(self) -> str:
        """NAME-EPOCH:VERSION-RELEASE.ARCH as in module metadata, or NAME_VERSION_ARCH as in a DEB file name."""
        if self.is_rpm:
            return f"{self.name}-{self.epoch}:{self.version}-{self.release}.{self.architecture}"
        return f"{self.name}_{self.version}_{self.architecture}"

    @property
    def manifest_line(self) -> str:
        """The package in a saved manifest: its identity and digest."""
        return f"{self.identity}@{self.checksum}"

    @property
    def full_version(self) -> str:
        """What versions are compared by."""
        return f"{self.epoch}:{self.version}-{self.release}" if self.is_rpm else self.version

    @property
    def compare(self) -> versions.Compare:
        """How its format orders versions."""
        return versions.compare_rpm if self.is_rpm else versions.compare_deb

    def spellings(self) -> tuple[str, ...]:
        """Every way in which a package list may name it."""
        name, architecture = self.name, self.architecture
        if not self.is_rpm:
            return (name, f"{name}:{architecture}", f"{name}={self.version}", f"{name}:{architecture}={self.version}",
                    self.identity)  # fmt: skip
        plain = f"{name}-{self.version}-{self.release}"
        exact = f"{name}-{self.epoch}:{self.version}-{self.release}"
        found = (name, f"{name}.{architecture}", exact, self.identity, f"{self.epoch}:{plain}.{architecture}")
        return (*found, f"{name}-{self.version}", plain, f"{plain}.{architecture}")


Told = Callable[[str], None]
"""Takes a warning."""


def relocations(offered: Sequence[Package], kept: Sequence[int], names: Sequence[str]) -> dict[int, str]:
    """Other paths for packages whose path another input's package has, with other content."""
    taken: dict[str, str] = {}
    moved: dict[int, str] = {}
    for index in kept:
        package = offered[index]
        path, tries = package.path, 0
        while taken.setdefault(path, package.checksum) != package.checksum:
            tries += 1
            path = f"from/{names[package.input]}{f'.{tries}' if tries > 1 else ''}/{package.path}"
        if tries:
            moved[index] = path
    return moved
