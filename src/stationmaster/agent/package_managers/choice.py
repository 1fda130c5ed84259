"""Which package manager class serves which kind."""

from __future__ import annotations

from stationmaster.agent.package_managers import apt, base, dnf, zypper
from stationmaster.host import files, programs
from stationmaster.model.protocol import PackageManager


def open_manager(
    target: base.Target, host: programs.Programs, disk: files.Files, source_of: dict[str, str]
) -> base.Manager:
    """The package manager of a root; ``source_of`` names the source behind each repository id."""
    if target.kind is PackageManager.APT:
        return apt.Apt(target, host, disk, source_of)
    if target.kind is PackageManager.ZYPPER:
        return zypper.Zypper(target, host, disk, source_of)
    return dnf.Dnf(target, host, disk, source_of)
