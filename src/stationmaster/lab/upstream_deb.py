"""A DEB upstream built on the spot: real packages by dpkg-deb, indices by apt-ftparchive, signed, with by-hash.

It takes updates on demand, which Debian's own suite (``debian_suite``) cannot. Every publication is a directory of its
own, brought in by one rename of a link.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import lzma
import random
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from stationmaster.host import clock, files, programs
from stationmaster.lab import cache, deb_plan, openpgp

NAME = "deb"
SUITE = "lab"
_USER_ID = "Lab DEB upstream <deb@lab>"
_BUILT = "built"
_CACHE_FORMAT = "1"
_RELEASE_FIELDS = {"Origin": "Lab", "Label": "Lab", "Suite": SUITE, "Codename": SUITE, "Components": "main"}


@dataclasses.dataclass(frozen=True)
class DebRepository:
    """What a client or a software source has to know of a DEB repository below a site."""

    name: str
    suite: str
    components: tuple[str, ...]
    architecture: str
    is_debian: bool
    stanzas: tuple[deb_plan.Stanza, ...]

    @property
    def key_path(self) -> str:
        """Its key, below the site."""
        return f"keys/{self.name}.asc"


class DebUpstream:
    """A published repository below ``site``: ``site/deb`` is its base, ``site/keys/deb.asc`` its key."""

    def __init__(self, site: Path, packages: Sequence[deb_plan.Package], key: openpgp.SigningKey) -> None:
        self.site = site
        self.key = key
        self.packages = list(packages)
        self._publications = 0
        self._publication_clock = cache.PublicationClock(clock.SystemClock())
        self._effects = files.Files()
        self._runner = programs.Programs()
        self.architecture = machine_architecture(self._runner)

    @property
    def base(self) -> Path:
        """What a web server shows as the base URL."""
        return self.site / NAME

    def describe(self) -> DebRepository:
        """The repository as it is published now."""
        index = self.base / "dists" / SUITE / "main" / f"binary-{self.architecture}" / "Packages"
        stanzas = deb_plan.parse_stanzas(index.read_text())
        return DebRepository(NAME, SUITE, ("main",), self.architecture, is_debian=False, stanzas=stanzas)

    def publish_update(self, versions: Mapping[str, str]) -> list[str]:
        """Add new versions of some packages ({name: version}) and publish; former versions stay. Returns file names."""
        fresh = deb_plan.plan_update(self.packages, versions)
        with self._effects.temporary_directory(prefix="sm-deb-") as name:
            work = Path(name)
            for package in fresh:
                build_package(package, work, work, self._runner)
            self.packages += fresh
            self.publish({package.file_name: work / package.file_name for package in fresh})
        return [package.file_name for package in fresh]

    def publish(self, added: Mapping[str, Path]) -> None:
        """Publish all packages; ``added`` says where those lie that no former publication held."""
        previous = self.base.resolve()
        self._publications += 1
        self._publication_clock.wait()
        target = self.site / f".{NAME}-{self._publications}"
        for package in self.packages:
            place = target / package.pool_path
            self._effects.make_directory(place.parent)
            cache.link_or_copy(self._effects, added.get(package.file_name, previous / package.pool_path), place)
        write_indices(target, self.architecture, self.key, self._runner)
        self._effects.replace_symlink(self.base, target.name)


def prepare(site: Path, cache_directory: Path, packages: Sequence[deb_plan.Package] | None = None) -> DebUpstream:
    """Publish the packages (60 by default) below ``site``, building them unless an earlier run did."""
    effects = files.Files()
    chosen = tuple(packages) if packages is not None else deb_plan.plan_packages()
    kept = cache_directory / f"{NAME}-{hashlib.sha256(f'{_CACHE_FORMAT} {chosen}'.encode()).hexdigest()[:16]}"
    if not kept.is_dir():
        _fill_cache(kept, chosen, effects)
    upstream = DebUpstream(site, chosen, openpgp.SigningKey(kept / "key", _USER_ID))
    effects.make_directory(site / "keys")
    effects.copy(upstream.key.public, site / "keys" / f"{NAME}.asc")
    upstream.publish({package.file_name: kept / _BUILT / package.file_name for package in chosen})
    return upstream


def build_package(package: deb_plan.Package, work: Path, target: Path, runner: programs.Programs) -> Path:
    """Build one package by dpkg-deb into the directory ``target``."""
    tree = work / f"{package.name}-{package.version}"
    payload = tree / "opt" / "lab" / package.name
    payload.mkdir(parents=True)
    (payload / "version").write_text(f"{package.version}\n")
    (payload / "payload").write_bytes(random.Random(package.seed).randbytes(package.size_bytes))
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(deb_plan.render_control(package))
    built = target / package.file_name
    # Random bytes do not get smaller; the fastest setting is as good as any.
    runner.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, built]).require_success("dpkg-deb")
    files.Files().remove_tree(tree)
    return built


def write_indices(repository: Path, architecture: str, key: openpgp.SigningKey, runner: programs.Programs) -> None:
    """Make Packages in three forms, their by-hash names, Release, Release.gpg and InRelease."""
    suite = repository / "dists" / SUITE
    index_directory = suite / "main" / f"binary-{architecture}"
    by_hash = index_directory / "by-hash" / "SHA256"
    by_hash.mkdir(parents=True)
    listed = runner.run(["apt-ftparchive", "packages", "pool"], directory=repository, timeout=120)
    index = listed.require_success("apt-ftparchive").stdout.encode()
    for suffix, content in (("", index), (".gz", gzip.compress(index, mtime=0)), (".xz", lzma.compress(index))):
        (index_directory / f"Packages{suffix}").write_bytes(content)
        (by_hash / hashlib.sha256(content).hexdigest()).write_bytes(content)
    fields = {**_RELEASE_FIELDS, "Architectures": architecture, "Acquire-By-Hash": "yes"}
    options = [word for name, value in fields.items() for word in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
    made = runner.run(["apt-ftparchive", *options, "release", suite]).require_success("apt-ftparchive").stdout
    (suite / "Release").write_text(made)
    with openpgp.opened(key, runner) as keyring:
        keyring.sign_detached(suite / "Release", suite / "Release.gpg")
        keyring.sign_inline(suite / "Release", suite / "InRelease")


def machine_architecture(runner: programs.Programs) -> str:
    """Debian's name for this machine's architecture."""
    asked = runner.run(["dpkg", "--print-architecture"])
    return asked.require_success("Asking dpkg for the architecture").stdout.strip()


def _fill_cache(kept: Path, packages: Sequence[deb_plan.Package], effects: files.Files) -> None:
    building = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
    effects.make_directory(building / _BUILT)
    try:
        runner = programs.Programs()
        openpgp.generate(building / "key", _USER_ID, runner)
        for package in packages:
            build_package(package, building, building / _BUILT, runner)
        cache.keep(building, kept)
    finally:
        effects.remove_tree(building)
