"""dnf, run with the pinned repositories alone and with none of the host's settings where it works from outside."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stationmaster.agent import facts, repositories
from stationmaster.agent.package_managers import base, rpm
from stationmaster.host import files, programs
from stationmaster.model.protocol import Package, Problem

_CONFIG = f"{repositories.OWN_DIRECTORY}/dnf.conf"
_CONFIG_TEXT = "[main]\ngpgcheck=1\nplugins=0\nbest=False\nclean_requirements_on_remove=True\n"
_FORMAT = "%{name}\\t%{epoch}\\t%{version}-%{release}\\t%{arch}\\t%{repoid}"
_BAD_LINE = re.compile(r"^(Error: |error: |No match for argument: )(.+)")
_ADVISORY = {
    base.Category.ALL: (),
    base.Category.SECURITY: ("--security",),
    base.Category.BUGFIX: ("--bugfix",),
    base.Category.ENHANCEMENT: ("--enhancement",),
}


class Dnf:
    """dnf 4 and 5 of the root, or of the host for an install root."""

    def __init__(
        self, target: base.Target, host: programs.Programs, disk: files.Files, source_of: dict[str, str]
    ) -> None:
        self.target = target
        self._runner = base.Runner(target, host)
        self._host = host
        self._disk = disk
        self._source_of = source_of

    def prepare(self) -> None:
        """An install root gets a configuration of its own: dnf would take the host's otherwise."""
        if self.target.is_install_root:
            self._disk.make_directory(self.target.outside(repositories.OWN_DIRECTORY))
            self._disk.write_atomic(self.target.outside(_CONFIG), _CONFIG_TEXT.encode(), durable=False)

    def refresh(self) -> programs.Completed:
        """Fetch metadata now, whatever its age."""
        return self._dnf("makecache", "--refresh")

    def install(self, names: Sequence[str]) -> programs.Completed:
        """Install; a name that nothing provides fails the whole."""
        return self._dnf("install", "--", *base.require_names(names))

    def update(self, names: Sequence[str], category: base.Category) -> programs.Completed:
        """Update these, or all."""
        return self._dnf("upgrade", *_ADVISORY[category], *(["--", *base.require_names(names)] if names else []))

    def remove(self, names: Sequence[str]) -> programs.Completed:
        """Remove, without dependencies that became unused: nobody named those."""
        return self._dnf("remove", "--setopt=clean_requirements_on_remove=False", "--", *base.require_names(names))

    def repair(self) -> None:
        """Nothing: rpm's transactions need no finishing, and a run of the same operation converges."""

    def installed(self) -> list[Package]:
        """Out of the rpm database."""
        return rpm.query_installed(self._runner)

    def updatable(self) -> list[Package]:
        """`repoquery --upgrades`, whose output does not wrap as that of `check-update` does."""
        current = {(package.name, package.architecture): package for package in self.installed()}
        if not current or not self._source_of:
            return []
        answer = self._dnf("repoquery", "--quiet", "--upgrades", "--latest-limit=1", f"--queryformat={_FORMAT}\\n")
        found = parse_upgrades(answer.require_success("Listing updates").stdout, self._source_of)
        return merge_updates(current, found)

    def find_problems(self, said: programs.Completed) -> list[Problem]:
        """Failed scriptlets, which dnf follows by "Complete!", and its errors."""
        lines = (said.stdout + "\n" + said.stderr).splitlines()
        worded = [Problem("PackageManagerFailed", line.strip()) for line in lines if _BAD_LINE.match(line)]
        scriptlets = rpm.find_scriptlet_problems(said)
        return scriptlets if said.is_success else [*scriptlets, *(worded or [self._failure(said)])]

    def database_stamp(self) -> str:
        """Changes when packages change."""
        return rpm.database_stamp(self.target)

    def _failure(self, said: programs.Completed) -> Problem:
        return Problem("PackageManagerFailed", f"dnf ended with status {said.status}: {base.last_words(said)}")

    def _dnf(self, command: str, *arguments: str) -> programs.Completed:
        prefix = self.target.prefix
        pinned = f"{prefix}{repositories.PINNED_DIRECTORY}"
        options = [f"--setopt=reposdir={pinned}", "--setopt=keepcache=0", "--setopt=retries=5", "--setopt=timeout=15"]
        if self.target.is_install_root:
            options += ["--installroot", prefix, "--config", f"{prefix}{_CONFIG}"]
            options += [f"--setopt=varsdir={prefix}/etc/dnf/vars", *self._release()]
        try:
            return self._runner.run(
                ["dnf", "--assumeyes", "--setopt=color=never", *options, command, *arguments],
                timeout=base.TRANSACTION_SECONDS,
            )
        finally:
            self._stop_key_agents()

    def _release(self) -> list[str]:
        os_release = facts.read_os_release(self.target.root)
        version = os_release.get("VERSION_ID")
        options = [f"--releasever={version}"] if version else []
        if "PLATFORM_ID" not in os_release:
            options.append("--setopt=module_platform_id=platform:none")
        return options

    def _stop_key_agents(self) -> None:
        """Checking signed metadata leaves a gpg-agent behind for each repository (engines.md 5)."""
        if self._host.find("gpgconf") is None:
            return
        for home in self.target.outside("var/cache/dnf").glob("*/pubring"):
            seen = "/" / home.relative_to(self.target.root) if self.target.is_entered else home
            self._runner.run(["gpgconf", "--homedir", str(seen), "--kill", "gpg-agent"], timeout=10)


def parse_upgrades(text: str, source_of: dict[str, str]) -> list[Package]:
    """The lines of the query: what could be installed, and which source has it."""
    packages = []
    for line in text.splitlines():
        fields = line.strip().split("\t")
        if len(fields) == 5:
            name, epoch, version, architecture, repo_id = fields
            available = rpm.with_epoch(epoch, version)
            packages.append(Package(name, "", architecture, None, available, source_of.get(repo_id)))
    return packages


def merge_updates(current: dict[tuple[str, str], Package], found: list[Package]) -> list[Package]:
    """Installed version and available version side by side, by name; an update of nothing installed is left out."""
    merged = {}
    for update in found:
        # noarch may become an architecture and the other way round.
        others = [package for (name, _), package in current.items() if name == update.name]
        known = current.get((update.name, update.architecture)) or (others[0] if others else None)
        if known is not None and update.available_version is not None:
            merged[known.name, known.architecture] = Package(
                known.name,
                known.version,
                known.architecture,
                known.time_installed,
                update.available_version,
                update.source_id,
            )
    return [merged[key] for key in sorted(merged)]
