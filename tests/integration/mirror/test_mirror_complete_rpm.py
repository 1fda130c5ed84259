"""Everything that an RPM repository may hold, by the real programs: byte for byte, and alike for dnf and zypper."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stationmaster.mirror import inspection
from stationmaster.testing import mirror_bench, simulated_upstream

SPEC = """\
Name: wide
Version: 1.0~rc1^git2
Release: %{rel}
Summary: A package for %{_target_cpu}
License: MIT
%description
Nothing.
%prep
%build
%install
mkdir -p %{buildroot}/usr/share/wide
head -c 20000 /dev/urandom > %{buildroot}/usr/share/wide/data
%files
/usr/share/wide
"""
MODULES = """\
---
document: modulemd-stream
version: 2
data: {name: lab, stream: "1", version: 1, context: aaaaaaaa, arch: noarch, summary: x, description: x,
       license: {module: [MIT]}}
...
"""
GROUPS = """\
<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>lab</id><name>Lab</name><description/><default>true</default><uservisible>true</uservisible>
<packagelist><packagereq type="mandatory">lab</packagereq></packagelist></group></comps>
"""
ADVISORIES = """\
<?xml version="1.0" encoding="UTF-8"?>
<updates><update from="t" status="final" type="security" version="1"><id>LAB-2026:1</id><title>t</title>
<issued date="2026-01-01"/><severity>Important</severity><pkglist><collection short=""><name>x</name>
<package name="lab" version="7" release="1" epoch="0" arch="noarch" src="lab.src.rpm">
<filename>lab-7-1.noarch.rpm</filename></package></collection></pkglist></update></updates>
"""
CASES = {
    "gz": ["--general-compress-type=gz"],
    "xz sha512": ["--general-compress-type=xz", "--checksum=sha512"],
    "bz2 sha384, plain names": ["--general-compress-type=bz2", "--checksum=sha384", "--simple-md-filenames"],
    "sha1": ["--checksum=sha1"],
    "zchunk": ["--zck"],
}


def build(run: Callable[..., str], top: Path, target: str, *, release: int = 1, kind: str = "-bb") -> list[Path]:
    top.mkdir(parents=True)
    (top / "wide.spec").write_text(SPEC)
    define = ("--define", f"_topdir {top}", "--define", f"rel {release}")
    run("rpmbuild", kind, "--target", target, *define, top / "wide.spec")
    return sorted([*(top / "RPMS").rglob("*.rpm"), *(top / "SRPMS").rglob("*.rpm")])


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory, build_rpms: Any, run: Any) -> Path:
    """Two architectures, noarch, sources, odd names, and one NEVRA three times, once with other bytes."""
    root, work = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("build")
    for place in ("Packages/w", "source", "twice", "odd ü"):
        (root / place).mkdir(parents=True)
    for rpm in (*build(run, work / "one", "x86_64", kind="-ba"), *build(run, work / "two", "i686")):
        shutil.copy(rpm, root / ("source" if rpm.name.endswith(".src.rpm") else "Packages/w"))
    for rpm in build_rpms("7"):
        shutil.copy(rpm, root / "Packages")
    (same,) = (root / "Packages/w").glob("*.x86_64.rpm")
    shutil.copy(same, root / "twice/same.rpm")
    (other,) = build(run, work / "three", "x86_64")
    shutil.copy(other, root / f"twice/{other.name}")
    assert other.read_bytes() != same.read_bytes()
    (cross,) = (root / "Packages").glob("lab-c++-*.rpm")
    shutil.copy(cross, root / "odd ü/a b%41~^+ü.rpm")
    return root


def complete(root: Path, run: Any, upstream: Any, extra: Path) -> None:
    """All kinds of data files beside the packages' own, one of them unheard of; signed, with its key beside it."""
    extra.mkdir()
    for name, content in (
        ("modules.yaml", MODULES), ("updateinfo.xml", ADVISORIES), ("productid", "-----BEGIN CERTIFICATE-----\n"),
        ("unheard_of", "whatever\n"),
    ):  # fmt: skip
        (extra / name).write_text(content)
        kind = name.partition(".")[0]
        run("modifyrepo_c", f"--mdtype={kind}", extra / name, root / "repodata")
    upstream.sign_detached(root / "repodata/repomd.xml")
    shutil.copy(upstream.key, root / "repodata/repomd.xml.key")


