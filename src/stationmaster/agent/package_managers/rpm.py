"""Installed packages out of the rpm database, for dnf and zypper alike."""

from __future__ import annotations

import datetime
import re

from stationmaster.agent.package_managers import base
from stationmaster.host import programs
from stationmaster.model.protocol import Package, Problem

_QUERY = r"%{NAME}\t%{EPOCHNUM}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{INSTALLTIME}\n"
_DATABASES = ("var/lib/rpm", "usr/lib/sysimage/rpm", "root/.rpmdb")
_SCRIPTLET = re.compile(r"%?(\w+)\(?([^)\s]*)\)? scriptlet failed.*|.*rror in \w+ scriptlet in rpm package (\S+)")


def query_installed(runner: base.Runner) -> list[Package]:
    """`rpm -qa` of the root. HOME must be the one dnf runs with: Debian's rpm keeps its database there."""
    prefix = runner.target.prefix
    root = ["--root", prefix] if prefix else []
    answer = runner.run(["rpm", *root, "-qa", "--queryformat", _QUERY]).require_success("Listing installed packages")
    return parse_installed(answer.stdout)


def parse_installed(text: str) -> list[Package]:
    """The lines of the query, sorted; keys, which rpm lists as packages, are left out."""
    packages = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != 5 or fields[0] == "gpg-pubkey":
            continue
        name, epoch, version, architecture, installed = fields
        moment = datetime.datetime.fromtimestamp(int(installed), datetime.UTC) if installed.isdigit() else None
        packages.append(Package(name, with_epoch(epoch, version), architecture, time_installed=moment))
    return sorted(packages, key=lambda package: (package.name, package.architecture, package.version))


def with_epoch(epoch: str, version: str) -> str:
    """A version as people write it: an epoch of 0 is left out."""
    return version if epoch in ("", "0", "(none)") else f"{epoch}:{version}"


def find_scriptlet_problems(said: programs.Completed) -> list[Problem]:
    """Scriptlets that failed: dnf and zypper report success all the same (engines.md 5)."""
    lines = [line.strip() for line in (said.stdout + "\n" + said.stderr).splitlines()]
    return [
        Problem("ScriptletFailed", line) for line in dict.fromkeys(line for line in lines if _SCRIPTLET.search(line))
    ]


def database_stamp(target: base.Target) -> str:
    """Changes when packages change, wherever the distribution keeps the database."""
    directories = [target.outside(name) for name in _DATABASES]
    return base.stamp_of([path for directory in directories for path in sorted(directory.glob("*")) if path.is_file()])
