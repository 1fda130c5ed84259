"""What apt and dpkg print, as values."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from stationmaster.agent import repositories
from stationmaster.model.protocol import Package

# `Inst NAME [OLD] (NEW LABEL:VERSION/SUITE[, …] [ARCHITECTURE])`
_UPGRADE = re.compile(r"Inst (\S+?)(?::\w+)? \[([^\]]+)\] \((\S+) (.*)\[(\w+)\]\)")
_PINNED = re.compile(re.escape(repositories.PINNED_DIRECTORY) + r"/(.+)\.list ")
# Debian: Debian-Security:12/stable-security; Ubuntu: Ubuntu:24.04/noble-security; without a version: Label:suite.
_SECURITY_RELEASE = re.compile(r"\S*[:/]\S+-security|\S*-security:\S*", re.IGNORECASE)


def parse_installed(text: str, info: Path) -> list[Package]:
    """The lines of the query, sorted. dpkg notes no times; the list of a package's files is written at installation."""
    packages = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 4 and fields[3] == "installed":
            name, version, architecture, _ = fields
            moment = _time_of(info / f"{name}.list") or _time_of(info / f"{name}:{architecture}.list")
            packages.append(Package(name, version, architecture, moment))
    return sorted(packages, key=lambda package: (package.name, package.architecture, package.version))


def parse_upgrades(text: str) -> list[Package]:
    """The lines of a simulated upgrade that replace a version by another, sorted by name."""
    found = [match.groups() for line in text.splitlines() if (match := _UPGRADE.match(line))]
    packages = [Package(name, former, architecture, None, later) for name, former, later, _, architecture in found]
    return sorted(packages, key=lambda package: (package.name, package.architecture))


def parse_security_upgrades(text: str) -> list[Package]:
    """Those of them whose new version a security suite has, as its Release file calls itself."""
    found = [line for line in text.splitlines() if (match := _UPGRADE.match(line)) and is_security(match[4])]
    return parse_upgrades("\n".join(found))


def is_security(releases: str) -> bool:
    """Whether one of `LABEL:VERSION/SUITE, …` is a security suite: a suite, or a label, that ends in `-security`."""
    return any(_SECURITY_RELEASE.fullmatch(one.strip()) for one in releases.split(","))


def has_security_suite(policy: str) -> bool:
    """Whether `apt-cache policy` without names lists a security suite."""
    found = re.findall(r"^ +release (.+)$", policy, re.MULTILINE)
    values = [dict(part.partition("=")[::2] for part in line.split(",")) for line in found]
    return any(is_security(f"{one.get('l', '')}:{one.get('v', '')}/{one.get('a', '')}") for one in values)


def parse_policy(text: str) -> dict[str, str]:
    """`apt-cache policy`: each package that can be had, and the repository id of its candidate, "" for none of ours."""
    known: dict[str, str] = {}
    name, candidate, is_candidate = "", "", False
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            name = line[:-1].partition(":")[0]
        elif line.startswith("  Candidate: "):
            candidate = line.removeprefix("  Candidate: ")
            if candidate != "(none)":
                known[name] = ""
        elif re.match(r" (\*\*\*|   ) \S", line):
            is_candidate = line.split()[-2] == candidate
        elif is_candidate and (match := _PINNED.search(line)):
            known[name] = match.group(1)
    return known


def _time_of(path: Path) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromtimestamp(int(path.stat().st_mtime), datetime.UTC)
    except OSError:
        return None