@pytest.fixture(scope="module", params=CASES)
def repository(
    request: pytest.FixtureRequest, packages: Path, run: Any, upstream: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    top = tmp_path_factory.mktemp("case")
    shutil.copytree(packages, top / "root")
    (top / "comps.xml").write_text(GROUPS)
    run("createrepo_c", "-q", *CASES[request.param], "-g", top / "comps.xml", top / "root")
    complete(top / "root", run, upstream, top / "extra")
    return top / "root"


@pytest.fixture
def mirrored(repository: Path, upstream: Any, tmp_path: Path) -> tuple[mirror_bench.Bench, Any]:
    site = simulated_upstream.Site(mirror_bench.tree_of(repository))
    bench = mirror_bench.make_bench(tmp_path / "mirror", site)
    return bench, bench.sync(keys=(upstream.key.read_bytes(),))


def dnf(run: Any, place: Path, root: Path, *arguments: str) -> set[str]:
    address = "file://" + str(place).replace(" ", "%20")
    answer: str = run(
        "dnf", "-q", "--installroot", root, "--releasever", "1", f"--setopt=cachedir={root}/cache",
        "--setopt=reposdir=/nonexistent", "--repofrompath", f"lab,{address}", "--setopt=lab.repo_gpgcheck=0",
        "--repo", "lab", *arguments,
    )  # fmt: skip
    return {line for line in answer.splitlines() if line and str(place) not in line}


def test_it_is_held_byte_for_byte_and_dnf_sees_the_same(
    mirrored: tuple[mirror_bench.Bench, Any], repository: Path, run: Any, tmp_path: Path
) -> None:
    bench, result = mirrored
    assert result.error is None
    assert result.packages == 8
    shown = bench.published()
    assert {**shown, **bench.site.files} == shown
    assert inspection.verify(bench.volume, bench.clock).is_whole
    is_weak = re.search(rb'type="sha1?"', bench.site.files["repodata/repomd.xml"]) is not None
    assert ("SHA-1" in str(result.warnings)) == is_weak
    published = bench.volume.published("src")
    for arguments in (
        ("repoquery", "--qf", "%{name}-%{evr}.%{arch} %{location} %{size}"),
        ("module", "list"),
        ("group", "list", "--ids"),
        ("repoquery", "--advisory", "LAB-2026:1"),
    ):
        ours = dnf(run, published, tmp_path / "ours", *arguments)
        assert ours == dnf(run, repository, tmp_path / "theirs", *arguments)
        assert ours, arguments


def test_every_location_that_dnf_makes_of_the_metadata_answers_over_http(
    packages: Path, run: Any, upstream: Any, tmp_path: Path
) -> None:
    """Clients quote `+`, `~`, `^`, `%`, blanks and other letters in their own ways; nginx must find what they mean."""
    root = tmp_path / "root"
    shutil.copytree(packages, root)
    run("createrepo_c", "-q", root)
    bench = mirror_bench.make_bench(tmp_path / "mirror", simulated_upstream.Site(mirror_bench.tree_of(root)))
    assert bench.sync().error is None
    (upstream.root / "odd").symlink_to(bench.volume.published("src").resolve())
    answer = run(
        "dnf", "-q", "--installroot", tmp_path / "client", "--releasever", "1", "--setopt=reposdir=/nonexistent",
        f"--setopt=cachedir={tmp_path}/cache", "--repofrompath", f"lab,{upstream.url}odd",
        "--setopt=lab.repo_gpgcheck=0", "--repo", "lab", "repoquery", "--location",
    )  # fmt: skip
    addresses = [line for line in answer.splitlines() if line.startswith(upstream.url)]
    assert len(addresses) >= 6
    held = {hashlib.sha256(path.read_bytes()).hexdigest() for path in packages.rglob("*.rpm")}
    for number, address in enumerate(addresses):
        run("curl", "-sf", "--globoff", "-o", tmp_path / f"{number}.rpm", address.replace(" ", "%20"))
        assert hashlib.sha256((tmp_path / f"{number}.rpm").read_bytes()).hexdigest() in held, address


def test_zypper_sees_the_same(repository: Path, run: Any, tmp_path: Path) -> None:
    bench = mirror_bench.make_bench(tmp_path / "mirror", simulated_upstream.Site(mirror_bench.tree_of(repository)))
    assert bench.sync().error is None

    def seen(place: Path, root: Path) -> set[str]:
        zypper = ("zypper", "--root", root, "--non-interactive", "--no-gpg-checks")
        run(*zypper, "addrepo", f"dir:{place}", "lab")
        run(*zypper, "refresh")
        return {line for line in run(*zypper, "search", "-s").splitlines() if "|" in line}

    ours = seen(bench.volume.published("src").resolve(), tmp_path / "ours")
    assert ours == seen(repository, tmp_path / "theirs")
    assert len(ours) > 3


def test_deltas_are_held_with_their_index(run: Any, tmp_path: Path) -> None:
    """createrepo_c makes them where it was built to; prestodelta names files below drpms/, which clients ask for."""
    old, root = tmp_path / "old", tmp_path / "root"
    for place in (old, root):
        place.mkdir()
    (first,) = build(run, tmp_path / "b1", "x86_64")
    (second,) = build(run, tmp_path / "b2", "x86_64", release=2)
    shutil.copy(first, old)
    shutil.copy(second, root)
    run("createrepo_c", "-q", "--deltas", "--oldpackagedirs", old, root)
    site = simulated_upstream.Site(mirror_bench.tree_of(root))
    deltas = [path for path in site.files if path.endswith(".drpm")]
    assert deltas
    assert any("prestodelta" in path for path in site.files)
    bench = mirror_bench.make_bench(tmp_path / "mirror", site)
    assert bench.sync().error is None
    assert bench.published() == site.files


def test_xml_base_by_createrepo(packages: Path, run: Any, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for rpm in (packages / "Packages").glob("*.rpm"):
        shutil.copy(rpm, root)
    run("createrepo_c", "-q", "--baseurl", "http://vendor.test/pub/", root)
    files = mirror_bench.tree_of(root)
    rpms = {path: content for path, content in files.items() if path.endswith(".rpm")}
    upstream = simulated_upstream.Site({path: content for path, content in files.items() if path not in rpms})
    further = {"http://vendor.test/pub/": simulated_upstream.Site(rpms)}
    bench = mirror_bench.make_bench(tmp_path / "mirror", upstream, further=further)
    result = bench.sync()
    assert (result.error, result.packages) == (None, 2)
    assert bench.published() == files
    assert "vendor.test" in result.warnings[0]


def test_an_empty_repository_of_createrepo(run: Any, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    run("createrepo_c", "-q", tmp_path / "root")
    bench = mirror_bench.make_bench(
        tmp_path / "mirror", simulated_upstream.Site(mirror_bench.tree_of(tmp_path / "root"))
    )
    assert (bench.sync().error, bench.sync().packages) == (None, 0)
    assert bench.published() == bench.site.files
    assert dnf(run, bench.volume.published("src"), tmp_path / "client", "repoquery") == set()
