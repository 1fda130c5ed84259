"""Debian's own ``*-updates`` as an upstream, laid out from what this machine's apt has: a suite signed by Debian.

The InRelease and the package index come out of apt's lists, the packages by ``apt-get download``; both are checked
(gpgv, then digests all the way) and kept for later labs, which then need no network. Which server they come from is
the machine's own setting; this module neither knows nor asks.
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Iterable
from pathlib import Path

import msgspec

from stationmaster.host import files, programs
from stationmaster.lab import cache, deb_plan, upstream_deb
from stationmaster.model import errors

NAME = "debian"
_KEYRINGS = (Path("/usr/share/keyrings"), Path("/etc/apt/trusted.gpg.d"))
_APT_TIMEOUT = 180.0


class _Snapshot(msgspec.Struct, frozen=True):
    """What the cache keeps of one state of the suite; the packages lie beside, by digest."""

    suite: str
    index_path: str
    architecture: str


@dataclasses.dataclass(frozen=True)
class _Found:
    """A state of the suite, verified."""

    snapshot: _Snapshot
    release: bytes
    index: bytes
    key: bytes


def prepare(site: Path, cache_directory: Path) -> upstream_deb.DebRepository:
    """Lay the suite out below ``site`` (``site/debian``); HostError when this machine's apt has none to give."""
    runner = programs.Programs()
    effects = files.Files()
    pool = cache_directory / "debian-pool"
    effects.make_directory(pool)
    try:
        found = _from_apt(runner)
        stanzas = deb_plan.parse_stanzas(found.index.decode())
        _download(stanzas, pool, runner, effects)
        _remember(found, cache_directory, effects)
    except errors.HostError:
        remembered = _recall(cache_directory)  # the newest state whose packages are all here
        if remembered is None:
            raise
        found = remembered
    return _lay_out(found, pool, site, effects)


def _from_apt(runner: programs.Programs) -> _Found:
    architecture = upstream_deb.machine_architecture(runner)
    target = _target(runner, architecture)
    if target is None or not Path(target.release_file).is_file():
        runner.run(["apt-get", "update"], timeout=_APT_TIMEOUT)
        target = _target(runner, architecture)
    if target is None or not Path(target.release_file).is_file():
        raise errors.HostError("This machine's apt has no *-updates suite of Debian.")
    release = Path(target.release_file)
    key = _signing_key(release, runner)
    shown = runner.run(["/usr/lib/apt/apt-helper", "cat-file", target.index_file])
    index = shown.require_success("Reading apt's index").stdout.encode()
    expected = deb_plan.parse_release_digests(release.read_text()).get(target.index_path)
    if hashlib.sha256(index).hexdigest() != expected:
        raise errors.HostError(f"apt's index {target.index_file} is not the one that {release} names.")
    return _Found(_Snapshot(target.suite_path, target.index_path, architecture), release.read_bytes(), index, key)


def _target(runner: programs.Programs, architecture: str) -> deb_plan.IndexTarget | None:
    listed = runner.run(["apt-get", "indextargets", "Created-By: Packages"])
    return deb_plan.find_updates_target(listed.stdout, architecture) if listed.is_success else None


def _signing_key(release: Path, runner: programs.Programs) -> bytes:
    """The keyring on this machine that the release is signed by, armored."""
    for keyring in sorted(path for place in _KEYRINGS for path in place.glob("debian-archive-*.gpg")):
        if runner.run(["gpgv", "--keyring", keyring, release]).is_success:
            options = ("--batch", "--no-default-keyring", "--keyring", keyring, "--armor", "--export")
            with files.Files().temporary_directory(prefix="sm-gpg-") as home:
                exported = runner.run(["gpg", "--homedir", home, *options])
            return exported.require_success("Exporting Debian's keys").stdout.encode()
    raise errors.HostError(f"No keyring of Debian on this machine verifies {release}.")


def _download(stanzas: Iterable[deb_plan.Stanza], pool: Path, runner: programs.Programs, effects: files.Files) -> None:
    missing = {stanza.sha256: stanza for stanza in stanzas if not (pool / stanza.sha256).is_file()}
    if not missing:
        return
    incoming = pool / f"incoming-{secrets.token_hex(4)}"
    effects.make_directory(incoming)
    wanted = [f"{stanza.name}={stanza.version}" for stanza in missing.values()]
    # As root throughout: apt's own user has no way into the cache.
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *wanted]
    answer = runner.run(command, directory=incoming, timeout=_APT_TIMEOUT)
    for path in incoming.iterdir():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if missing.pop(digest, None):
            effects.rename(path, pool / digest)
    effects.remove_tree(incoming)
    if missing:
        answer.require_success("apt-get download")
        raise errors.HostError(f"apt-get download did not bring {', '.join(s.name for s in missing.values())}.")


def _remember(found: _Found, cache_directory: Path, effects: files.Files) -> None:
    kept = cache_directory / f"debian-{hashlib.sha256(found.release).hexdigest()[:16]}"
    if not kept.is_dir():
        building = kept.with_name(f".{kept.name}")
        effects.remove_tree(building)
        effects.make_directory(building)
        (building / "InRelease").write_bytes(found.release)
        (building / "Packages").write_bytes(found.index)
        (building / "key.asc").write_bytes(found.key)
        (building / "snapshot.json").write_bytes(msgspec.json.encode(found.snapshot))
        cache.keep(building, kept)


def _recall(cache_directory: Path) -> _Found | None:
    for kept in sorted(
        cache_directory.glob("debian-*/snapshot.json"), key=lambda path: path.stat().st_mtime, reverse=True
    ):
        snapshot = msgspec.json.decode(kept.read_bytes(), type=_Snapshot)
        read = [(kept.parent / name).read_bytes() for name in ("InRelease", "Packages", "key.asc")]
        return _Found(snapshot, read[0], read[1], read[2])
    return None


def _lay_out(found: _Found, pool: Path, site: Path, effects: files.Files) -> upstream_deb.DebRepository:
    base = site / NAME
    suite = base / "dists" / found.snapshot.suite
    index = suite / found.snapshot.index_path
    by_hash = index.parent / "by-hash" / "SHA256"
    effects.make_directory(by_hash)
    effects.make_directory(site / "keys")
    (suite / "InRelease").write_bytes(found.release)
    index.write_bytes(found.index)
    (by_hash / hashlib.sha256(found.index).hexdigest()).write_bytes(found.index)
    (site / "keys" / f"{NAME}.asc").write_bytes(found.key)
    stanzas = deb_plan.parse_stanzas(found.index.decode())
    for stanza in stanzas:
        place = base / stanza.path
        effects.make_directory(place.parent)
        if not place.exists():
            cache.link_or_copy(effects, pool / stanza.sha256, place)
    suite_name, architecture = found.snapshot.suite, found.snapshot.architecture
    return upstream_deb.DebRepository(NAME, suite_name, ("main",), architecture, is_debian=True, stanzas=stanzas)
