"""The lab's RPM upstream: real packages by rpmbuild, signed, with comps, updateinfo, modules and a signed repomd.xml.

``prepare`` lays the repository out below a web server's root; built packages are kept in a cache for later labs. Every
publication is a directory of its own, brought in by one rename of a link, as a careful upstream does it.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import random
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from stationmaster.host import clock, files, programs
from stationmaster.lab import cache, openpgp, rpm_plan

NAME = "rpm"
_USER_ID = "Lab RPM upstream <rpm@lab>"
_WORKERS = 2
_BUILT = "built"
# Raised when the same plan builds other packages than before, so that old caches are not taken.
_CACHE_FORMAT = "2"


class RpmUpstream:
    """A published repository below ``site``: ``site/rpm`` is its base, ``site/keys/rpm.asc`` its key."""

    def __init__(self, site: Path, packages: Sequence[rpm_plan.Package], key: openpgp.SigningKey) -> None:
        self.site = site
        self.key = key
        self.packages = list(packages)
        self._publications = 0
        self._publication_clock = cache.PublicationClock(clock.SystemClock())
        self._effects = files.Files()
        self._runner = programs.Programs()

    @property
    def base(self) -> Path:
        """What a web server shows as the base URL."""
        return self.site / NAME

    def publish_update(self, versions: Mapping[str, str]) -> list[str]:
        """Add new versions of some packages ({name: version}) and publish; former versions stay. Returns file names."""
        fresh = rpm_plan.plan_update(self.packages, versions)
        with self._effects.temporary_directory(prefix="sm-rpm-") as name:
            built = build_packages(fresh, Path(name), self.key, self._runner)
            self.packages += fresh
            self._publish(built)
        return [package.file_name for package in fresh]

    def remove_packages(self, names: Sequence[str]) -> None:
        """Publish without the named packages, in any version."""
        self.packages = [package for package in self.packages if package.name not in names]
        self._publish([])

    def publish_first(self, built: Path) -> None:
        """Publish what ``built`` holds, as the first state of this upstream."""
        self._publish([built / package.file_name for package in self.packages])

    def _publish(self, added: Sequence[Path]) -> None:
        previous = self.base.resolve() / "Packages"
        self._publications += 1
        self._publication_clock.wait()
        target = self.site / f".{NAME}-{self._publications}"
        self._effects.make_directory(target / "Packages")
        sources = {path.name: path for path in [*(previous.iterdir() if previous.is_dir() else ()), *added]}
        for package in self.packages:
            cache.link_or_copy(self._effects, sources[package.file_name], target / "Packages" / package.file_name)
        write_metadata(target, self.packages, self.key, self._runner)
        self._effects.replace_symlink(self.base, target.name)


def prepare(site: Path, cache_directory: Path, packages: Sequence[rpm_plan.Package] | None = None) -> RpmUpstream:
    """Publish the packages (300 by default) below ``site``, building them unless an earlier run did."""
    effects = files.Files()
    chosen = tuple(packages) if packages is not None else rpm_plan.plan_packages()
    kept = cache_directory / f"{NAME}-{hashlib.sha256(f'{_CACHE_FORMAT} {chosen}'.encode()).hexdigest()[:16]}"
    if not kept.is_dir():
        _fill_cache(kept, chosen, effects)
    upstream = RpmUpstream(site, chosen, openpgp.SigningKey(kept / "key", _USER_ID))
    effects.make_directory(site / "keys")
    effects.copy(upstream.key.public, site / "keys" / f"{NAME}.asc")
    upstream.publish_first(kept / _BUILT)
    return upstream


def build_packages(
    packages: Sequence[rpm_plan.Package], work: Path, key: openpgp.SigningKey, runner: programs.Programs
) -> list[Path]:
    """Build and sign, on several processors; returns the packages' files."""
    slices = [packages[number::_WORKERS] for number in range(_WORKERS) if packages[number::_WORKERS]]
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool, openpgp.opened(key, runner) as keyring:
        jobs = [
            pool.submit(_build_slice, part, work / str(number), keyring, runner) for number, part in enumerate(slices)
        ]
        return [path for job in jobs for path in job.result()]


def write_metadata(
    repository: Path, packages: Sequence[rpm_plan.Package], key: openpgp.SigningKey, runner: programs.Programs
) -> None:
    """Make ``repodata`` for the packages that lie in a repository, and sign its root."""
    newest = {package.name: package for package in packages}
    documents = {
        "comps.xml": rpm_plan.render_comps(packages),
        "updateinfo.xml": rpm_plan.render_updateinfo(list(newest.values())),
        "modules.yaml": rpm_plan.render_modules(packages),
    }
    with files.Files().temporary_directory(prefix="sm-repodata-") as name:
        work = Path(name)
        for file_name, text in documents.items():
            (work / file_name).write_text(text)
        options = ("--quiet", "--workers", str(_WORKERS), "--groupfile", work / "comps.xml")
        runner.run(["createrepo_c", *options, repository], timeout=120).require_success("createrepo_c")
        for file_name in ("updateinfo.xml", "modules.yaml"):
            runner.run(["modifyrepo_c", work / file_name, repository / "repodata"]).require_success(
                f"Adding {file_name}"
            )
    root = repository / "repodata" / "repomd.xml"
    with openpgp.opened(key, runner) as keyring:
        keyring.sign_detached(root, root.with_name("repomd.xml.asc"))


def _build_slice(
    packages: Sequence[rpm_plan.Package], work: Path, keyring: openpgp.Keyring, runner: programs.Programs
) -> list[Path]:
    payload = work / "SOURCES" / "opt" / "lab"
    for package in packages:
        directory = payload / package.name
        directory.mkdir(parents=True)
        (directory / "version").write_text(f"{package.version}\n")
        (directory / "payload").write_bytes(random.Random(package.seed).randbytes(package.size_bytes))
    spec = work / "lab.spec"
    spec.write_text(rpm_plan.render_spec(packages))
    settings = {
        "_topdir": work,
        "_binary_payload": "w1.gzdio",
        "__os_install_post": "%{nil}",  # no stripping, no checks: the payload is random bytes
        "_buildhost": "lab",
        "_dbpath": work / "rpmdb",
    }
    defines = [word for name, value in settings.items() for word in ("--define", f"{name} {value}")]
    runner.run(["rpmbuild", "-bb", "--quiet", *defines, spec], timeout=600).require_success("rpmbuild")
    built = [work / "RPMS" / "noarch" / package.file_name for package in packages]
    keyring.sign_rpms(built)
    return built


def _fill_cache(kept: Path, packages: Sequence[rpm_plan.Package], effects: files.Files) -> None:
    building = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
    effects.make_directory(building / _BUILT)
    try:
        runner = programs.Programs()
        key = openpgp.generate(building / "key", _USER_ID, runner)
        for path in build_packages(packages, building / "work", key, runner):
            effects.rename(path, building / _BUILT / path.name)
        effects.remove_tree(building / "work")
        cache.keep(building, kept)
    finally:
        effects.remove_tree(building)
