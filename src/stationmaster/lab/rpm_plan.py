"""What is in the lab's RPM repository: names, sizes, dependencies, and the texts that describe them. Pure.

Everything follows from a seed, so that a cache of built packages stays valid and two machines build the same.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence

RELEASE = "1"
FIRST_VERSION = "1.0"
BIG = "lab-big-001"
SCRIPTED = "lab-scripted-001"
MODULAR = ("lab-mod-001", "lab-mod-002")
_LIBRARIES = 96
_LIMIT_BYTES = 4 << 20


@dataclasses.dataclass(frozen=True)
class Package:
    """A package to build; ``size_bytes`` of random payload drawn from ``seed``."""

    name: str
    version: str
    size_bytes: int
    seed: int
    requires: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """As rpmbuild names it."""
        return f"{self.name}-{self.version}-{RELEASE}.noarch.rpm"

    @property
    def nevra(self) -> str:
        """As module metadata names it."""
        return f"{self.name}-0:{self.version}-{RELEASE}.noarch"


def plan_packages(count: int = 300, *, seed: int = 1, big_bytes: int = 12 << 20) -> tuple[Package, ...]:
    """``count`` packages of log-normal size (median 80 kB): applications, each needing one library, and a big one."""
    draw = random.Random(seed)
    special = [BIG, SCRIPTED, *MODULAR]
    libraries = [f"lab-lib-{number:03}" for number in range(1, min(_LIBRARIES, (count - len(special)) // 2) + 1)]
    applications = [f"lab-app-{number:03}" for number in range(1, count - len(special) - len(libraries) + 1)]
    packages: list[Package] = []
    for name in [*applications, *libraries, *special]:
        size = min(_LIMIT_BYTES, int(draw.lognormvariate(11.29, 1.0)))
        needed = (libraries[len(packages) % len(libraries)],) if name in applications else ()
        packages.append(Package(name, FIRST_VERSION, big_bytes if name == BIG else size, draw.getrandbits(32), needed))
    return tuple(packages)


def plan_update(current: Sequence[Package], versions: Mapping[str, str]) -> tuple[Package, ...]:
    """The packages that bring the named ones to new versions, with other bytes of the same amount."""
    newest = {package.name: package for package in current}
    return tuple(
        dataclasses.replace(newest[name], version=version, seed=newest[name].seed + len(current))
        for name, version in sorted(versions.items())
    )


def render_spec(packages: Sequence[Package]) -> str:
    """One spec whose subpackages are the packages; rpmbuild then starts once for all of them."""
    lines = [
        "Name: lab-source",
        f"Version: {FIRST_VERSION}",
        f"Release: {RELEASE}",
        "Summary: Packages of the lab",
        "License: Apache-2.0",
        "BuildArch: noarch",
        "AutoReqProv: no",
        "%description",
        "Source of the packages of the lab.",
        "%install",
        "cp -a %{_sourcedir}/. %{buildroot}/",
    ]
    for package in packages:
        is_scripted = package.name == SCRIPTED
        lines += [
            f"%package -n {package.name}",
            f"Version: {package.version}",
            f"Summary: Package {package.name} of the lab",
            *(f"Requires: {name}" for name in package.requires),
            # The script needs a shell; roots have one, but no package of this repository would say so.
            *(["Provides: /bin/sh"] if is_scripted else []),
            f"%description -n {package.name}",
            "Random bytes to be mirrored and installed.",
            f"%files -n {package.name}",
            f"/opt/lab/{package.name}",
        ]
        if is_scripted:
            lines += [f"%post -n {package.name}", f"echo {package.version} > /opt/lab/{package.name}/configured"]
    return "\n".join(lines) + "\n"


def render_comps(packages: Sequence[Package]) -> str:
    """One group with the first ten applications."""
    names = sorted({package.name for package in packages if package.name.startswith("lab-app-")})[:10]
    entries = "".join(f'      <packagereq type="mandatory">{name}</packagereq>\n' for name in names)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<comps>\n  <group>\n    <id>lab-basics</id>\n'
        "    <name>Lab basics</name>\n    <description>Ten applications of the lab.</description>\n"
        "    <default>true</default>\n    <uservisible>true</uservisible>\n    <packagelist>\n"
        f"{entries}    </packagelist>\n  </group>\n</comps>\n"
    )


def render_updateinfo(updates: Sequence[Package]) -> str:
    """One security advisory per package that is not at its first version."""
    advisories = []
    for number, package in enumerate((entry for entry in updates if entry.version != FIRST_VERSION), start=1):
        advisories.append(
            f'  <update from="lab@lab" status="final" type="security" version="1">\n'
            f"    <id>LABSA-2026:{number:04}</id>\n    <title>Update of {package.name}</title>\n"
            f'    <issued date="2026-11-01 00:00:00"/>\n    <severity>Important</severity>\n'
            f"    <description>{package.name} {package.version} replaces what came before.</description>\n"
            f'    <pkglist>\n      <collection short="lab">\n        <name>Lab</name>\n'
            f'        <package name="{package.name}" version="{package.version}" release="{RELEASE}" epoch="0"'
            f' arch="noarch">\n          <filename>{package.file_name}</filename>\n        </package>\n'
            f"      </collection>\n    </pkglist>\n  </update>\n"
        )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<updates>\n{"".join(advisories)}</updates>\n'


def render_modules(packages: Sequence[Package]) -> str:
    """One module with one stream, which is the default, holding the modular packages."""
    artifacts = sorted(package.nevra for package in packages if package.name in MODULAR)
    listed = "".join(f"      - {nevra}\n" for nevra in artifacts)
    return (
        "---\ndocument: modulemd\nversion: 2\ndata:\n  name: labmod\n  stream: one\n  version: 1\n  context: 00000000\n"
        "  arch: noarch\n  summary: Module of the lab\n  description: Two packages in one stream.\n"
        "  license:\n    module:\n      - Apache-2.0\n  profiles:\n    default:\n      rpms:\n"
        f"      - {MODULAR[0]}\n  artifacts:\n    rpms:\n{listed}...\n"
        "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: labmod\n  stream: one\n"
        "  profiles:\n    one: [default]\n...\n"
    )
