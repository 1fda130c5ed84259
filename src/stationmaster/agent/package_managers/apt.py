"""apt and dpkg, run with the pinned repositories alone, their lists and locks apart from the system's own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stationmaster.agent import repositories
from stationmaster.agent.package_managers import apt_output, base
from stationmaster.host import files, programs
from stationmaster.model import errors
from stationmaster.model.protocol import Package, PackageManager, Problem

LISTS = f"{repositories.WORK_DIRECTORY}/apt-lists"
# apt leaves a copy of an inline key behind now and then; here, and not in /tmp, it can be cleared away.
TEMPORARY = f"{repositories.WORK_DIRECTORY}/temporary"
_QUERY = r"${Package}\t${Version}\t${Architecture}\t${db:Status-Status}\n"
_BAD_LINE = re.compile(r"(E: |dpkg: error|dpkg-deb: error|W: Failed to fetch)")
_INSTALL_ROOT = (
    "etc/apt/preferences.d",
    "etc/apt/apt.conf.d",
    "etc/apt/trusted.gpg.d",
    "etc/apt/sources.list.d",
    "var/cache/apt/archives/partial",
    "var/lib/dpkg/info",
    "var/lib/dpkg/updates",
    "var/log/apt",
)
_CHUNK = 200


class Apt:
    """apt of the root, or of the host for an install root."""

    def __init__(
        self, target: base.Target, host: programs.Programs, disk: files.Files, source_of: dict[str, str]
    ) -> None:
        self.target = target
        self._runner = base.Runner(target, host, {"TMPDIR": target.prefix + TEMPORARY})
        self._disk = disk
        self._source_of = source_of

    def prepare(self) -> None:
        """A place for our lists; an install root also gets what dpkg expects to find."""
        directory = self.target.outside(LISTS)
        self._disk.make_directory(directory / "partial")
        self._disk.make_directory(self.target.outside(TEMPORARY))
        self._disk.set_mode(self.target.outside(TEMPORARY), 0o1777)  # apt checks signatures as a user of its own
        if self.target.is_install_root:
            for name in _INSTALL_ROOT:
                self._disk.make_directory(self.target.outside(name))
            for name in ("status", "available"):
                path = self.target.outside(f"var/lib/dpkg/{name}")
                if not path.exists():
                    self._disk.write_atomic(path, b"")

    def refresh(self) -> programs.Completed:
        """Fetch the lists; one that fails makes the whole fail, also with an apt that would call it a warning."""
        said = self._apt_get("update")
        is_complete = said.is_success and "W: Failed to fetch" not in said.stderr + said.stdout
        return said if is_complete else programs.Completed(said.arguments, said.status or 100, said.stdout, said.stderr)

    def install(self, names: Sequence[str]) -> programs.Completed:
        """Install; a name that nothing provides fails the whole."""
        wanted = base.require_names(names)
        return self._refuse_unknown(wanted) or self._apt_get("install", *wanted)

    def update(self, names: Sequence[str], category: base.Category) -> programs.Completed:
        """Update these, or all that can be without removing anything; of the categories apt knows security alone."""
        if category is base.Category.SECURITY:
            return self._update_security()
        if category is not base.Category.ALL:
            raise errors.CallerError(
                f"apt's repositories do not say which updates are {category.value} updates.",
                hint="Order an update of all packages or of security updates, or name the packages.",
                code="NotSupported",
            )
        if not names:
            return self._apt_get("upgrade", "--with-new-pkgs")
        return self._apt_get("install", "--only-upgrade", *base.require_names(names))

    def _update_security(self) -> programs.Completed:
        """Update what a security suite has the newest version of, to that version, and nothing else."""
        releases = self._runner.run(["apt-cache", *self._options(), "policy"])
        if not apt_output.has_security_suite(releases.require_success("Asking apt for its suites").stdout):
            raise errors.CallerError(
                "None of this instance's sources is a security suite, so nothing says what a security update is.",
                hint="Attach the source of the suite whose name ends in -security, or order an update of all packages.",
                code="NotSupported",
            )
        said = self._apt_get("upgrade", "--with-new-pkgs", "--simulate")
        found = apt_output.parse_security_upgrades(said.stdout) if said.is_success else []
        if not found:
            return said
        qualified = (one.name if one.architecture == "all" else f"{one.name}:{one.architecture}" for one in found)
        chosen = [f"{name}={one.available_version}" for name, one in zip(qualified, found, strict=True)]
        return self._apt_get("install", "--only-upgrade", *chosen)

    def remove(self, names: Sequence[str]) -> programs.Completed:
        """Remove; configuration files stay, as apt has it."""
        return self._apt_get("remove", *base.require_names(names))

    def repair(self) -> None:
        """Configure what a killed dpkg left unpacked; without that apt refuses every further command."""
        prefix = self.target.prefix
        root = [f"--root={prefix}"] if prefix else []
        self._runner.run(
            ["dpkg", *root, "--force-confdef", "--force-confold", "--configure", "--pending"],
            timeout=base.TRANSACTION_SECONDS,
        )

    def installed(self) -> list[Package]:
        """Out of dpkg's status."""
        prefix = self.target.prefix
        admin = [f"--admindir={prefix}/var/lib/dpkg"] if prefix else []
        answer = self._runner.run(["dpkg-query", *admin, "--show", f"--showformat={_QUERY}"])
        if not answer.is_success and "no packages found" not in answer.stderr.lower():
            answer.require_success("Listing installed packages")
        return apt_output.parse_installed(answer.stdout, self.target.outside("var/lib/dpkg/info"))

    def updatable(self) -> list[Package]:
        """A simulated upgrade: what `update` of all would change."""
        if not self._source_of:
            return []
        said = self._apt_get("upgrade", "--with-new-pkgs", "--simulate").require_success("Listing updates")
        found = apt_output.parse_upgrades(said.stdout)
        names = [package.name for package in found]
        sources: dict[str, str] = {}
        for start in range(0, len(names), _CHUNK):
            policy = self._policy(names[start : start + _CHUNK])
            sources |= {name: self._source_of[repo] for name, repo in policy.items() if repo in self._source_of}
        return [
            Package(one.name, one.version, one.architecture, None, one.available_version, sources.get(one.name))
            for one in found
        ]

    def find_problems(self, said: programs.Completed) -> list[Problem]:
        """The errors of apt and dpkg; with apt the exit status can be believed."""
        if said.is_success:
            return []
        lines = [line.strip() for line in (said.stderr + "\n" + said.stdout).splitlines() if _BAD_LINE.match(line)]
        worded = [Problem("PackageManagerFailed", line) for line in dict.fromkeys(lines)]
        words = f"apt-get ended with status {said.status}: {base.last_words(said)}"
        return worded or [Problem("PackageManagerFailed", words)]

    def database_stamp(self) -> str:
        """Changes when packages change."""
        return base.stamp_of([self.target.outside("var/lib/dpkg/status")])

    def _refuse_unknown(self, names: Sequence[str]) -> programs.Completed | None:
        """Apt takes an unknown name with a dot or star for a pattern and installs what matches."""
        known = self._policy([name.partition("=")[0] for name in names])
        unknown = [name for name in names if name.partition("=")[0].partition(":")[0] not in known]
        lines = "".join(f"E: Unable to locate package {name}\n" for name in unknown)
        return programs.Completed(("apt-get", "install"), 100, "", lines) if unknown else None

    def _policy(self, names: Sequence[str]) -> dict[str, str]:
        said = self._runner.run(["apt-cache", *self._options(), "policy", *base.require_names(names)])
        return apt_output.parse_policy(said.stdout)

    def _apt_get(self, command: str, *arguments: str) -> programs.Completed:
        options = [
            "--assume-yes", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
            "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=120", "-o", "APT::Update::Error-Mode=any",
            "-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=15", "-o", "Acquire::https::Timeout=15",
        ]  # fmt: skip
        try:
            return self._runner.run(
                ["apt-get", *options, *self._options(), command, *arguments], timeout=base.TRANSACTION_SECONDS
            )
        finally:
            for left in self.target.outside(TEMPORARY).glob("apt-key*"):
                self._disk.remove_tree(left)

    def _options(self) -> list[str]:
        prefix = self.target.prefix
        settings = {
            "Dir::Etc::SourceList": prefix + repositories.pinned_file(PackageManager.APT),
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": prefix + LISTS,
            # Kept in memory: the system's own cache is for the system's own sources.
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
        }
        options: list[str] = []
        if prefix:
            settings |= {
                "Dir": prefix,
                "Dir::State::status": f"{prefix}/var/lib/dpkg/status",
                "Dpkg::Options::": f"--root={prefix}",
                # The unprivileged user of apt need not be able to enter the directories above an install root.
                "APT::Sandbox::User": "root",
            }
            if self.target.outside(repositories.APT_OPTIONS_FILE).exists():
                options += ["-c", prefix + repositories.APT_OPTIONS_FILE]
        for name, value in settings.items():
            options += ["-o", f"{name}={value}"]
        return options
