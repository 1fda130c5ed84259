"""zypper, run with the pinned repositories alone."""

from __future__ import annotations

from collections.abc import Sequence
from xml.parsers import expat

from stationmaster.agent import repositories
from stationmaster.agent.package_managers import base, rpm
from stationmaster.host import files, programs
from stationmaster.model.protocol import Package, Problem

# Done, but: 100 updates are needed, 101 security updates, 102 reboot needed, 103 restart of zypper needed.
_GOOD = frozenset({0, 100, 101, 102, 103})
_PATCHES = {
    base.Category.SECURITY: "security",
    base.Category.BUGFIX: "recommended",
    base.Category.ENHANCEMENT: "feature",
}


class Zypper:
    """zypper of the root, or of the host for an install root."""

    def __init__(
        self, target: base.Target, host: programs.Programs, disk: files.Files, source_of: dict[str, str]
    ) -> None:
        self.target = target
        self._runner = base.Runner(target, host)
        self._disk = disk
        self._source_of = source_of

    def prepare(self) -> None:
        """Nothing: zypper makes what it needs."""

    def refresh(self) -> programs.Completed:
        """Fetch metadata now."""
        return self._zypper("refresh")

    def install(self, names: Sequence[str]) -> programs.Completed:
        """Install; a name that nothing provides fails the whole."""
        return self._zypper("install", "--auto-agree-with-licenses", "--", *base.require_names(names))

    def update(self, names: Sequence[str], category: base.Category) -> programs.Completed:
        """Update these, or all; a category means its patches."""
        if category is not base.Category.ALL:
            return self._zypper("patch", "--auto-agree-with-licenses", "--category", _PATCHES[category])
        chosen = ["--", *base.require_names(names)] if names else []
        return self._zypper("update", "--auto-agree-with-licenses", *chosen)

    def remove(self, names: Sequence[str]) -> programs.Completed:
        """Remove."""
        return self._zypper("remove", "--", *base.require_names(names))

    def repair(self) -> None:
        """Nothing: a run of the same operation converges."""

    def installed(self) -> list[Package]:
        """Out of the rpm database."""
        return rpm.query_installed(self._runner)

    def updatable(self) -> list[Package]:
        """`list-updates` as XML."""
        if not self._source_of:
            return []
        said = self._zypper("list-updates", is_xml=True).require_success("Listing updates")
        return parse_updates(said.stdout, self._source_of)

    def find_problems(self, said: programs.Completed) -> list[Problem]:
        """Failed scriptlets, which zypper calls a success, and its last words when it failed."""
        problems = rpm.find_scriptlet_problems(said)
        if not said.is_success:
            words = f"zypper ended with status {said.status}: {base.last_words(said)}"
            problems.append(Problem("PackageManagerFailed", words))
        return problems

    def database_stamp(self) -> str:
        """Changes when packages change."""
        return rpm.database_stamp(self.target)

    def _zypper(self, command: str, *arguments: str, is_xml: bool = False) -> programs.Completed:
        prefix = self.target.prefix
        options = ["--non-interactive", "--gpg-auto-import-keys", "--no-color"]
        options += ["--reposd-dir", prefix + repositories.PINNED_DIRECTORY]
        options += ["--root", prefix] if prefix else []
        options += ["--xmlout"] if is_xml else []
        said = self._runner.run(["zypper", *options, command, *arguments], timeout=base.TRANSACTION_SECONDS)
        return programs.Completed(said.arguments, 0, said.stdout, said.stderr) if said.status in _GOOD else said


def parse_updates(text: str, source_of: dict[str, str]) -> list[Package]:
    """The `update` elements of kind package, sorted by name."""
    packages: list[Package] = []
    current: dict[str, str] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "update":
            current.clear()
            current.update(attributes)
        elif name == "source":
            current["alias"] = attributes.get("alias", "")

    def end(name: str) -> None:
        if name == "update" and current.get("kind") == "package":
            source = source_of.get(current.get("alias", ""))
            packages.append(
                Package(
                    current["name"], current.get("edition-old", ""), current["arch"], None, current["edition"], source
                )
            )

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.Parse(text, True)
    return sorted(packages, key=lambda package: (package.name, package.architecture))
