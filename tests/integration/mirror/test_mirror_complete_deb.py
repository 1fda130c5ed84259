"""Everything that a DEB archive may hold, by the real programs: byte for byte, by hash, and alike for apt."""

from __future__ import annotations

import bz2
import datetime
import gzip
import hashlib
import lzma
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from stationmaster.mirror import inspection, release, source
from stationmaster.testing import mirror_bench, simulated_upstream

SUITES = ("stable", "stable/updates")
COMPONENTS = ("main", "contrib", "main/debian-installer")
ARCHITECTURES = ("amd64", "all", "source")
PACK = {
    ".xz": lzma.compress, ".gz": lambda one: gzip.compress(one, mtime=0), ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor().compress, "": bytes,
}  # fmt: skip
COMPRESSIONS = {"stable": (".xz", ".gz", ".zst", ".bz2"), "stable/updates": (".bz2",)}


def opened(root: Path, site: simulated_upstream.Site) -> mirror_bench.Bench:
    """A bench of today: what apt-ftparchive writes carries today's date."""
    bench = mirror_bench.make_bench(root, site)
    bench.clock.advance((datetime.datetime.now(datetime.UTC) - bench.clock.now()).total_seconds() + 60)
    return bench


def deb(
    run: Callable[..., str],
    root: Path,
    name: str,
    *,
    arch: str = "all",
    component: str = "main",
    kind: str = "deb",
    version: str = "1:1.0+lab~1",
) -> None:
    work = root.parent / "work" / f"{name}-{version}-{arch}"
    (work / "DEBIAN").mkdir(parents=True)
    (work / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: t <t@example.com>\n"
        f"Description: Paket für Tests\n of {name}\n"
    )
    pool = root / "pool" / component / name
    pool.mkdir(parents=True, exist_ok=True)
    file_version = version.rpartition(":")[2]
    run("dpkg-deb", "--root-owner-group", "-b", work, pool / f"{name}_{file_version}_{arch}.{kind}")


def dsc(run: Callable[..., str], root: Path, name: str) -> None:
    work = root.parent / "work" / f"{name}-2"
    (work / "debian/source").mkdir(parents=True)
    (work / "debian/control").write_text(
        f"Source: {name}\nMaintainer: t <t@example.com>\n\nPackage: {name}\nArchitecture: all\nDescription: t\n"
    )
    (work / "debian/changelog").write_text(
        f"{name} (2) stable; urgency=low\n\n  * x\n\n -- t <t@example.com>  Thu, 01 Jan 2026 00:00:00 +0000\n"
    )
    (work / "debian/rules").write_text("#!/usr/bin/make -f\n")
    (work / "debian/source/format").write_text("3.0 (native)\n")
    (root / "pool/main/source").mkdir(parents=True, exist_ok=True)
    run("dpkg-source", "-b", work, directory=root / "pool/main/source")


def write_index(base: Path, plain: str, suffixes: tuple[str, ...], content: bytes) -> None:
    (base / plain).parent.mkdir(parents=True, exist_ok=True)
    for suffix in suffixes:
        (base / (plain + suffix)).write_bytes(PACK[suffix](content))


