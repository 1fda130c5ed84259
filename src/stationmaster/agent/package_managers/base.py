"""What the agent asks of a package manager, and how it reaches the one of a root.

A root with its own package manager is entered by chroot, so that scriptlets run there and see nothing of the host; a
root without one (an install root) is worked on from outside.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from stationmaster.host import files, programs
from stationmaster.model import errors
from stationmaster.model.protocol import Package, PackageManager, Problem

TRANSACTION_SECONDS = 3600.0
QUERY_SECONDS = 300.0
# Messages are read for causes, so they must be English; a service manager starts the agent with neither HOME nor a PATH
# that has the administrator's directories, and rpm finds its database below HOME on Debian (engines.md 5).
ENVIRONMENT = {
    "LC_ALL": "C",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "NEEDRESTART_MODE": "a",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:~^=-]*")


class Category(enum.StrEnum):
    """Which updates: all of them, or those of one kind of advisory."""

    ALL = "all"
    SECURITY = "security"
    BUGFIX = "bugfix"
    ENHANCEMENT = "enhancement"


@dataclasses.dataclass(frozen=True)
class Target:
    """A root, and how its package manager is started. ``prefix`` goes before paths that it reads from outside."""

    root: Path
    kind: PackageManager
    is_entered: bool

    @property
    def prefix(self) -> str:
        """What stands before a path inside the root when it is named to a program that runs outside."""
        return "" if self.is_entered or self.root == Path("/") else str(self.root)

    @property
    def is_install_root(self) -> bool:
        """Whether the host's package manager works on this root from outside."""
        return bool(self.prefix)

    def outside(self, path: str) -> Path:
        """Where a path inside the root lies for this process.

        Links in a root are followed as they are from inside: one to ``/etc`` leads to the root's own ``/etc``, never to
        the host's, whatever an image carries.
        """
        return files.resolve_below(self.root, PurePosixPath("/", path))


def find_target(root: Path, kind: PackageManager, host: programs.Programs) -> Target:
    """How to reach the package manager of ``root``; ProgramMissingError when neither root nor host has it."""
    name = {PackageManager.DNF: "dnf", PackageManager.APT: "apt-get", PackageManager.ZYPPER: "zypper"}[kind]
    is_entered = root != Path("/") and (root / "usr/bin" / name).exists()
    if not is_entered and host.find(name) is None:
        raise errors.ProgramMissingError(
            f"Neither {root} nor this host has {name}.", hint="Install it, or name another with --package-manager."
        )
    return Target(root, kind, is_entered)


def require_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names fit for a command line: none is an option, a pattern, or apt's `name-` that would remove."""
    for name in names:
        if not _NAME.fullmatch(name) or name.endswith("-"):
            raise errors.CallerError(
                f"{name!r} is no package name.", hint="Give names such as bash or bash-5.2-1.x86_64."
            )
    return tuple(dict.fromkeys(names))


class Runner:
    """Starts a program for a target, inside its root where that is entered."""

    def __init__(self, target: Target, host: programs.Programs, environment: Mapping[str, str] | None = None) -> None:
        self.target = target
        self._host = host
        self._environment = {**ENVIRONMENT, **(environment or {})}

    def run(
        self, arguments: Sequence[str], *, timeout: float = QUERY_SECONDS, stdin: str | None = None
    ) -> programs.Completed:
        """Run to the end. The exit status is the caller's to judge, together with the inventory."""
        entered = ["chroot", str(self.target.root)] if self.target.is_entered else []
        return self._host.run(
            [*entered, *arguments], timeout=timeout, stdin=stdin, environment=self._environment, directory=Path("/")
        )


class Manager(Protocol):
    """A package manager that sees the pinned repositories only. Changes answer with what the program said."""

    target: Target

    def prepare(self) -> None:
        """Make what the program needs in the root."""
        ...

    def refresh(self) -> programs.Completed:
        """Fetch the metadata of all repositories."""
        ...

    def install(self, names: Sequence[str]) -> programs.Completed:
        """Install packages."""
        ...

    def update(self, names: Sequence[str], category: Category) -> programs.Completed:
        """Update these packages, or all when there are none."""
        ...

    def remove(self, names: Sequence[str]) -> programs.Completed:
        """Remove packages."""
        ...

    def repair(self) -> None:
        """Finish what a killed run left half done, as far as the program can."""
        ...

    def installed(self) -> list[Package]:
        """All installed packages, by name, architecture and version."""
        ...

    def updatable(self) -> list[Package]:
        """Installed packages for which a repository has a newer version."""
        ...

    def find_problems(self, said: programs.Completed) -> list[Problem]:
        """What went wrong although the program may have ended with 0, in its own words."""
        ...

    def database_stamp(self) -> str:
        """A word that changes when packages change."""
        ...


def last_words(said: programs.Completed, *, lines: int = 12) -> str:
    """The end of what a program said, for a problem."""
    text = said.stderr.strip() or said.stdout.strip() or "it said nothing"
    return " / ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())


def stamp_of(paths: Sequence[Path]) -> str:
    """Times and sizes of files; those that are missing count as missing."""
    found = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        found.append(f"{path.name}:{status.st_mtime_ns}:{status.st_size}")
    return ",".join(found)
