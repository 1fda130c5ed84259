"""RPM metadata with everything that a choice must follow, made in memory: packages, modules, groups, advisories."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from xml.sax import saxutils

from stationmaster.testing import simulated_repositories


@dataclasses.dataclass(frozen=True)
class Rpm:
    """A package; its content is its name and version."""

    name: str
    version: str = "1"
    release: str = "1"
    arch: str = "x86_64"
    path: str = ""
    content: bytes = b""
    base: str = ""

    @property
    def location(self) -> str:
        """Where it lies."""
        return self.path or f"Packages/{self.name}-{self.version}-{self.release}.{self.arch}.rpm"

    @property
    def bytes(self) -> bytes:
        """What it is."""
        return self.content or f"{self.name}-{self.version}-{self.release}.{self.arch}".encode()

    @property
    def nevra(self) -> str:
        """As module metadata names it."""
        return f"{self.name}-0:{self.version}-{self.release}.{self.arch}"

    @property
    def digest(self) -> str:
        """Its sha256."""
        return hashlib.sha256(self.bytes).hexdigest()


@dataclasses.dataclass(frozen=True)
class Stream:
    """A module stream that lists packages."""

    module: str
    stream: str
    packages: Sequence[Rpm]
    version: int = 1
    context: str = "00000000"
    requires: str = ""


def repository(
    packages: Sequence[Rpm],
    *,
    streams: Iterable[Stream] = (),
    defaults: Mapping[str, str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    advisories: Mapping[str, Sequence[Rpm]] | None = None,
    further: Mapping[str, bytes] | None = None,
    timestamp: int = 1_700_000_000,
) -> dict[str, bytes]:
    """The files of a repository."""
    data = {"filelists": _package_data("filelists", packages), "other": _package_data("other", packages)}
    modules = "".join([*map(_stream, streams), *(_defaults(*pair) for pair in (defaults or {}).items())])
    if modules:
        data["modules"] = modules.encode()
    if groups:
        data["group"] = comps_xml(groups)
    if advisories:
        data["updateinfo"] = updateinfo_xml(advisories)
    return simulated_repositories.rpm_repository(
        {one.location: one.bytes for one in packages},
        timestamp=timestamp,
        further={**data, **(further or {})},
        primary=primary_xml(packages),
    )


def primary_xml(packages: Sequence[Rpm]) -> bytes:
    """primary.xml as createrepo_c writes it, as far as a choice reads it."""
    parts = []
    for one in packages:
        base = f" xml:base={saxutils.quoteattr(one.base)}" if one.base else ""
        parts.append(
            f'<package type="rpm">\n  <name>{saxutils.escape(one.name)}</name>\n  <arch>{one.arch}</arch>\n'
            f'  <version epoch="0" ver="{one.version}" rel="{one.release}"/>\n'
            f'  <checksum type="sha256" pkgid="YES">{one.digest}</checksum>\n  <summary>a &lt;b&gt; &amp; ü</summary>\n'
            f'  <size package="{len(one.bytes)}" installed="1" archive="2"/>\n'
            f"<location{base} href={saxutils.quoteattr(one.location)}/>\n"
            f'  <format>\n    <rpm:license>X</rpm:license>\n    <rpm:provides><rpm:entry name="{one.name}"/>'
            f"</rpm:provides>\n    <file>/usr/bin/{one.name}</file>\n  </format>\n</package>\n"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" '
        f'xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="{len(packages)}">\n{"".join(parts)}</metadata>\n'
    ).encode()


def comps_xml(groups: Mapping[str, Sequence[str]]) -> bytes:
    """Groups of packages by id, and an environment of them all."""
    parts = [
        f"<group><id>{name}</id><name>{name.title()}</name><packagelist>"
        + "".join(f'<packagereq type="mandatory">{member}</packagereq>\n' for member in members)
        + "</packagelist></group>"
        for name, members in groups.items()
    ]
    listed = "".join(f"<groupid>{name}</groupid>" for name in groups)
    whole = f"{''.join(parts)}<environment><id>env</id><grouplist>{listed}</grouplist></environment>"
    doctype = '<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}\n<comps>{whole}</comps>\n'.encode()


def updateinfo_xml(advisories: Mapping[str, Sequence[Rpm]]) -> bytes:
    """Advisories by id."""
    parts = [
        f'<update type="security"><id>{name}</id><pkglist><collection short="c"><name>c</name>'
        + "".join(
            f'<package name="{one.name}" epoch="0" version="{one.version}" release="{one.release}" arch="{one.arch}">'
            "<filename>x</filename></package>\n"
            for one in packages
        )
        + "</collection></pkglist></update>\n"
        for name, packages in advisories.items()
    ]
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<updates>{"".join(parts)}</updates>\n'.encode()


def stream_document(one: Stream) -> str:
    """A modulemd document, without the lines around it."""
    names = "".join(f"\n        - {name}" for name in sorted({package.name for package in one.packages}))
    listed = "".join(f"\n      - {package.nevra}" for package in one.packages)
    requires = f"\n  dependencies:\n    - requires: {{{one.requires}: []}}" if one.requires else ""
    return (
        f"document: modulemd\nversion: 2\ndata:\n  name: {one.module}\n  stream: {one.stream}\n"
        f"  version: {one.version}\n  context: {one.context}\n  arch: x86_64\n  summary: S{requires}\n  profiles:\n"
        f"    common:\n      rpms:{names or ' []'}\n  artifacts:\n    rpms:{listed or ' []'}\n"
    )


def _stream(one: Stream) -> str:
    return f"---\n{stream_document(one)}...\n"


def _defaults(module: str, stream: str) -> str:
    return (
        f"---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: {module}\n  stream: {stream}\n"
        f"  profiles:\n    {stream}: [common]\n...\n"
    )


def _package_data(kind: str, packages: Sequence[Rpm]) -> bytes:
    root = "filelists" if kind == "filelists" else "otherdata"
    inner = "<file>/usr/bin/x</file>" if kind == "filelists" else '<changelog author="a" date="1">c</changelog>'
    parts = [
        f'<package pkgid="{one.digest}" name="{one.name}" arch="{one.arch}">\n'
        f'  <version epoch="0" ver="{one.version}" rel="{one.release}"/>\n  {inner}\n</package>\n'
        for one in packages
    ]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="http://linux.duke.edu/metadata/{kind}" '
        f'packages="{len(packages)}">\n{"".join(parts)}</{root}>\n'
    ).encode()