def suite(run: Callable[..., str], root: Path, name: str, upstream: Any) -> None:
    """All indexes of a suite; the Release names every one, also in plain, which is there in none but the first."""
    base, suffixes = root / "dists" / name, (*COMPRESSIONS[name], "")
    for component in COMPONENTS:
        pool = "pool/" + ("udeb" if "installer" in component else component)
        for arch in ("amd64", "arm64", "all"):
            kind = ["-o", "APT::FTPArchive::Packages::Extensions=.udeb"] if "installer" in component else []
            text = run("apt-ftparchive", "--arch", arch, *kind, "packages", pool, directory=root)
            write_index(base, f"{component}/binary-{arch}/Packages", suffixes, text.encode())
        write_index(base, f"{component}/source/Sources", suffixes,
                    run("apt-ftparchive", "sources", pool, directory=root).encode())  # fmt: skip
    for path, content in {
        "main/i18n/Translation-en": b"Package: lab-one\nDescription-md5: 0\nDescription-en: text\n\n",
        "main/i18n/Translation-de": b"Package: lab-one\nDescription-md5: 0\nDescription-de: Text\n\n",
        "main/dep11/Components-amd64.yml": b"---\nFile: DEP-11\n",
        "main/dep11/icons-48x48.tar": b"icons",
        "main/cnf/Commands-amd64": b"suite: stable\n",
        "main/Contents-amd64": b"usr/bin/lab main/lab-one\n",
        "Contents-all": b"usr/bin/other main/lab-two\n",
        "main/Contents-source": b"debian/control lab-source\n",
    }.items():
        write_index(base, path, (".gz",), content)
    write_index(base, "main/binary-amd64/Packages.diff/Index", ("",), b"SHA256-Current: 0 0\n")
    (base / "main/binary-amd64/Release").write_text("Archive: stable\nComponent: main\n")
    release = "APT::FTPArchive::Release::"
    settings = {"Acquire-By-Hash": "yes", "Components": " ".join(COMPONENTS), "Architectures": "amd64 arm64 all",
                "Suite": name, "Codename": name.partition("/")[0], "Label": "Lab", "Origin": "Lab"}  # fmt: skip
    options = [f"-o={release}{key}={value}" for key, value in settings.items()]
    text = run("apt-ftparchive", *options, f"-o={release}Patterns::=Commands-*", "release", base)
    (base / "Release").write_text(text)
    if name != "stable":
        for plain in (*base.rglob("Packages"), *base.rglob("Sources")):
            plain.unlink()
    upstream.sign_detached(base / "Release")
    (base / "Release.asc").rename(base / "Release.gpg")
    if name == "stable":
        upstream.sign_inline(base / "Release", base / "InRelease")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, run: Any, upstream: Any) -> Path:
    root = tmp_path_factory.mktemp("deb") / "root"
    root.mkdir()
    for name, options in {
        "lab-one": {"arch": "amd64"}, "lab-two": {}, "lab-c++": {"version": "2~rc1-1"}, "lab-arm": {"arch": "arm64"},
        "lab-contrib": {"component": "contrib"},
        "lab-installer": {"component": "udeb", "kind": "udeb", "arch": "amd64"},
    }.items():  # fmt: skip
        deb(run, root, name, **options)
    dsc(run, root, "lab-source")
    for name in SUITES:
        suite(run, root, name, upstream)
    return root


@pytest.fixture(scope="module")
def bench(archive: Path, upstream: Any, tmp_path_factory: pytest.TempPathFactory) -> mirror_bench.Bench:
    site = simulated_upstream.Site(mirror_bench.tree_of(archive))
    bench = opened(tmp_path_factory.mktemp("deb-mirror") / "mirror", site)
    result = bench.sync_deb(
        SUITES, components=COMPONENTS, architectures=ARCHITECTURES, keys=(upstream.key.read_bytes(),)
    )
    assert result.error is None, result.error
    assert result.packages == 6  # five of main, contrib and installer, and one source
    return bench


def is_wanted(path: str) -> bool:
    return "arm64" not in path and ".diff/" not in path


def test_all_that_was_chosen_is_held_byte_for_byte(bench: mirror_bench.Bench) -> None:
    shown = bench.published()
    wanted = {path: content for path, content in bench.site.files.items() if is_wanted(path)}
    assert {**shown, **wanted} == shown
    assert not [path for path in shown if not is_wanted(path)]
    for part in (
        "Translation-de", "dep11/icons", "cnf/Commands", "Contents-all", "Contents-source", "Sources", ".udeb", ".dsc",
        "lab-source_2.tar", "Release.gpg", "stable/updates/Release", "binary-amd64/Release",
    ):  # fmt: skip
        assert any(part in path for path in shown), part
    assert inspection.verify(bench.volume, bench.clock).is_whole


def test_every_index_is_there_by_each_hash_of_its_release(bench: mirror_bench.Bench) -> None:
    shown = bench.published()
    assert not any("by-hash" in path for path in bench.site.files)  # they are made here
    for name in SUITES:
        listed = release.parse_release(shown[f"dists/{name}/Release"], what=name).files
        held = {path: one for path, one in listed.items() if f"dists/{name}/{path}" in shown}
        assert len(held) > 15
        for path, one in held.items():
            directory = f"dists/{name}/{path}".rpartition("/")[0]
            assert set(one.digests) == {"SHA512", "SHA256", "SHA1", "MD5Sum"}
            for field, digest in one.digests.items():
                assert shown[f"{directory}/by-hash/{field}/{digest}"] == shown[f"dists/{name}/{path}"]


def apt(run: Any, home: Path, line: str, key: Path, *, pdiffs: bool = False) -> Callable[..., str]:
    for place in ("lists/partial", "cache/archives/partial", "etc/preferences.d", "out"):
        (home / place).mkdir(parents=True)
    (home / "status").write_text("")
    (home / "lab.list").write_text("".join(f"{kind} [signed-by={key}] {line}\n" for kind in ("deb", "deb-src")))
    settings = {
        "Dir::State": home, "Dir::State::status": home / "status", "Dir::Cache": home / "cache",
        "Dir::Etc": home / "etc", "Dir::Etc::SourceList": home / "lab.list", "APT::Sandbox::User": "root",
        "APT::Architecture": "amd64", "Acquire::By-Hash": "force", "Acquire::PDiffs": str(pdiffs).lower(),
        "Acquire::Languages": "de", "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "true",
    }  # fmt: skip
    options = [f"-o{name}={value}" for name, value in settings.items()]

    def call(program: str, *arguments: object) -> str:
        answer: str = run(program, "-q", *options, *arguments, directory=home / "out")
        return answer

    return call


