"""What a step on packages brought: judged by the packages before and after, beside the program's own word."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence

from stationmaster.agent.package_managers import base
from stationmaster.host import clock, programs
from stationmaster.model.protocol import Package, Problem

_DOWNLOAD_TROUBLE = re.compile(
    r"failed to download|cannot download|failed to fetch|curl error|connection (?:failed|timed out|reset|refused)"
    r"|could not connect|all mirrors were (?:already )?tried|timeout was reached|download \(curl\) error"
    r"|temporary failure resolving|hash sum mismatch",
    re.IGNORECASE,
)
# Bytes that came and were refused: they will not be better the next time.
_REFUSED = re.compile(r"gpg|signature|not signed", re.IGNORECASE)
# dnf; zypper; apt.
_UNKNOWN = re.compile(
    r"(?:No match for argument: |^Package '|No provider of '|Unable to locate package |Version '[^']*' for ')"
    r"([^\s']+)",
    re.MULTILINE,
)
PAUSES = (1.0, 3.0, 6.0)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Lines for the job's log, and problems; no problem means that it worked."""

    log: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def with_retries(attempt: Callable[[], programs.Completed], wall_clock: clock.Clock) -> programs.Completed:
    """Run again when bytes did not come: a station that dies in the middle is no reason for a job to fail."""
    for pause in PAUSES:
        said = attempt()
        if said.is_success or not is_download_trouble(said):
            return said
        wall_clock.sleep(pause)
    return attempt()


def is_download_trouble(said: programs.Completed) -> bool:
    """Whether what the program said is about bytes that did not come."""
    text = said.stdout + said.stderr
    return bool(_DOWNLOAD_TROUBLE.search(text)) and not _REFUSED.search(text)


def unknown_names(names: Sequence[str], said: programs.Completed) -> list[str]:
    """Those names that the program says no repository has."""
    told = {match.group(1) for match in _UNKNOWN.finditer(said.stdout + "\n" + said.stderr)}
    return [name for name in names if name in told or name.partition("=")[0] in told]


def matches(package: Package, name: str) -> bool:
    """Whether a package is what a name on a command line means, in the forms of rpm and of dpkg."""
    bare = package.version.partition(":")[2] or package.version
    return name in {
        package.name,
        f"{package.name}.{package.architecture}",
        f"{package.name}:{package.architecture}",
        *(f"{package.name}{joint}{version}" for joint in "-=" for version in (package.version, bare)),
        *(f"{package.name}-{version}.{package.architecture}" for version in (package.version, bare)),
        f"{package.name}-{bare.rpartition('-')[0]}",
    }


def describe_changes(before: Iterable[Package], after: Iterable[Package]) -> list[str]:
    """One line per package that came, went, or changed its version."""
    former = {(package.name, package.architecture, package.version) for package in before}
    later = {(package.name, package.architecture, package.version) for package in after}
    gone: dict[tuple[str, str], list[str]] = {}
    come: dict[tuple[str, str], list[str]] = {}
    for name, architecture, version in sorted(former - later):
        gone.setdefault((name, architecture), []).append(version)
    for name, architecture, version in sorted(later - former):
        come.setdefault((name, architecture), []).append(version)
    lines = []
    for key in sorted(gone.keys() | come.keys()):
        label, old, new = f"{key[0]} ({key[1]})", ", ".join(gone.get(key, [])), ", ".join(come.get(key, []))
        if old and new:
            lines.append(f"Updated {label}: {old} -> {new}")
        else:
            lines.append(f"Installed {label}: {new}" if new else f"Removed {label}: {old}")
    return lines


def missing_names(names: Sequence[str], installed: Sequence[Package]) -> list[str]:
    """Those names that no installed package matches."""
    return [name for name in names if not any(matches(package, name) for package in installed)]


def said_log(said: programs.Completed, *, lines: int = 60) -> list[str]:
    """The end of what a program said, for the log of a job that failed."""
    text = (said.stdout.rstrip() + "\n" + said.stderr.rstrip()).strip()
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]


def judge(
    manager: base.Manager,
    said: programs.Completed,
    before: Sequence[Package],
    check: Callable[[list[Package]], list[Problem]],
) -> Outcome:
    """The outcome of a change: the program's problems, then what the packages themselves show."""
    after = manager.installed()
    problems = [*manager.find_problems(said), *check(after)]
    log = describe_changes(before, after) or ["No package changed."]
    if problems:
        log += said_log(said)
    return Outcome(tuple(log), tuple(problems))
