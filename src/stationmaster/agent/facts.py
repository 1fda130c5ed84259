"""What a machine says about itself: parsed from os-release of the root it manages, and from the running kernel."""

from __future__ import annotations

import os
import shlex
from pathlib import Path, PurePosixPath

import stationmaster
from stationmaster.host import files, network
from stationmaster.model import errors
from stationmaster.model.protocol import Facts, PackageManager

_PROGRAMS = {PackageManager.DNF: "dnf", PackageManager.APT: "apt-get", PackageManager.ZYPPER: "zypper"}
_FAMILIES = {
    "debian": PackageManager.APT,
    "ubuntu": PackageManager.APT,
    "suse": PackageManager.ZYPPER,
    "opensuse": PackageManager.ZYPPER,
    "sles": PackageManager.ZYPPER,
    "fedora": PackageManager.DNF,
    "rhel": PackageManager.DNF,
    "centos": PackageManager.DNF,
    "ol": PackageManager.DNF,
}


def parse_os_release(text: str) -> dict[str, str]:
    """The fields of os-release(5); a line that cannot be read is left out."""
    fields = {}
    for line in text.splitlines():
        key, separator, value = line.strip().partition("=")
        if not separator or key.startswith("#"):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            continue
        fields[key] = words[0] if words else ""
    return fields


def read_os_release(root: Path) -> dict[str, str]:
    """os-release of the root; empty where it has none, as a new install root."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        text = files.read_text_or_none(files.resolve_below(root, PurePosixPath("/", name)))
        if text is not None:
            return parse_os_release(text)
    return {}


def choose_package_manager(os_release: dict[str, str], programs: frozenset[PackageManager]) -> PackageManager:
    """By what the system calls itself, else by the only program there is; CallerError when neither tells."""
    for name in [os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()]:
        family = _FAMILIES.get(name.partition("-")[0])
        if family is not None:
            return family
    if len(programs) == 1:
        return next(iter(programs))
    raise errors.CallerError(
        "Cannot tell which package manager this root uses.", hint="Name it with --package-manager dnf|apt|zypper."
    )


def programs_in(root: Path) -> frozenset[PackageManager]:
    """The package managers that the root itself has."""
    return frozenset(kind for kind in PackageManager if (root / "usr/bin" / _PROGRAMS[kind]).exists())


def gather_facts(root: Path, package_manager: PackageManager) -> Facts:
    """Facts of the machine and the root; a root without os-release is named after what it lacks."""
    os_release = read_os_release(root)
    kernel = os.uname()
    return Facts(
        host_name=network.host_name(),
        os_name=os_release.get("NAME", "unknown"),
        os_version=os_release.get("VERSION_ID", ""),
        kernel_version=kernel.release,
        architecture=kernel.machine,
        package_manager=package_manager,
        agent_version=stationmaster.__version__,
    )