@pytest.mark.parametrize("name", SUITES)
def test_apt_sees_and_fetches_the_same(
    bench: mirror_bench.Bench, archive: Path, upstream: Any, run: Any, tmp_path: Path, name: str
) -> None:
    """By http and by hash alone; with pdiffs wished for, which a mirror of ours does not have."""
    address = f"mirrored-{name.replace('/', '-')}"
    (upstream.root / address).symlink_to(bench.volume.published("src").resolve())
    ours = apt(run, tmp_path / "ours", f"{upstream.url}{address} {name} main contrib", upstream.key, pdiffs=True)
    theirs = apt(run, tmp_path / "theirs", f"file:{archive} {name} main contrib", upstream.key)
    theirs_home = tmp_path / "theirs"
    (theirs_home / "lab.list").write_text((theirs_home / "lab.list").read_text().replace("signed", "by-hash=no signed"))
    for call in (ours, theirs):
        call("apt-get", "update")
    assert ours("apt-cache", "dumpavail") == theirs("apt-cache", "dumpavail")
    assert "Package: lab-one" in ours("apt-cache", "dumpavail")
    assert ours("apt-cache", "showsrc", "lab-source") == theirs("apt-cache", "showsrc", "lab-source")
    ours("apt-get", "download", "lab-one", "lab-c++", "lab-contrib")
    ours("apt-get", "source", "--download-only", "lab-source")
    got = {path.name for path in (tmp_path / "ours/out").iterdir()}
    assert {"lab-source_2.dsc", "lab-c++_2~rc1-1_all.deb"} <= got
    assert len(got) == 5


def test_without_a_release_signature_nothing_is_taken(archive: Path, upstream: Any, tmp_path: Path) -> None:
    files = {path: content for path, content in mirror_bench.tree_of(archive).items() if "InRelease" not in path}
    del files["dists/stable/Release.gpg"]
    bench = opened(tmp_path / "mirror", simulated_upstream.Site(files))
    result = bench.sync_deb(keys=(upstream.key.read_bytes(),))
    assert result.error is not None
    assert result.error.code == "SignatureMissing"


def test_by_hash_of_the_upstream_is_used_and_fallen_back_from(archive: Path, tmp_path: Path) -> None:
    """Some upstreams promise by-hash and lack the files, or hold stale ones there."""
    files = mirror_bench.tree_of(archive)
    index = "dists/stable/main/binary-amd64/Packages.xz"
    digest = hashlib.sha512(files[index]).hexdigest()
    by_hash = f"dists/stable/main/binary-amd64/by-hash/SHA512/{digest}"
    for content, expected in ((files[index], []), (b"stale", [(index, 200)])):
        site = simulated_upstream.Site({**files, by_hash: content})
        bench = opened(tmp_path / hashlib.sha256(content).hexdigest(), site)
        assert bench.sync_deb(components=("main",)).error is None
        assert [one for one in site.log if one[0] == index] == expected


def test_a_flat_archive_of_apt_ftparchive(run: Any, upstream: Any, tmp_path: Path) -> None:
    root = tmp_path / "flat"
    root.mkdir()
    deb(run, root, "flat-one")
    shutil.move(next((root / "pool").rglob("*.deb")), root / "flat-one.deb")
    shutil.rmtree(root / "pool")
    (root / "Packages").write_text(run("apt-ftparchive", "packages", ".", directory=root))
    (root / "Packages.gz").write_bytes(gzip.compress((root / "Packages").read_bytes()))
    (root / "Release").write_text(run("apt-ftparchive", "release", ".", directory=root))
    upstream.sign_inline(root / "Release", root / "InRelease")
    bench = opened(tmp_path / "mirror", simulated_upstream.Site(mirror_bench.tree_of(root)))
    wanted = source.DebSource("src", mirror_bench.BASE, ("./",), keys=(upstream.key.read_bytes(),))
    result = bench.engine.sync(bench.volume, wanted)
    assert (result.error, result.packages) == (None, 1)
    assert bench.published() == bench.site.files
    published = bench.volume.published("src").resolve()
    call = apt(run, tmp_path / "apt", f"file:{published} ./", upstream.key)
    (tmp_path / "apt/lab.list").write_text(f"deb [by-hash=no signed-by={upstream.key}] file:{published} ./\n")
    call("apt-get", "update")
    assert "flat-one" in call("apt-cache", "dumpavail")
